/** Interfaces of the proxy that are handed over, released, deleted, created again and renamed. */
import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { any, S0, S1, sg } from '../../support/manager-bed.js';
import { leaveV2, reportV2 } from '../../support/packet-builder.js';
import { Bed, G, H, settle, TWO, upstream } from './bed.js';

const s0 = '10.0.0.9';

async function handover(bed: Bed, ifindex: Ifindex, from: string, to: string): Promise<void> {
  const view = await bed.manager.handover(ifindex, from, to, false);
  expect(view).toMatchObject({ done: true });
  await bed.turn();
}

/** A member on eth1 whose stream passes. */
async function streaming(bed: Bed): Promise<void> {
  await bed.hears(bed.eth1, reportV2(G));
  expect(await bed.flows(S0, G, bed.eth0)).toBe('eth0 -> eth1');
  bed.calls();
}

test('a downstream with members that goes to another protocol and back: no call, no write, the stream stays (F43)', async () => {
  const bed = await new Bed({ leaveDelayMs: 0 }).serve();
  await bed.client('red');
  await streaming(bed);
  const writes = bed.kernel.mroute.calls.addMfc;
  for (let round = 0; round < 3; round++) {
    await handover(bed, bed.eth1, 'proxy', 'red');
    await bed.clock.run(10_000);
    expect(bed.proxy.groups()).toMatchObject([{ group: G, wantedBy: ['others'] }]);
    await handover(bed, bed.eth1, 'red', 'proxy');
    await bed.clock.run(10_000);
    expect(bed.proxy.groups()).toMatchObject([{ group: G, wantedBy: ['eth1'] }]);
  }
  expect(bed.calls()).toEqual([]);
  expect(bed.shown(S0, G)).toBe('eth0 -> eth1');
  expect(bed.kernel.mroute.calls.addMfc).toBe(writes);
});

test('a downstream that is released to IGMP alone is one of the others from then on', async () => {
  const bed = await new Bed().serve();
  await streaming(bed);
  await bed.proxy.release(bed.eth1);
  await bed.clock.run(10_000);
  expect(bed.calls()).toEqual([]);
  expect(bed.shown(S0, G)).toBe('eth0 -> eth1');
  await bed.hears(bed.eth1, leaveV2(G));
  await bed.clock.run(5000);
  expect(bed.calls()).toEqual([`leave eth0 ${G}`]);
});

test('a downstream where IGMP was first: what hosts said before the Take is asked for, and the role is known', async () => {
  const bed = new Bed();
  await bed.igmpModule.take(bed.eth1);
  await bed.hears(bed.eth1, reportV2(G));
  await bed.serve();
  expect(bed.held()).toEqual([`eth0 ${G} exclude`]);
  expect(await bed.flows(S0, G, bed.eth0)).toBe('eth0 -> eth1');
});

test('an upstream that goes to another protocol: joined on the next one first, and left after the pause (IGMP-150)', async () => {
  const bed = new Bed(TWO);
  await bed.serve(bed.eth0, bed.eth3);
  await bed.client('red');
  await streaming(bed);
  await handover(bed, bed.eth0, 'proxy', 'red');
  expect(bed.calls()).toEqual([`join eth3 ${G} exclude`, `leave eth0 ${G}`]);
  expect(bed.hostIgmp.calls.at(-1)).toBe(`restore ${bed.eth0}`);
  await handover(bed, bed.eth0, 'red', 'proxy');
  expect(bed.calls()).toEqual([`join eth0 ${G} exclude`, `leave eth3 ${G}`]);
  expect(bed.memberships()).toContain('(*,*) eth0 proxy');
});

test('an upstream that comes by hand-over: sources behind it that others want already are asked', async () => {
  const bed = new Bed();
  await bed.client('red', [bed.eth0]);
  const dense = await bed.client('dense', [bed.eth3]);
  await dense.add(sg(S0, ip(G)), bed.eth3);
  await bed.turn();
  expect(bed.heard('red')).toContain(`join (${s0},${G}) TRUE`);
  await handover(bed, bed.eth0, 'red', 'proxy');
  expect(bed.calls()).toEqual([`join eth0 ${G} include ${s0}`]);
  expect(bed.heard('red').at(-1)).toBe(`prune (${s0},${G}) TRUE`);
  await dense.remove(sg(S0, ip(G)), bed.eth3);
  await bed.clock.run(500);
  expect(bed.calls()).toEqual([`leave eth0 ${G}`]);
});

test('an upstream that is deleted and created anew gets its groups again, under its new number (F08)', async () => {
  const bed = await new Bed().serve();
  await streaming(bed);
  bed.kernel.deleteDevice(bed.eth0);
  await bed.turn();
  expect(bed.proxy.upstreams()).toMatchObject([{ interface: 'eth0', state: 'absent', groups: 0 }]);
  expect(bed.proxy.groups()).toMatchObject([{ group: G, upstream: null, wantedBy: ['eth1'] }]);
  bed.calls();
  const again = bed.kernel.addDevice('eth0', '10.0.0.1/24');
  await bed.proxy.take(again);
  await bed.turn();
  expect(bed.kernel.membership.list()).toContainEqual(expect.objectContaining({ holder: 'proxy', ifindex: again }));
  expect(bed.proxy.upstreams()).toMatchObject([{ state: 'up', groups: 1 }]);
});

test('a downstream that is deleted ends what was wanted there', async () => {
  const bed = await new Bed().serve();
  await streaming(bed);
  bed.kernel.deleteDevice(bed.eth1);
  await bed.turn();
  await bed.clock.run(500);
  expect(bed.calls()).toEqual([`leave eth0 ${G}`]);
});

test('an interface that gets another name ceases to be an upstream, and is one again with its name (C6)', async () => {
  const bed = new Bed({ upstreams: [upstream('wan'), upstream('eth3')] });
  const rename = async (name: string) => {
    bed.kernel.changeDevice(bed.eth0, { name });
    await bed.turn();
    await bed.proxy.take(bed.eth0);
    await bed.turn();
  };
  await bed.serve(bed.eth0, bed.eth3);
  await bed.hears(bed.eth1, reportV2(G));
  expect(bed.calls()).toEqual([`join eth3 ${G} exclude`]);
  expect(await bed.flows(S1, H, bed.eth1)).toBe('eth1 -> eth3');
  await rename('wan');
  expect(bed.calls()).toEqual([`join eth0 ${G} exclude`, `leave eth3 ${G}`]);
  expect(bed.shown(S1, H)).toBe('eth1 -> eth0');
  await rename('eth0');
  expect(bed.calls()).toEqual([`join eth3 ${G} exclude`, `leave eth0 ${G}`]);
  expect(bed.shown(S1, H)).toBe('eth1 -> eth3');
  expect(bed.memberships()).not.toContain('(*,*) wan proxy');
});

test('the wishes of a downstream end with its name (C6)', async () => {
  const bed = new Bed({ upstreams: [upstream('eth0'), upstream('wan')] });
  await bed.serve();
  await bed.hears(bed.eth1, reportV2(G));
  await bed.hears(bed.eth2, reportV2(H));
  bed.kernel.changeDevice(bed.eth1, { name: 'wan' });
  await bed.turn();
  await bed.proxy.take(bed.eth1);
  await bed.clock.run(500);
  expect(bed.proxy.groups()).toMatchObject([{ group: H, wantedBy: ['eth2'] }]);
  expect(bed.proxy.upstreams()).toMatchObject([{ groups: 1 }, { interface: 'wan', state: 'up' }]);
});

test('a Take that the manager refuses leaves nothing behind', async () => {
  const bed = new Bed();
  await bed.client('red', [bed.eth1]);
  expect((await bed.proxy.take(bed.eth1)).detail).toBe('ownedByOther');
  expect((await bed.proxy.take(99 as Ifindex)).detail).toBe('noSuchInterface');
  expect(await bed.proxy.release(bed.eth1)).toMatchObject({ code: 'ERROR_INVALID_PARAMETER' });
  expect(bed.proxy.upstreams()).toMatchObject([{ state: 'released' }]);
});

test('a join that the kernel refuses is told, and made half a minute later', async () => {
  const bed = await new Bed().serve();
  const { membership } = bed.kernel;
  const set = membership.set.bind(membership);
  membership.set = (...call) => set(...call) ?? set('x', 99 as Ifindex, ip(G), { mode: 'exclude', sources: [] });
  await bed.hears(bed.eth1, reportV2(G));
  expect(bed.log.of('proxy.join.refused')).toHaveLength(1);
  expect(bed.proxy.counters().joinsRefused).toBe(1);
  membership.set = set;
  await bed.clock.run(30_000);
  expect(bed.held()).toEqual([`eth0 ${G} exclude`]);
});

test('the second Take of an interface changes nothing', async () => {
  const bed = await new Bed().serve();
  await streaming(bed);
  expect((await bed.proxy.take(bed.eth0)).detail).toBe('alreadyTaken');
  expect((await bed.proxy.take(bed.eth1)).detail).toBe('alreadyTaken');
  await bed.turn();
  expect(bed.calls()).toEqual([]);
  expect(bed.shown(S0, G)).toBe('eth0 -> eth1');
});

test('before its start and after its end the proxy takes nothing', async () => {
  const bed = await new Bed().serve();
  await bed.proxy.stop();
  expect(await bed.proxy.take(bed.eth0)).toMatchObject({ detail: 'badHandle' });
  expect(await bed.proxy.release(bed.eth0)).toMatchObject({ detail: 'badHandle' });
  expect(await bed.proxy.stop()).toMatchObject({ code: 'NO_ERROR' });
  await settle();
});

test('any source covers a source that others name, and leaves it behind', async () => {
  const bed = await new Bed().serve();
  const other = await bed.client('other', [bed.eth3]);
  await other.add(any(ip(G)), bed.eth3);
  await other.add(sg(S0, ip(G)), bed.eth3);
  await bed.turn();
  expect(bed.held()).toEqual([`eth0 ${G} exclude`]);
  await other.remove(any(ip(G)), bed.eth3);
  await bed.turn();
  expect(bed.held()).toEqual([`eth0 ${G} include ${s0}`]);
});

test('an upstream that appears while streams run is not opened for them, not even for a moment', async () => {
  // given 300 streams from the first upstream to a member
  const bed = await new Bed(TWO).serve();
  const groups = Array.from({ length: 300 }, (_, n) => `239.7.${n >> 8}.${n & 255}`);
  for (const group of groups) {
    await bed.hears(bed.eth1, reportV2(group));
    expect(await bed.flows(S0, group, bed.eth0)).toBe('eth0 -> eth1');
  }
  const written: string[] = [];
  const addMfc = bed.kernel.mroute.addMfc.bind(bed.kernel.mroute);
  bed.kernel.mroute.addMfc = (entry) => {
    written.push(String(entry.group));
    return addMfc(entry);
  };
  // when the second one comes, for which the proxy holds (*,*)
  await bed.proxy.take(bed.eth3);
  await bed.turn();
  // then no entry was written at all
  expect(written).toEqual([]);
  expect(bed.shown(S0, groups[299]!)).toBe('eth0 -> eth1');
});

test('views of the proxy pass over a group a step before their first row (A4)', async () => {
  const bed = await new Bed().serve();
  await bed.hears(bed.eth1, reportV2(G));
  await bed.hears(bed.eth1, reportV2(H));
  const steps = (rows: Iterable<object | undefined>) => [...rows].map((row) => row !== undefined);
  expect(steps(await bed.proxy.eachUpstream())).toEqual([false, false, true]);
  // asked, wanted, then the rows
  expect(steps(bed.proxy.eachGroup())).toEqual([false, false, false, false, true, true]);
});

test('the versions of all upstreams are one question to the kernel, for a view as for a look (A4)', async () => {
  const upstreams = ['eth0', 'eth2', 'eth3'].map((name) => upstream(name));
  const bed = await new Bed({ upstreams }).serve();
  const before = bed.hostIgmp.refreshes;
  const rows = [...(await bed.proxy.eachUpstream())].filter((row) => row !== undefined);
  expect(rows).toHaveLength(3);
  expect(bed.hostIgmp.refreshes - before).toBe(1);
});
