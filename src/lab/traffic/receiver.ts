/** A receiving host (a process of its own; `receiver.js NAME`): joins its streams, counts what comes, tells it ten times a second. */
import { readFileSync } from 'node:fs';
import { boundSocket, OtherMemberships, obey, tell } from '../machines/hosts.js';
import type { ToReceiver } from './messages.js';
import { sequenceOf } from './packet.js';
import { HOSTS, type HostName, ROUTER_ADDRESS, STREAMS, type StreamName } from '../machines/plan.js';
import { SequenceTracker } from './sequence.js';
import { udpReceiveBufferErrors } from './snmp.js';
import { watchReports } from './witness.js';

/** Asked for; the kernel grants at most net.core.rmem_max. */
const RECEIVE_BYTES = 8 * 1024 * 1024;
const TELL_EVERY_MS = 100;

class Stream {
  readonly tracker = new SequenceTracker();
  readonly name: StreamName;
  readonly #join: () => void;

  private constructor(name: StreamName, join: () => void) {
    this.name = name;
    this.#join = join;
  }

  /** The socket is bound to the group: it gets nothing else. */
  static async open(name: StreamName, address: string): Promise<Stream> {
    const { id, group, source, port } = STREAMS[name];
    const socket = await boundSocket(group, port, RECEIVE_BYTES);
    const stream = new Stream(name, () => {
      if (source === undefined) socket.addMembership(group, address);
      else socket.addSourceSpecificMembership(source, group, address);
    });
    socket.on('message', (bytes) => {
      const sequence = sequenceOf(id, bytes);
      if (sequence !== undefined) stream.tracker.accept(sequence);
    });
    return stream;
  }

  join(): void {
    this.#join();
  }
}

const host = process.argv[2] as HostName;
const { address, streams: names } = HOSTS[host];
const others = await OtherMemberships.open(address);
const streams: Stream[] = [];
for (const name of names) streams.push(await Stream.open(name, address));

function report(): void {
  const counts = Object.fromEntries(streams.map(({ name, tracker }) => [name, tracker.counts()]));
  const socketDrops = udpReceiveBufferErrors(readFileSync('/proc/net/snmp', 'utf8'));
  tell({ kind: 'counted', host, streams: counts, socketDrops });
}

obey<ToReceiver>((order) => {
  if (order.kind === 'others') return others.change(order);
  for (const stream of streams) {
    if (order.kind === 'begin') stream.tracker.begin();
    else stream.join();
  }
});
setInterval(report, TELL_EVERY_MS);
if (HOSTS[host].igmp === 3) await watchReports(address, ROUTER_ADDRESS.recv);
tell({ kind: 'ready' });
