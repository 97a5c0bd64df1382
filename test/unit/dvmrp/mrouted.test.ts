/**
 * The scenarios of dvmrp.md section 21 with what mrouted 4.6 really said: recorded at both ends of the link, played to our
 * router. mrouted itself does not run here; what it accepted of ours is seen in what it did next.
 */
import { expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { GROUP } from '../../support/dvmrp-routers.js';
import { toHex } from '../../support/packet-builder.js';
import { CODE, Conversation, type Recorded, Replay } from '../../support/recorded-mrouted.js';

const S = ip('10.1.0.2');
const DOWNSTREAM = new Conversation('mrouted-4.6-downstream.hex');
const UPSTREAM = new Conversation('mrouted-4.6-upstream.hex');

const words = ({ destination, payload }: Recorded) => `${destination} ${toHex(payload)}`;
/** Our generation id is the time of the start. */
const withoutId = (probe: string) => probe.replace(/(1301)....(....ff03)........(.*)$/, '$1$2$3');

test('mrouted 4.6 downstream: two-way, routes, prune, graft, leave, stop and restart (DVMRP-120, DVMRP-121, DVMRP-122)', async () => {
  const replay = new Replay(DOWNSTREAM, { lan: '10.1.0', link: 1 });
  const { router, world, lan, link } = replay;
  const prunes = () => router.dvmrp.views.prunes();
  const crosses = async () => link.copies(await world.sends(lan, S, GROUP));
  await replay.start();
  expect(router.neighbors()).toEqual([]);
  // the Probe that lists us, and the Reports behind it
  await replay.until(11);
  expect(router.neighbors()).toEqual(['10.9.0.2 two-way']);
  expect(router.dvmrp.views.neighbors()[0]).toMatchObject({ version: '3.255', flags: 'PGM' });
  expect(router.way('10.2.0.0/24')).toBe('2 from 10.9.0.2');
  expect(router.dvmrp.views.routes()[0]).toMatchObject({
    originSubnet: '10.1.0.0/24',
    dependents: ['eth0 10.9.0.2'],
  });
  // S sends: it crosses until mrouted's Prune, which has a network in place of the host, and TTL 255
  await replay.until(DOWNSTREAM.done.get('S sends')!);
  expect(await crosses()).toEqual([1]);
  const [prune, second] = DOWNSTREAM.of('mrouted', CODE.prune);
  expect(prune).toMatchObject({ ttl: 255, destination: '10.9.0.1' });
  await replay.until(prune!.sec);
  expect(await crosses()).toEqual([0]);
  // its life: 0x24d6 s
  expect(prunes()).toMatchObject([{ direction: 'received', originSubnet: '10.1.0.0/24', expiresInMs: 0x24d6 * 1000 }]);
  // the host joins, leaves, joins
  const grafts = DOWNSTREAM.of('mrouted', CODE.graft);
  await replay.until(grafts[0]!.sec);
  expect([await crosses(), prunes()]).toEqual([[1], []]);
  await replay.until(second!.sec);
  expect([await crosses(), prunes().length]).toEqual([[0], 1]);
  await replay.until(grafts[1]!.sec);
  expect(await crosses()).toEqual([1]);
  // it stops: 32 for everything, in a moment
  await replay.until(DOWNSTREAM.done.get('mrouted stops')! + 0.02);
  expect(router.way('10.2.0.0/24')).toBe('hold');
  expect(await crosses()).toEqual([0]);
  // it starts again: a new generation id; its route comes back although the hold-down was 3 s old
  const before = router.dvmrp.views.neighbors()[0]!.generationId;
  await replay.until(DOWNSTREAM.done.get('mrouted starts')! + 0.1);
  expect(router.neighbors()).toEqual(['10.9.0.2 two-way']);
  expect(router.dvmrp.views.neighbors()[0]!.generationId).not.toBe(before);
  expect(router.way('10.2.0.0/24')).toBe('2 from 10.9.0.2');
  await replay.until(grafts[2]!.sec);
  expect(await crosses()).toEqual([1]);
  // nothing of it was dropped for a fault
  expect(router.dvmrp.views.statistics()[0]!.dropped).toEqual({});
});

test('downstream: mrouted went on from our Probe, Report and Graft-Acks, and what we send now is the same (DVMRP-123)', async () => {
  const replay = new Replay(DOWNSTREAM, { lan: '10.1.0', link: 1 });
  await replay.start();
  await replay.until(50);
  // our Probe (capabilities 0x2e) made it list us; our Report made it depend on us: 10.1.0.0/24 with 34
  const [alone, listing] = DOWNSTREAM.of('mgmd', CODE.probe);
  const reports = DOWNSTREAM.of('mrouted', CODE.report);
  const listed = DOWNSTREAM.of('mrouted', CODE.probe).find(({ payload }) => payload.length === 16);
  expect(toHex(listed!.payload).endsWith('0a090001')).toBe(true);
  expect(toHex(reports[1]!.payload).slice(16)).toBe('ffff000a0100a2');
  // no Graft came again, as one does after 5 s without an acknowledgement
  const grafts = DOWNSTREAM.of('mrouted', CODE.graft).map(({ sec }) => sec);
  const acks = DOWNSTREAM.of('mgmd', CODE.graftAck);
  expect(grafts).toHaveLength(3);
  for (const [n, { sec }] of acks.entries()) expect(sec - grafts[n]!).toBeLessThan(0.01);
  // what it took then is what we send now
  expect([...new Set(replay.said(CODE.probe).map(withoutId))]).toEqual(
    expect.arrayContaining([alone!, listing!].map(words).map(withoutId)),
  );
  expect(replay.said(CODE.graftAck)).toEqual(acks.map(words));
  expect(replay.said(CODE.report)).toEqual(expect.arrayContaining([words(DOWNSTREAM.of('mgmd', CODE.report)[0]!)]));
  expect(new Set(replay.said(CODE.report))).toEqual(
    new Set(DOWNSTREAM.of('mgmd', CODE.report).slice(0, -1).map(words)),
  );
});

test('mrouted 4.6 upstream: two-way, routes, our prunes and grafts with its acknowledgements, stop and restart (DVMRP-120, DVMRP-121)', async () => {
  const replay = new Replay(UPSTREAM, { lan: '10.2.0', link: 2 });
  const { router, world, lan, lanPort } = replay;
  const arrives = async () => {
    const since = lan.data.size;
    router.kernel.packet(S, GROUP, replay.linkPort);
    await world.settle();
    return lan.data.size - since;
  };
  await replay.start();
  await replay.until(11);
  expect(router.neighbors()).toEqual(['10.9.0.1 two-way']);
  expect(router.way('10.1.0.0/24')).toBe('2 from 10.9.0.1');
  expect(router.dvmrp.views.routes()[1]).toMatchObject({ originSubnet: '10.2.0.0/24', dependents: ['eth0 10.9.0.1'] });
  // data that nobody wants
  await replay.until(UPSTREAM.done.get('S sends')!);
  expect(await arrives()).toBe(0);
  expect(replay.said(CODE.prune)).toHaveLength(1);
  // the host joins: a Graft, until mrouted's acknowledgement with TTL 255
  const acks = UPSTREAM.of('mrouted', CODE.graftAck);
  for (const [n, { sec, ttl }] of acks.entries()) {
    await replay.until(sec - 0.002);
    await router.hosts.joins(lanPort, GROUP);
    await world.settle();
    expect(router.dvmrp.views.grafts()).toHaveLength(1);
    await replay.until(sec);
    expect([ttl, router.dvmrp.views.grafts()]).toEqual([255, []]);
    expect(await arrives()).toBe(1);
    await replay.until(sec + 2);
    if (n === acks.length - 1) break;
    await router.hosts.leaves(lanPort, GROUP);
    await world.settle();
  }
  // none was sent twice, and they are those that mrouted took
  const [first] = UPSTREAM.of('mgmd', CODE.graft);
  expect(replay.said(CODE.graft)).toEqual([words(first!), words(first!)]);
  const pruned = UPSTREAM.of('mgmd', CODE.prune)[0]!;
  const upToLifetime = (prune: string) => prune.replace(/(1307)....(.*)........$/, '$1$2');
  expect(replay.said(CODE.prune).map(upToLifetime)).toEqual([words(pruned), words(pruned)].map(upToLifetime));
  // it stops and starts again
  await replay.until(UPSTREAM.done.get('mrouted stops')! + 0.02);
  expect([router.way('10.1.0.0/24'), await arrives()]).toEqual(['hold', 0]);
  await replay.until(UPSTREAM.done.get('mrouted starts')! + 0.1);
  expect(router.way('10.1.0.0/24')).toBe('2 from 10.9.0.1');
  expect([router.neighbors(), await arrives()]).toEqual([['10.9.0.1 two-way'], 1]);
  expect(router.dvmrp.views.statistics()[0]!.dropped).toEqual({});
});

test('upstream: mrouted depended on our Reports, obeyed our Prunes and acknowledged our Grafts; what we send now is the same (DVMRP-123)', async () => {
  const replay = new Replay(UPSTREAM, { lan: '10.2.0', link: 2 });
  await replay.start();
  await replay.until(UPSTREAM.done.get('mrouted stops')! - 0.1);
  expect(toHex(UPSTREAM.of('mrouted', CODE.report)[1]!.payload).slice(16)).toBe('ffff000a0200a2');
  const grafts = UPSTREAM.of('mgmd', CODE.graft);
  const acks = UPSTREAM.of('mrouted', CODE.graftAck);
  expect(acks.map(({ payload }) => toHex(payload.subarray(8)))).toEqual(
    grafts.map(({ payload }) => toHex(payload.subarray(8))),
  );
  // no Prune was repeated, as one is after 3 s of data: it was obeyed (the third is of the end, when we stopped)
  expect(UPSTREAM.of('mgmd', CODE.prune)).toHaveLength(3);
  const sent = UPSTREAM.of('mgmd', CODE.report).filter(({ sec }) => sec < UPSTREAM.done.get('mrouted stops')!);
  expect(new Set(replay.said(CODE.report))).toEqual(new Set(sent.map(words)));
});
