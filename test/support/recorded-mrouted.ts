/**
 * A recorded conversation with mrouted (test/fixtures/packets), played to a router of ours on a fake kernel: its part comes
 * at the times of the recording, ours is made anew.
 */
import { readFileSync } from 'node:fs';
import { formatIp, ip } from '../../src/base/ip.js';
import type { Ifindex } from '../../src/port/kernel.js';
import { type Lan, Routers, type TestRouter } from './dvmrp-routers.js';
import { toHex } from './packet-builder.js';

export const CODE = { probe: 1, report: 2, prune: 7, graft: 8, graftAck: 9 } as const;

export interface Recorded {
  readonly sec: number;
  readonly by: 'mrouted' | 'mgmd';
  readonly source: string;
  readonly destination: string;
  readonly ttl: number;
  readonly code: number;
  readonly payload: Uint8Array;
}

function parse(line: string): Recorded[] {
  const [sec, by, hex] = line.split(' ');
  if (by !== 'mrouted' && by !== 'mgmd') return [];
  const packet = Buffer.from(hex!, 'hex');
  const address = (at: number) => [...packet.subarray(at, at + 4)].join('.');
  const payload = Uint8Array.from(packet.subarray((packet[0]! & 15) * 4));
  const [source, destination] = [address(12), address(16)];
  return [{ sec: Number(sec), by, source, destination, ttl: packet[8]!, code: payload[1]!, payload }];
}

export class Conversation {
  readonly messages: readonly Recorded[];
  /** "S sends" etc. -> seconds. */
  readonly done = new Map<string, number>();

  constructor(name: string) {
    const text = readFileSync(new URL(`../fixtures/packets/${name}`, import.meta.url), 'utf8');
    const lines = text.split('\n').filter((line) => /^\d/.test(line));
    this.messages = lines.flatMap(parse);
    for (const line of lines) {
      const [sec, what] = line.split(' # ');
      if (what !== undefined) this.done.set(what, Number(sec));
    }
  }

  of(by: Recorded['by'], code: number): readonly Recorded[] {
    return this.messages.filter((one) => one.by === by && one.code === code);
  }
}

/** Our router with a link to mrouted and a LAN. */
export class Replay {
  readonly world = new Routers();
  readonly router: TestRouter;
  readonly link: Lan;
  readonly lan: Lan;
  readonly linkPort: Ifindex;
  readonly lanPort: Ifindex;
  readonly #peer: readonly Recorded[];
  #sec = 0;
  #at = 0;

  constructor(
    readonly recorded: Conversation,
    own: { readonly lan: string; readonly link: number },
  ) {
    this.#peer = recorded.messages.filter(({ by }) => by === 'mrouted');
    this.link = this.world.lan('10.9.0');
    this.lan = this.world.lan(own.lan);
    this.router = this.world.router();
    this.linkPort = this.router.attach(this.link, own.link);
    this.lanPort = this.router.attach(this.lan, 1);
  }

  /** From where our daemon was there in the recording. */
  async start(): Promise<void> {
    await this.until(this.recorded.messages.find(({ by }) => by === 'mgmd')!.sec);
    await this.router.owns(this.linkPort, this.lanPort);
    await this.router.hosts.take(this.lanPort);
    await this.world.settle();
  }

  /** Time goes on, and mrouted says what it said until then. */
  async until(sec: number): Promise<void> {
    for (let next = this.#peer[this.#at]; next && next.sec <= sec; next = this.#peer[++this.#at]) {
      await this.#run(next.sec);
      const { source, destination, payload, ttl } = next;
      const packet = { source: ip(source), destination: ip(destination), payload: payload.slice(), ttl };
      this.router.kernel.igmp.receive({ ifindex: this.linkPort, ...packet });
      await this.world.settle();
    }
    await this.#run(sec);
  }

  async #run(sec: number): Promise<void> {
    await this.world.run(sec - this.#sec);
    this.#sec = sec;
  }

  /** What we have sent on the link: "224.0.0.4 1301...", from the nth message on. */
  said(code: number, from = 0): readonly string[] {
    return this.link.messages
      .slice(from)
      .filter(({ payload }) => payload[1] === code)
      .map(({ to, payload }) => `${formatIp(to)} ${toHex(payload)}`);
  }
}
