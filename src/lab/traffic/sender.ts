/**
 * The sending host (a process of its own, so that nothing else disturbs its timing): numbered packets of both streams,
 * paced by the clock. A late timer is caught up with, in bursts that the receivers' sockets can hold.
 */
import type { Socket } from 'node:dgram';
import { once } from 'node:events';
import { boundSocket, OtherMemberships, obey, tell } from '../machines/hosts.js';
import type { ToSender } from './messages.js';
import { encodePacket } from './packet.js';
import { RATE, ROUTER_ADDRESS, SENDER, STREAM_NAMES, STREAMS, type StreamName, TTL } from '../machines/plan.js';
import { monotonicMs } from '../time.js';
import { watchReports } from './witness.js';

/** Packets per stream and turn at most: a burst of this size fits into every receive buffer. */
const BURST = 50;
const TELL_EVERY_MS = 100;

class Stream {
  sent = 0;
  refused = 0;
  readonly #socket: Socket;
  readonly #id: number;

  private constructor(socket: Socket, id: number) {
    this.#socket = socket;
    this.#id = id;
  }

  static async open(name: StreamName): Promise<Stream> {
    const { id, group, port } = STREAMS[name];
    const socket = await boundSocket(SENDER.address, 0);
    socket.setMulticastInterface(SENDER.address);
    socket.setMulticastTTL(TTL);
    socket.setMulticastLoopback(false);
    socket.connect(port, group);
    await once(socket, 'connect');
    return new Stream(socket, id);
  }

  sendUpTo(due: number): void {
    for (const until = Math.min(due, this.sent + BURST); this.sent < until; this.sent++)
      this.#socket.send(encodePacket(this.#id, this.sent), (error) => {
        if (error) this.refused++;
      });
  }
}

const others = await OtherMemberships.open(SENDER.address);
const streams = { asm: await Stream.open('asm'), ssm: await Stream.open('ssm') };
let startedAtMs: number | undefined;

function pace(): void {
  if (startedAtMs === undefined) return;
  const due = Math.floor(((monotonicMs() - startedAtMs) * RATE) / 1000);
  for (const name of STREAM_NAMES) streams[name].sendUpTo(due);
}

function report(stopped: boolean): void {
  const { asm, ssm } = streams;
  tell({ kind: 'sent', packets: { asm: asm.sent, ssm: ssm.sent }, refused: asm.refused + ssm.refused, stopped });
}

obey<ToSender>((order) => {
  if (order.kind === 'others') return others.change(order);
  startedAtMs = order.kind === 'start' ? monotonicMs() : undefined;
  if (order.kind === 'stop') report(true);
});
setInterval(pace, 1);
setInterval(() => startedAtMs !== undefined && report(false), TELL_EVERY_MS);
await watchReports(SENDER.address, ROUTER_ADDRESS.send);
tell({ kind: 'ready' });
