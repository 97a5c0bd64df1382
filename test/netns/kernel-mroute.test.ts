/** The multicast routing socket on the real kernel: what is written is what a dump shows, and foreign writes are noticed. */
import { createSocket } from 'node:dgram';
import { expect, test } from 'vitest';
import { KernelError } from '../../src/base/errors.js';
import { ip as address, ipv4, toU32 } from '../../src/base/ip.js';
import { loadAddon, type NativeIgmpSocket } from '../../src/kernel/addon.js';
import { openKernel } from '../../src/kernel/system.js';
import { type Mfc, type MfcChange, type Upcall, type Vif, VIFS } from '../../src/port/kernel.js';
import { FakeClock } from '../support/fake-clock.js';
import { eventually } from '../support/eventually.js';
import { RecordingLog } from '../support/recording-log.js';
import { openOwn, removeDevices, veth, withKernel } from './own-namespace.js';

const S = address('10.1.0.2');
const G = address('239.1.1.1');
const V0 = 0 as Vif;
const V1 = 1 as Vif;

function entry(group = G, oifs: readonly Vif[] = [V1]): Mfc {
  const ttls = new Uint8Array(VIFS);
  for (const vif of oifs) ttls[vif] = 5;
  return { source: S, group, iif: V0, ttls };
}

/** A second socket of somebody who does not own the table: what it writes is static. */
function stranger(): NativeIgmpSocket {
  const socket = loadAddon().openIgmpSocket();
  if (typeof socket === 'number') throw new Error(`errno ${socket}`);
  return socket;
}

async function dumpOf(kernel: ReturnType<typeof openOwn>['kernel']) {
  const dump = await kernel.mroute.dump();
  if (dump instanceof KernelError) throw dump;
  return dump;
}

test('a dump shows a thousand entries and the vifs as they were written', async () => {
  await withKernel(async ({ kernel }) => {
    const [a, b] = [veth('a', '10.1.0.1/24'), veth('b', '10.2.0.1/24')];
    expect(kernel.mroute.addVif(V0, a)).toBeUndefined();
    expect(kernel.mroute.addVif(V1, b)).toBeUndefined();
    for (let n = 0; n < 1000; n++)
      expect(kernel.mroute.addMfc(entry(ipv4(0xef020000 + n), n % 2 ? [V1] : []))).toBeUndefined();
    const dump = await dumpOf(kernel);
    expect(dump.vifs).toEqual([
      { vif: V0, ifindex: a, static: false },
      { vif: V1, ifindex: b, static: false },
    ]);
    const byGroup = new Map(dump.entries.map((dumped) => [dumped.group, dumped]));
    expect(byGroup.size).toBe(1000);
    for (let n = 0; n < 1000; n++)
      expect(byGroup.get(ipv4(0xef020000 + n))).toEqual({
        source: S,
        group: ipv4(0xef020000 + n),
        unresolved: false,
        static: false,
        iif: a,
        oifs: n % 2 ? [{ ifindex: b, ttl: 5 }] : [],
        packets: 0,
        wrongIf: 0,
      });
  });
});

test('what a stranger writes and deletes arrives as a change (F02)', async () => {
  await withKernel(async ({ kernel }) => {
    kernel.mroute.addVif(V0, veth('a', '10.1.0.1/24'));
    const changes: (MfcChange | undefined)[] = [];
    kernel.mroute.onChange((change) => changes.push(change));
    kernel.mroute.addMfc(entry());
    const socket = stranger();
    const foreign = loadAddon().mrouteOf(socket, 253);
    expect(foreign.addMfc(toU32(S), toU32(address('239.9.9.9')), 0, new Uint8Array(VIFS))).toBe(0);
    expect(foreign.delMfc(toU32(S), toU32(G))).toBe(0);
    await eventually('three changes', () => changes.length >= 3);
    const seen = changes.map((change) => [change?.kind, change?.entry.group, change?.entry.static]);
    expect(seen).toEqual([
      ['added', G, false],
      ['added', address('239.9.9.9'), true],
      ['deleted', G, false],
    ]);
    socket.close();
  });
});

test('vifs and modes that a stranger changes are told or can be read, and who owns the table reclaims nothing (C5)', async () => {
  await withKernel(async ({ kernel }) => {
    const ifindex = veth('a', '10.1.0.1/24');
    kernel.mroute.addVif(V0, ifindex);
    expect(await kernel.mroute.state()).toEqual({
      vifs: [{ vif: V0, ifindex, static: false }],
      asserts: true,
      pim: false,
    });
    let told = 0;
    kernel.mroute.onVifChange(() => told++);
    const socket = stranger();
    const foreign = loadAddon().mrouteOf(socket, 253);
    expect(foreign.setAssert(false)).toBe(0);
    expect(await kernel.mroute.state()).toMatchObject({ asserts: false, pim: false });
    expect(kernel.mroute.setPim(false)).toBeUndefined();
    expect(await kernel.mroute.state()).toMatchObject({ asserts: true });
    const before = told;
    expect(foreign.delVif(V0)).toBe(0);
    await eventually('a word of the vif', () => told > before);
    expect(await kernel.mroute.state()).toMatchObject({ vifs: [] });
    expect(kernel.mroute.reclaim()).toBe(false);
    socket.close();
  });
});

test('ten thousand writes in a row give ten thousand changes', async () => {
  await withKernel(async ({ kernel }) => {
    kernel.mroute.addVif(V0, veth('a', '10.1.0.1/24'));
    let seen = 0;
    let lost = 0;
    kernel.mroute.onChange((change) => (change ? seen++ : lost++));
    for (let n = 0; n < 10_000; n++) kernel.mroute.addMfc(entry(ipv4(0xef020000 + n), []));
    await eventually('all changes', () => seen >= 10_000);
    expect([seen, lost]).toEqual([10_000, 0]);
    expect((await dumpOf(kernel)).entries).toHaveLength(10_000);
  });
});

test('when changes are lost the handler hears undefined', async () => {
  await withKernel(async ({ kernel }) => {
    kernel.mroute.addVif(V0, veth('a', '10.1.0.1/24'));
    let lost = 0;
    kernel.mroute.onChange((change) => {
      if (!change) lost++;
    });
    // More than the buffer holds, without a turn of the event loop in between.
    for (let n = 0; n < 60_000; n++) kernel.mroute.addMfc(entry(ipv4(0xef020000 + n), []));
    await eventually('word of the loss', () => lost > 0);
  });
});

test('a cold start counts and removes what an earlier life left behind (F03)', async () => {
  const a = veth('a', '10.1.0.1/24');
  const socket = stranger();
  const earlier = loadAddon().mrouteOf(socket, 253);
  expect(earlier.addVif(0, a)).toBe(0);
  expect(earlier.addMfc(toU32(S), toU32(G), 0, new Uint8Array(VIFS))).toBe(0);
  socket.close();
  const { kernel } = openOwn();
  expect(kernel.leftovers).toEqual({ entries: 1, vifs: 1 });
  expect(await dumpOf(kernel)).toEqual({ entries: [], vifs: [] });
  kernel.close();
  removeDevices();
});

test('a table that somebody holds is refused, with the table and the suspects in the text (F01)', async () => {
  await withKernel(() => {
    const second = openKernel({ table: 253, clock: new FakeClock(), log: new RecordingLog() });
    expect(second.ok).toBe(false);
    const error = second.ok ? undefined : second.error;
    expect(error).toMatchObject({ op: 'MRT_INIT', code: 'EADDRINUSE', errno: 98 });
    expect(error?.message).toContain('Another multicast routing daemon holds table 253');
  });
  // and nothing of the refused attempt or of the first one holds it any longer
  openOwn().kernel.close();
});

test('another table has an owner and entries of its own (F53)', async () => {
  await withKernel(async ({ kernel }) => {
    const a = veth('a', '10.1.0.1/24');
    const other = openOwn({ table: 100 });
    const changes: (MfcChange | undefined)[] = [];
    kernel.mroute.onChange((change) => changes.push(change));
    expect(other.kernel.mroute.addVif(V0, a)).toBeUndefined();
    expect(other.kernel.mroute.addMfc(entry())).toBeUndefined();
    expect((await dumpOf(other.kernel)).entries).toHaveLength(1);
    expect(await dumpOf(kernel)).toEqual({ entries: [], vifs: [] });
    expect(changes).toEqual([]);
    other.kernel.close();
  });
});

test.each([253, 100])('a successor takes table %i over as it is', async (table) => {
  const a = veth('a', '10.1.0.1/24');
  const { kernel } = openOwn({ table });
  kernel.mroute.addVif(V0, a);
  kernel.mroute.addMfc(entry());
  const fd = kernel.duplicateSocket();
  if (fd instanceof KernelError) throw fd;
  const { kernel: successor } = openOwn({ table, inheritedFd: fd });
  expect(successor.leftovers).toEqual({ entries: 0, vifs: 0 });
  expect((await dumpOf(successor)).entries.map(({ group }) => group)).toEqual([G]);
  expect(successor.mroute.addMfc(entry(G, []))).toBeUndefined();
  successor.close();
  kernel.close();
  removeDevices();
});

test('the router’s own packets to new groups are reported together, the newest first', async () => {
  await withKernel(async ({ kernel }) => {
    const a = veth('a', '10.1.0.1/24');
    kernel.mroute.addVif(V0, a);
    const batches: (readonly Upcall[])[] = [];
    kernel.mroute.onUpcalls((upcalls) => batches.push(upcalls));
    expect(kernel.start()).toBeUndefined();
    // what the router itself sends asks for an entry as any other packet does (linux.md A5)
    const sender = createSocket('udp4');
    await new Promise<void>((bound) => sender.bind(0, bound));
    sender.setMulticastInterface('10.1.0.1');
    for (let n = 1; n <= 3; n++) sender.send('x', 5000, `239.3.0.${n}`);
    const upcalls = await eventually('three upcalls', () => {
      const all = batches.flat();
      return all.length >= 3 && all;
    });
    expect(upcalls.map(({ kind, vif, source }) => ({ kind, vif, source }))).toEqual(
      Array.from({ length: 3 }, () => ({ kind: 'nocache', vif: V0, source: address('10.1.0.1') })),
    );
    expect(batches[0]?.map(({ group }) => toU32(group) & 0xff)).toEqual([3, 2, 1]);
    expect(upcalls[0]?.packet.length).toBeGreaterThanOrEqual(20);
    const counts = (await dumpOf(kernel)).entries.filter(({ unresolved }) => unresolved);
    expect(counts).toHaveLength(3);
    sender.close();
  });
});
