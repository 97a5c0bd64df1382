/** Sources that all hosts of a downstream refuse: no write to the kernel ever lets one through there, whatever comes first (E3). */
import { expect, test } from 'vitest';
import { formatIp, ip, type IpAddress } from '../../../src/base/ip.js';
import { S0, S2, S3 } from '../../support/manager-bed.js';
import { allow, isEx, isIn, reportV3, toEx, toIn } from '../../support/packet-builder.js';
import { Bed, G } from './bed.js';

const OTHER = ip('10.0.0.77');
const [s0, s2, s3] = [S0, S2, S3].map(formatIp) as [string, string, string];

/** Writes of the flow's entry that leave by eth1. */
function opened(bed: Bed, source: IpAddress): number {
  const vif = bed.kernel.mroute.table().vifs.find((one) => one.ifindex === bed.eth1)!.vif;
  return bed.kernel.mroute.written.filter((mfc) => mfc.source === source && mfc.ttls[vif]! > 0).length;
}

/** The streams of upstream and of another downstream are there before anybody joins. */
async function streaming(bed: Bed): Promise<Bed> {
  await bed.serve();
  await bed.flow(S0, ip(G), bed.eth0);
  await bed.flow(S2, ip(G), bed.eth2);
  return bed;
}

test.each([
  ['TO_EX', toEx],
  ['IS_EX', isEx],
])('a first join by %s with sources lets none of their streams through, and the others (E3)', async (_, record) => {
  const bed = await streaming(new Bed());
  await bed.flow(OTHER, ip(G), bed.eth0);
  await bed.hears(bed.eth1, reportV3(record(G, s0, s2)));
  expect([opened(bed, S0), opened(bed, S2)]).toEqual([0, 0]);
  expect(bed.shown(OTHER, G)).toBe('eth0 -> eth1');
  expect(bed.calls()).toEqual([`join eth0 ${G} exclude ${s0},${s2}`]);
  // and a source that is wanted after all comes at once
  await bed.hears(bed.eth1, reportV3(allow(G, s2)));
  expect(bed.shown(S2, G)).toBe('eth2 -> eth0,eth1');
});

test('a group that wanted one source and now all but some lets none of these through (E3)', async () => {
  const bed = await streaming(new Bed());
  await bed.hears(bed.eth1, reportV3(isIn(G, s3)));
  await bed.hears(bed.eth1, reportV3(toEx(G, s0, s2)));
  expect([opened(bed, S0), opened(bed, S2)]).toEqual([0, 0]);
  // and back
  await bed.hears(bed.eth1, reportV3(toIn(G, s3)));
  await bed.clock.run(5000);
  await bed.hears(bed.eth1, reportV3(toEx(G, s0, s2)));
  expect([opened(bed, S0), opened(bed, S2)]).toEqual([0, 0]);
});

test('an owner that takes the interface, or gives it back, lets no refused source through, nor does a join elsewhere meanwhile (E3)', async () => {
  const bed = new Bed();
  await bed.proxy.take(bed.eth0);
  await bed.igmpModule.take(bed.eth1);
  await bed.igmpModule.take(bed.eth2);
  await bed.turn();
  await bed.flow(S0, ip(G), bed.eth0);
  await bed.hears(bed.eth1, reportV3(toEx(G, s0)));
  for (const change of [() => bed.proxy.take(bed.eth1), () => bed.proxy.release(bed.eth1)]) {
    void change();
    // before IGMP has said anything again
    const [source, payload] = [ip('10.0.2.9'), reportV3(toEx(G))];
    bed.kernel.igmp.receive({ ifindex: bed.eth2, source, destination: ip('224.0.0.22'), payload, ttl: 1 });
    await bed.turn();
    expect(bed.shown(S0, G)).toBe('eth0 -> eth2');
    expect(opened(bed, S0)).toBe(0);
    await bed.hears(bed.eth2, reportV3(toIn(G)));
    await bed.clock.run(5000);
  }
});

test('a first join beside a static source lets that one through and the refused ones not (E3)', async () => {
  const staticGroups = [{ group: ip(G), source: S2 }];
  const bed = await streaming(new Bed({}, { staticGroups }));
  await bed.hears(bed.eth1, reportV3(toEx(G, s0, s2)));
  expect(opened(bed, S0)).toBe(0);
  expect(bed.shown(S2, G)).toBe('eth2 -> eth0,eth1');
});
