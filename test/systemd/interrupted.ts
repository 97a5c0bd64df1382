/** Crashes in the middle of something: the interface `mov` changes hands without a break, and the process is killed. */
import { readFileSync } from 'node:fs';
import type { ControlClient } from '../../src/control/client.js';
import { Child } from '../support/child.js';
import { eventually } from '../support/eventually.js';
import type { Service } from './service.js';

const INTERFACE = 'mov';
const OWNERS = ['left', 'right'] as const;
/** Hand-overs before the kill. */
const SOME = 40;
/** SIGSTOP must hit a pause: most of a hand-over with `pause.scope: host` is one. */
const TRIES = 400;

interface Handing {
  /** Hand-overs that were answered. */
  done(): number;
  /** Asked for and not answered. */
  underWay(): boolean;
  /** Resolves when the daemon is gone. */
  readonly ended: Promise<void>;
}

/** One hand-over after the other, until the daemon goes away. */
async function keepHandingOver(client: ControlClient): Promise<Handing> {
  const rows = await client.rows<{ name: string; owner: string }>('interfaces');
  let at = rows.find(({ name }) => name === INTERFACE)?.owner === 'right' ? 1 : 0;
  let done = 0;
  let underWay = false;
  const ended = (async () => {
    for (;;) {
      underWay = true;
      await client.call('handover', { interface: INTERFACE, from: OWNERS[at], to: OWNERS[1 - at] });
      underWay = false;
      at = 1 - at;
      done++;
    }
  })().catch(() => undefined);
  return { done: () => done, underWay: () => underWay, ended };
}

export async function killedInHandover(service: Service): Promise<void> {
  const { pid } = service;
  const handing = await keepHandingOver(await service.connect());
  await eventually(`${SOME} hand-overs`, () => handing.done() >= SOME, { everyMs: 1 });
  await eventually('one under way', () => handing.underWay(), { everyMs: 0 });
  process.kill(pid, 'SIGKILL');
  await handing.ended;
  await service.restarted(pid);
}

export async function killedInPause(service: Service): Promise<void> {
  const { pid } = service;
  const prober = new Child('/usr/bin/python3', ['-c', PROBER]);
  try {
    const handing = await keepHandingOver(await service.connect());
    for (let tried = 0; ; tried++) {
      if (tried === TRIES) throw new Error(`no pause was met in ${TRIES} tries and ${handing.done()} hand-overs`);
      const before = handing.done();
      await eventually('hand-overs go on', () => handing.done() > before, { everyMs: 0 });
      // The next one has been asked for; somewhere in its course is the pause.
      for (const untilMs = performance.now() + (tried % 40) / 10; performance.now() < untilMs; );
      process.kill(pid, 'SIGSTOP');
      await eventually('the process to stand still', () => stateOf(pid) === 'T', { everyMs: 0 });
      if (await isPaused(prober)) break;
      process.kill(pid, 'SIGCONT');
    }
    process.kill(pid, 'SIGKILL');
    await handing.ended;
  } finally {
    await prober.kill();
  }
  await service.restarted(pid);
}

/** While an interface is paused, a program of this host cannot join there: EAGAIN (11). */
const PROBER = `
import socket, sys
request = socket.inet_aton('239.9.9.9') + socket.inet_aton('10.0.6.1')
for line in sys.stdin:
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, request)
        print(0, flush=True)
    except OSError as error:
        print(error.errno, flush=True)
    s.close()
`;
const EAGAIN = '11';

async function isPaused(prober: Child): Promise<boolean> {
  prober.tell('join');
  const errno = await prober.line();
  if (errno !== '0' && errno !== EAGAIN) throw new Error(`joining a group: errno ${errno}`);
  return errno === EAGAIN;
}

/** "T" while a signal has stopped it. */
function stateOf(pid: number): string {
  return readFileSync(`/proc/${pid}/stat`, 'utf8').split(') ')[1]!.charAt(0);
}

/** Whoever has it after a crash in a hand-over: one of the two, and it can be handed over again. */
export async function ownedByLeft(service: Service): Promise<void> {
  const client = await service.connect();
  try {
    const rows = await client.rows<{ name: string; owner: string }>('interfaces');
    const owner = rows.find(({ name }) => name === INTERFACE)?.owner;
    if (owner === 'right') await client.call('handover', { interface: INTERFACE, from: 'right', to: 'left' });
  } finally {
    client.close();
  }
}
