/**
 * What every implementation of the kernel ports must do, as cases that know nothing of vitest: the fake kernel runs them
 * in the test process, the real one in a child inside a namespace. The kernel's side was measured, see the comments.
 */
import assert from 'node:assert/strict';
import { KernelError } from '../../src/base/errors.js';
import { type IpAddress, ip } from '../../src/base/ip.js';
import {
  type AddressUse,
  type AddressWatchPort,
  ANY_SOURCE_FILTER,
  type Ifindex,
  type LinkPort,
  type MembershipPort,
  type Mfc,
  type MfcChange,
  type MroutePort,
  type RoutePort,
  type Upcall,
  type Vif,
  VIFS,
} from '../../src/port/kernel.js';
import { FOREIGN_MAC } from './igmp-frame.js';

export type Device = 'in' | 'out' | 'other';

/**
 * A router with three devices, each with a LAN of its own (`in` 10.1.0.1/24, `out` 10.2.0.1/24, `other` 10.3.0.1/24), and a
 * default route through 10.1.0.2. Everything that takes time in the world is a promise.
 */
export interface Ground {
  readonly mroute: MroutePort;
  readonly links: LinkPort;
  readonly routes: RoutePort;
  readonly membership: MembershipPort;
  readonly addressWatch: AddressWatchPort;
  readonly upcalls: readonly Upcall[];
  readonly changes: readonly (MfcChange | undefined)[];
  ifindex(device: Device): Ifindex;
  deleteDevice(device: Device): Promise<void>;
  setDown(device: Device): Promise<void>;
  /** A host behind the device (address .2) sends `count` packets with TTL 8 to the group. */
  send(device: Device, group: IpAddress, count: number): Promise<void>;
  /** Another machine behind the device sends an IGMP message from this address. */
  speak(device: Device, source: IpAddress): Promise<void>;
  /** How many packets to the group came out of the device so far, once at least `atLeast` have. */
  received(device: Device, group: IpAddress, atLeast: number): Promise<number>;
  /** Waits until `ask` is truthy. */
  until(what: string, ask: () => unknown): Promise<void>;
  /** Gives whatever is under way the time to arrive; used before asserting that nothing did. */
  quiet(): Promise<void>;
}

export interface ContractCase {
  readonly title: string;
  run(ground: Ground): Promise<void>;
}

const SOURCE = ip('10.1.0.2');
const GROUP = ip('239.1.1.1');
const [VIN, VOUT, VOTHER] = [0 as Vif, 1 as Vif, 2 as Vif];

function entry(iif: Vif, oifs: readonly Vif[], group = GROUP): Mfc {
  const ttls = new Uint8Array(VIFS);
  for (const vif of oifs) ttls[vif] = 1;
  return { source: SOURCE, group, iif, ttls };
}

function codeOf(result: unknown): string {
  return result instanceof KernelError ? result.code : 'none';
}

function succeeds(result: KernelError | undefined): void {
  assert.equal(result, undefined);
}

function addVifs(ground: Ground): void {
  succeeds(ground.mroute.addVif(VIN, ground.ifindex('in')));
  succeeds(ground.mroute.addVif(VOUT, ground.ifindex('out')));
}

async function dumpedEntry(ground: Ground, group = GROUP) {
  const dump = await ground.mroute.dump();
  assert.ok(!(dump instanceof KernelError), 'the dump was refused');
  return dump.entries.find((candidate) => candidate.source === SOURCE && candidate.group === group);
}

const VIFS_AND_ENTRIES: readonly ContractCase[] = [
  {
    title:
      'a vif number in use gives EADDRINUSE, 32 ENFILE, an unknown ifindex EADDRNOTAVAIL, an empty slot EADDRNOTAVAIL',
    async run({ mroute, ifindex }) {
      succeeds(mroute.addVif(VIN, ifindex('in')));
      assert.equal(codeOf(mroute.addVif(VIN, ifindex('out'))), 'EADDRINUSE');
      assert.equal(codeOf(mroute.addVif(VIFS as Vif, ifindex('out'))), 'ENFILE');
      assert.equal(codeOf(mroute.addVif(VOUT, 999_999 as Ifindex)), 'EADDRNOTAVAIL');
      assert.equal(codeOf(mroute.delVif(VOUT)), 'EADDRNOTAVAIL');
      succeeds(mroute.delVif(VIN));
    },
  },
  {
    title: 'an entry forwards from its iif to its oifs, and counts',
    async run(ground) {
      addVifs(ground);
      succeeds(ground.mroute.addMfc(entry(VIN, [VOUT])));
      await ground.send('in', GROUP, 5);
      assert.equal(await ground.received('out', GROUP, 5), 5);
      const counters = ground.mroute.mfcCounters(SOURCE, GROUP);
      assert.ok(!(counters instanceof KernelError));
      assert.deepEqual([counters.packets, counters.wrongIf], [5, 0]);
      const out = ground.mroute.vifCounters(VOUT);
      assert.ok(!(out instanceof KernelError));
      assert.equal(out.packetsOut, 5);
    },
  },
  {
    title: 'replacing an entry keeps its counters and shows the new outputs',
    async run(ground) {
      addVifs(ground);
      succeeds(ground.mroute.addMfc(entry(VIN, [])));
      await ground.send('in', GROUP, 3);
      await ground.until('three packets counted', async () => (await dumpedEntry(ground))?.packets === 3);
      succeeds(ground.mroute.addMfc(entry(VIN, [VOUT])));
      const dumped = await dumpedEntry(ground);
      assert.equal(dumped?.packets, 3);
      assert.deepEqual(dumped?.oifs, [{ ifindex: ground.ifindex('out'), ttl: 1 }]);
      assert.deepEqual([dumped?.iif, dumped?.unresolved, dumped?.static], [ground.ifindex('in'), false, false]);
    },
  },
  {
    title: 'an output whose vif does not exist is dropped at write and does not come back with the vif',
    async run(ground) {
      addVifs(ground);
      succeeds(ground.mroute.addMfc(entry(VIN, [VOUT, VOTHER])));
      succeeds(ground.mroute.addVif(VOTHER, ground.ifindex('other')));
      assert.deepEqual(
        (await dumpedEntry(ground))?.oifs.map((oif) => oif.ifindex),
        [ground.ifindex('out')],
      );
    },
  },
  {
    title: 'a deleted entry is gone; deleting it again gives ENOENT, its counters EADDRNOTAVAIL',
    async run(ground) {
      addVifs(ground);
      succeeds(ground.mroute.addMfc(entry(VIN, [VOUT])));
      succeeds(ground.mroute.delMfc(SOURCE, GROUP));
      assert.equal(await dumpedEntry(ground), undefined);
      assert.equal(codeOf(ground.mroute.delMfc(SOURCE, GROUP)), 'ENOENT');
      assert.equal(codeOf(ground.mroute.mfcCounters(SOURCE, GROUP)), 'EADDRNOTAVAIL');
      // which of the two depends on what the highest vif is or was; nobody may rely on it
      assert.match(codeOf(ground.mroute.vifCounters(31 as Vif)), /^(EINVAL|EADDRNOTAVAIL)$/);
      succeeds(ground.mroute.delVif(VIN));
      assert.equal(codeOf(ground.mroute.vifCounters(VIN)), 'EADDRNOTAVAIL');
    },
  },
  {
    title: 'a group that is not multicast gives EINVAL, a parent of 32 ENFILE',
    async run(ground) {
      addVifs(ground);
      assert.equal(codeOf(ground.mroute.addMfc({ ...entry(VIN, []), group: ip('10.9.9.9') })), 'EINVAL');
      assert.equal(codeOf(ground.mroute.addMfc(entry(VIFS as Vif, []))), 'ENFILE');
    },
  },
  {
    title: 'flushing what the owner wrote leaves nothing where nobody else wrote',
    async run(ground) {
      addVifs(ground);
      succeeds(ground.mroute.addMfc(entry(VIN, [VOUT])));
      succeeds(ground.mroute.flushOwn());
      assert.deepEqual(await ground.mroute.dump(), { entries: [], vifs: [] });
    },
  },
  {
    title: 'flushing leaves no entry and no vif',
    async run(ground) {
      addVifs(ground);
      succeeds(ground.mroute.addMfc(entry(VIN, [VOUT])));
      succeeds(ground.mroute.flushAll());
      assert.deepEqual(await ground.mroute.dump(), { entries: [], vifs: [] });
    },
  },
];

const UPCALLS: readonly ContractCase[] = [
  {
    title: 'a new flow is reported once; four of its packets wait and leave when the entry is written',
    async run(ground) {
      addVifs(ground);
      await ground.send('in', GROUP, 10);
      await ground.until('the upcall', () => ground.upcalls.length > 0);
      await ground.quiet();
      const seen = ground.upcalls.map(({ kind, vif, source, group }) => ({ kind, vif, source, group }));
      assert.deepEqual(seen, [{ kind: 'nocache', vif: VIN, source: SOURCE, group: GROUP }]);
      assert.equal((await dumpedEntry(ground))?.unresolved, true);
      succeeds(ground.mroute.addMfc(entry(VIN, [VOUT])));
      assert.equal(await ground.received('out', GROUP, 4), 4);
      assert.equal((await dumpedEntry(ground))?.unresolved, false);
    },
  },
  {
    title: 'an entry without outputs drops its flow in silence',
    async run(ground) {
      addVifs(ground);
      succeeds(ground.mroute.addMfc(entry(VIN, [])));
      await ground.send('in', GROUP, 5);
      await ground.until('five packets counted', async () => (await dumpedEntry(ground))?.packets === 5);
      await ground.quiet();
      assert.equal(ground.upcalls.length, 0);
    },
  },
  {
    title: 'packets on an output are reported as wrong interface at most once in 3 s, and all are counted',
    async run(ground) {
      addVifs(ground);
      succeeds(ground.mroute.addMfc(entry(VOUT, [VIN])));
      await ground.send('in', GROUP, 5);
      await ground.until('the upcall', () => ground.upcalls.length > 0);
      await ground.quiet();
      assert.deepEqual(
        ground.upcalls.map(({ kind, vif }) => [kind, vif]),
        [['wrongvif', VIN]],
      );
      const counters = ground.mroute.mfcCounters(SOURCE, GROUP);
      assert.ok(!(counters instanceof KernelError));
      assert.deepEqual([counters.packets, counters.wrongIf], [5, 5]);
    },
  },
  {
    title: 'without PIM a packet on an interface that is no output is not reported, with PIM it is',
    async run(ground) {
      addVifs(ground);
      succeeds(ground.mroute.setPim(false));
      succeeds(ground.mroute.addMfc(entry(VOUT, [])));
      await ground.send('in', GROUP, 2);
      await ground.until('two packets counted', async () => (await dumpedEntry(ground))?.wrongIf === 2);
      await ground.quiet();
      assert.equal(ground.upcalls.length, 0);
      succeeds(ground.mroute.setPim(true));
      await ground.send('in', GROUP, 1);
      await ground.until('the upcall', () => ground.upcalls.length > 0);
      assert.equal(ground.upcalls[0]?.kind, 'wrongvif');
      succeeds(ground.mroute.setPim(false));
    },
  },
  {
    title: 'adding, replacing and deleting an entry are notified',
    async run(ground) {
      addVifs(ground);
      succeeds(ground.mroute.addMfc(entry(VIN, [])));
      succeeds(ground.mroute.addMfc(entry(VIN, [VOUT])));
      succeeds(ground.mroute.delMfc(SOURCE, GROUP));
      await ground.until('three notifications', () => ground.changes.length >= 3);
      assert.deepEqual(
        ground.changes.map((change) => [change?.kind, change?.entry.group]),
        [
          ['added', GROUP],
          ['added', GROUP],
          ['deleted', GROUP],
        ],
      );
    },
  },
];

const INTERFACES: readonly ContractCase[] = [
  {
    title: 'deleting a device takes its vif silently; entries keep the number, and a reused number leaks',
    async run(ground) {
      addVifs(ground);
      const gone = ground.ifindex('out');
      succeeds(ground.mroute.addMfc(entry(VIN, [VOUT])));
      await ground.deleteDevice('out');
      await ground.until('the link to be forgotten', () => !ground.links.byIndex(gone));
      assert.deepEqual((await dumpedEntry(ground))?.oifs, []);
      assert.equal(codeOf(ground.mroute.delVif(VOUT)), 'EADDRNOTAVAIL');
      succeeds(ground.mroute.addVif(VOUT, ground.ifindex('other')));
      assert.deepEqual(
        (await dumpedEntry(ground))?.oifs.map((oif) => oif.ifindex),
        [ground.ifindex('other')],
      );
    },
  },
  {
    title: 'a link that goes down keeps its vif and its entries',
    async run(ground) {
      addVifs(ground);
      succeeds(ground.mroute.addMfc(entry(VIN, [VOUT])));
      await ground.setDown('out');
      await ground.until('the link to be down', () => ground.links.byIndex(ground.ifindex('out'))?.up === false);
      assert.deepEqual(
        (await dumpedEntry(ground))?.oifs.map((oif) => oif.ifindex),
        [ground.ifindex('out')],
      );
      assert.equal(codeOf(ground.mroute.addVif(VOUT, ground.ifindex('out'))), 'EADDRINUSE');
    },
  },
  {
    title: 'links carry their names, flags and addresses, by index and by name',
    async run({ links, ifindex }) {
      const link = links.byIndex(ifindex('in'));
      assert.ok(link);
      assert.deepEqual([link.up, link.running, link.loopback, link.multicast], [true, true, false, true]);
      assert.deepEqual(
        link.addresses.map(({ address, prefixLength }) => [address, prefixLength]),
        [[ip('10.1.0.1'), 24]],
      );
      assert.equal(links.byName(link.name)?.ifindex, link.ifindex);
    },
  },
  {
    title: 'a look-up finds the connected network, the default route behind its gateway, and our own address',
    async run({ routes, ifindex }) {
      const connected = routes.lookup(ip('10.2.0.77'));
      assert.ok(connected && connected !== 'local');
      assert.deepEqual([connected.ifindex, connected.gateway], [ifindex('out'), undefined]);
      const far = routes.lookup(ip('192.0.2.1'));
      assert.ok(far && far !== 'local');
      assert.deepEqual([far.ifindex, far.gateway], [ifindex('in'), SOURCE]);
      assert.equal(routes.lookup(ip('10.2.0.1')), 'local');
    },
  },
];

const MEMBERSHIPS: readonly ContractCase[] = [
  {
    title: 'the last holder of a group leaves it, not the first; repeating a wish costs no call',
    async run({ membership, ifindex }) {
      const before = membership.counters();
      succeeds(membership.set('a', ifindex('in'), GROUP, ANY_SOURCE_FILTER));
      succeeds(membership.set('a', ifindex('in'), GROUP, ANY_SOURCE_FILTER));
      succeeds(membership.set('b', ifindex('in'), GROUP, ANY_SOURCE_FILTER));
      succeeds(membership.set('a', ifindex('in'), GROUP, undefined));
      assert.deepEqual(membership.counters(), { ...before, joins: before.joins + 1 });
      succeeds(membership.set('b', ifindex('in'), GROUP, undefined));
      assert.equal(membership.counters().leaves, before.leaves + 1);
      assert.deepEqual(membership.list(), []);
    },
  },
  {
    title: 'a paused interface costs no membership call, and resume issues the net difference once',
    async run({ membership, ifindex }) {
      const device = ifindex('in');
      succeeds(membership.set('a', device, ip('239.1.1.9'), ANY_SOURCE_FILTER));
      membership.pause(device);
      const before = membership.counters();
      succeeds(membership.set('a', device, GROUP, ANY_SOURCE_FILTER));
      succeeds(membership.set('a', device, ip('239.1.1.2'), ANY_SOURCE_FILTER));
      succeeds(membership.set('a', device, ip('239.1.1.2'), undefined));
      succeeds(membership.set('a', device, ip('239.1.1.9'), undefined));
      succeeds(membership.set('a', device, ip('239.1.1.9'), ANY_SOURCE_FILTER));
      assert.deepEqual(membership.counters(), before);
      assert.equal(membership.list().find((wish) => wish.group === GROUP)?.held, false);
      assert.deepEqual(membership.resume(device), []);
      assert.deepEqual(membership.counters(), { ...before, joins: before.joins + 1 });
      assert.deepEqual(membership.resume(device), []);
    },
  },
  {
    title: 'a pause of one interface does not touch another',
    async run({ membership, ifindex }) {
      membership.pause(ifindex('in'));
      const before = membership.counters();
      succeeds(membership.set('a', ifindex('out'), GROUP, ANY_SOURCE_FILTER));
      assert.equal(membership.counters().joins, before.joins + 1);
    },
  },
  {
    title: 'an unknown interface gives ENODEV, a group that is not multicast EINVAL',
    async run({ membership, ifindex }) {
      assert.equal(codeOf(membership.set('a', 999_999 as Ifindex, GROUP, ANY_SOURCE_FILTER)), 'ENODEV');
      assert.equal(codeOf(membership.set('a', ifindex('in'), ip('10.9.9.9'), ANY_SOURCE_FILTER)), 'EINVAL');
    },
  },
  {
    title: 'a vanished interface takes its wishes with it',
    async run(ground) {
      const gone = ground.ifindex('out');
      succeeds(ground.membership.set('a', gone, GROUP, ANY_SOURCE_FILTER));
      await ground.deleteDevice('out');
      ground.membership.interfaceGone(gone);
      assert.deepEqual(ground.membership.list(), []);
    },
  },
  {
    title: 'more than twenty groups can be held',
    async run({ membership, ifindex }) {
      for (let n = 1; n <= 50; n++) succeeds(membership.set('a', ifindex('in'), ip(`239.2.2.${n}`), ANY_SOURCE_FILTER));
      assert.equal(membership.list().filter((wish) => wish.held).length, 50);
    },
  },
];

const OWN_ADDRESSES: readonly ContractCase[] = [
  {
    title: 'what another machine sends from a watched address is told with its MAC, what is not watched is not',
    async run(ground) {
      const { addressWatch } = ground;
      const [inside, outside] = [ground.ifindex('in'), ground.ifindex('out')];
      const uses: AddressUse[] = [];
      addressWatch.onUse((use) => uses.push(use));
      succeeds(addressWatch.watch(inside, [ip('10.1.0.1')]));
      succeeds(addressWatch.watch(outside, [ip('10.2.0.1')]));
      succeeds(addressWatch.watch(outside, []));
      await ground.speak('in', ip('10.1.0.9'));
      await ground.speak('out', ip('10.2.0.1'));
      await ground.speak('in', ip('10.1.0.1'));
      await ground.until('the use to be told', () => uses.length > 0);
      assert.deepEqual(uses, [{ ifindex: inside, address: ip('10.1.0.1'), mac: FOREIGN_MAC }]);
    },
  },
  {
    title: 'an interface that does not exist cannot be watched, and nothing may end twice',
    async run({ addressWatch }) {
      assert.equal(codeOf(addressWatch.watch(999_999 as Ifindex, [ip('10.1.0.1')])), 'ENODEV');
      succeeds(addressWatch.watch(999_999 as Ifindex, []));
    },
  },
];

export const KERNEL_CONTRACT: readonly ContractCase[] = [
  ...VIFS_AND_ENTRIES,
  ...UPCALLS,
  ...INTERFACES,
  ...MEMBERSHIPS,
  ...OWN_ADDRESSES,
];
