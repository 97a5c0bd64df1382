/** The packet sockets of watched interfaces, between a fake addon and a fake clock. */
import { expect, test } from 'vitest';
import { formatIp, ip } from '../../../src/base/ip.js';
import type { NativePacketWatch, WatchedPacket } from '../../../src/kernel/addon.js';
import { AddressWatch } from '../../../src/kernel/address-watch.js';
import type { Ifindex, Link } from '../../../src/port/kernel.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeKernel } from '../../support/fake-kernel.js';

const EPERM = 1;
const ETH1 = 3 as Ifindex;
const OWN = 0x0a_00_00_02;
const FOREIGN_MAC = [2, 0, 0, 0, 0, 0x99];

class FakePacketWatch implements NativePacketWatch {
  polls = false;
  isOpen = true;
  #onHeard: (packets: readonly WatchedPacket[]) => void = () => undefined;

  constructor(
    readonly ifindex: number,
    readonly addresses: readonly number[],
    readonly errno: number,
  ) {}

  start(onHeard: (packets: readonly WatchedPacket[]) => void): number {
    if (this.errno !== 0) return this.errno;
    this.polls = true;
    this.#onHeard = onHeard;
    return 0;
  }

  stop(): void {
    this.polls = false;
  }

  close(): void {
    this.polls = false;
    this.isOpen = false;
  }

  deliver(...senders: readonly (readonly number[])[]): void {
    this.#onHeard(senders.map((sender) => ({ source: OWN, sender: Uint8Array.from(sender) })));
  }
}

class Bench {
  readonly clock = new FakeClock(0);
  readonly kernel = new FakeKernel(this.clock);
  readonly opened: FakePacketWatch[] = [];
  readonly uses: string[] = [];
  openErrno = 0;
  startErrno = 0;
  readonly watch: AddressWatch;

  constructor() {
    const addon = {
      openPacketWatch: (ifindex: number, addresses: Uint32Array) => {
        if (this.openErrno !== 0) return this.openErrno;
        const native = new FakePacketWatch(ifindex, [...addresses], this.startErrno);
        this.opened.push(native);
        return native;
      },
    };
    this.watch = new AddressWatch({ addon, links: this.kernel.links, clock: this.clock, nameOf: () => 'eth1' });
    this.watch.onUse(({ ifindex, address, mac }) => this.uses.push(`${ifindex} ${formatIp(address)} ${mac ?? '-'}`));
  }

  link(name: string, mac: string): void {
    this.kernel.addDevice(name, undefined, { mac } satisfies Partial<Link>);
  }
}

test('an interface has one socket, made anew when its addresses change and closed without any (E7)', () => {
  const bench = new Bench();
  const { watch, opened } = bench;
  expect(watch.watch(ETH1, [ip('10.0.0.2')])).toBeUndefined();
  expect(watch.watch(ETH1, [ip('10.0.0.2')])).toBeUndefined();
  expect(opened).toMatchObject([{ ifindex: ETH1, addresses: [OWN], isOpen: true, polls: true }]);
  watch.watch(ETH1, [ip('10.0.0.2'), ip('10.0.0.3')]);
  expect(opened).toMatchObject([{ isOpen: false }, { addresses: [OWN, OWN + 1], isOpen: true }]);
  watch.watch(ETH1, []);
  expect(opened.filter(({ isOpen }) => isOpen)).toEqual([]);
  watch.watch(ETH1, []);
  expect(opened).toHaveLength(2);
});

test('what another machine sent is told, what came back of our own is not, whichever interface sent it (E7)', () => {
  const bench = new Bench();
  bench.link('eth1', '02:00:00:00:00:01');
  bench.link('slave', '02:00:00:00:00:02');
  bench.watch.watch(ETH1, [ip('10.0.0.2')]);
  bench.opened[0]!.deliver([2, 0, 0, 0, 0, 1], FOREIGN_MAC, [2, 0, 0, 0, 0, 2], []);
  expect(bench.uses).toEqual(['3 10.0.0.2 02:00:00:00:00:99', '3 10.0.0.2 -']);
});

test('the socket rests a second after each look, so that a flood wakes nobody (E7)', () => {
  const bench = new Bench();
  bench.watch.watch(ETH1, [ip('10.0.0.2')]);
  const [native] = bench.opened;
  native!.deliver(FOREIGN_MAC);
  expect(native!.polls).toBe(false);
  bench.clock.advance(999);
  expect(native!.polls).toBe(false);
  bench.clock.advance(1);
  expect(native!.polls).toBe(true);
  native!.deliver(FOREIGN_MAC);
  // closed meanwhile: nothing starts it again
  bench.watch.close();
  bench.clock.advance(2000);
  expect(native).toMatchObject({ polls: false, isOpen: false });
  expect(bench.uses).toHaveLength(2);
});

test('a refused socket says on which interface, and is asked for again at the next call (E7)', () => {
  const bench = new Bench();
  bench.openErrno = EPERM;
  const error = bench.watch.watch(ETH1, [ip('10.0.0.2')]);
  expect(error?.message).toMatch(/^opening on the packet socket of eth1 failed: EPERM.*CAP_NET_RAW/);
  bench.openErrno = 0;
  bench.startErrno = EPERM;
  expect(bench.watch.watch(ETH1, [ip('10.0.0.2')])?.code).toBe('EPERM');
  expect(bench.opened).toMatchObject([{ isOpen: false }]);
  bench.startErrno = 0;
  expect(bench.watch.watch(ETH1, [ip('10.0.0.2')])).toBeUndefined();
  expect(bench.opened.at(-1)).toMatchObject({ isOpen: true, polls: true });
});
