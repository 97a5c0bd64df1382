/** IGMP on the real manager over the fake kernel: from a host's report to the forwarding entry, and through an ownership change. */
import { expect, test } from 'vitest';
import { ANY4, formatIp, ip } from '../../../src/base/ip.js';
import type { IgmpInterfaceConfig } from '../../../src/config/types.js';
import { IgmpModule } from '../../../src/igmp/module.js';
import type { MgmStatus } from '../../../src/mgm/client.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { settle } from '../../support/fake-clock.js';
import { Bed as ManagerBed, S0, S2 } from '../../support/manager-bed.js';
import { allow, block, isEx, leaveV2, reportV2, reportV3, toEx, toIn } from '../../support/packet-builder.js';
import { DEFAULTS, prefix } from './bed.js';

const G = '239.1.2.3';
const s0 = '10.0.0.9';

class Bed extends ManagerBed {
  readonly module: IgmpModule;

  constructor(config: Partial<IgmpInterfaceConfig> = {}) {
    super();
    const { clock, log, kernel, manager: mgm } = this;
    const interfaces = new Map(['eth0', 'eth1', 'eth2'].map((name) => [name, { ...DEFAULTS, ...config }]));
    const { igmp, links, membership } = kernel;
    const { events } = mgm;
    this.module = new IgmpModule({
      mgm,
      clock,
      log,
      igmp,
      links,
      membership,
      events,
      interfaces,
      maxGroups: 0,
      maxSources: 0,
    });
    this.module.start();
  }

  async take(...ifindexes: readonly Ifindex[]): Promise<MgmStatus[]> {
    return Promise.all(ifindexes.map(async (ifindex) => this.module.take(ifindex)));
  }

  /** How often the entries of the kernel were written. */
  writes(): number {
    return this.manager.snapshot().counters()['kernel.mfc-writes'] ?? 0;
  }

  /** What the kernel would report on the interface. */
  joined(ifindex: Ifindex): string[] {
    return this.kernel.membership
      .groups(ifindex)
      .map(formatIp)
      .filter((group) => !group.startsWith('224.0.0.'));
  }

  /** A host on eth1 says this. */
  async hears(payload: Uint8Array): Promise<void> {
    const [source, destination] = [ip('10.0.1.9'), ip('224.0.0.22')];
    this.kernel.igmp.receive({ ifindex: this.eth1, source, destination, payload, ttl: 1, routerAlert: true });
    await settle();
  }
}

test('a report opens the interface for a flow that is there, a leave closes it after LMQT', async () => {
  const bed = new Bed();
  await bed.take(bed.eth0, bed.eth1);
  await bed.flow(S0, ip(G), bed.eth0);
  expect(bed.entry(S0, ip(G))).toBe('eth0 -> ');
  await bed.hears(reportV2(G));
  expect(bed.entry(S0, ip(G))).toBe('eth0 -> eth1');
  await bed.hears(leaveV2(G));
  await bed.clock.run(1999);
  expect(bed.entry(S0, ip(G))).toBe('eth0 -> eth1');
  await bed.clock.run(1);
  expect(bed.entry(S0, ip(G))).toBe('eth0 -> ');
});

test('sources that every member refuses stay out: of entries that exist and of new ones', async () => {
  const bed = new Bed();
  await bed.take(bed.eth0, bed.eth1, bed.eth2);
  await bed.hears(reportV3(toEx(G)));
  await bed.flow(S0, ip(G), bed.eth0);
  expect(bed.entry(S0, ip(G))).toBe('eth0 -> eth1');
  // when the only member blocks the source
  await bed.hears(reportV3(block(G, s0)));
  await bed.clock.run(2000);
  expect(bed.entry(S0, ip(G))).toBe('eth0 -> ');
  // when it wants it again
  await bed.hears(reportV3(allow(G, s0)));
  expect(bed.entry(S0, ip(G))).toBe('eth0 -> eth1');
  // and a flow that starts while it is refused is vetoed at its creation
  await bed.hears(reportV3(isEx('239.8.8.8', '10.0.2.9')));
  await bed.flow(S2, ip('239.8.8.8'), bed.eth2);
  expect(bed.entry(S2, ip('239.8.8.8'))).toBe('eth2 -> ');
});

test('a flow that is there is not let through for a moment by a join that refuses its source (INT-032)', async () => {
  const bed = new Bed();
  await bed.take(bed.eth0, bed.eth1);
  await bed.flow(S0, ip(G), bed.eth0);
  const writes = bed.writes();
  await bed.hears(reportV3(isEx(G, s0)));
  expect(bed.writes()).toBe(writes);
  expect(bed.entry(S0, ip(G))).toBe('eth0 -> ');
  // nor by the flip of a group that wanted another source
  await bed.hears(reportV3(toIn(G, '10.0.2.9')));
  await bed.clock.run(2000);
  await bed.hears(reportV3(toEx(G, s0)));
  expect(bed.writes()).toBe(writes);
  // and when it wants it, it comes at once
  await bed.hears(reportV3(allow(G, s0)));
  expect(bed.entry(S0, ip(G))).toBe('eth0 -> eth1');
});

test('the refusal holds after an owner came and went, without a packet in between (INT-032)', async () => {
  const bed = new Bed();
  await bed.take(bed.eth0, bed.eth1);
  await bed.hears(reportV3(isEx(G, s0)));
  await bed.flow(S0, ip(G), bed.eth0);
  const pim = await bed.client('pim', [bed.eth1]);
  await bed.resync();
  // the owner decides: it lets the source through
  expect(bed.entry(S0, ip(G))).toBe('eth0 -> eth1');
  expect(bed.heard('pim')).toContain(`local-refuse (${s0},${G}) eth1`);
  // when IGMP is alone again
  await pim.release(bed.eth1);
  await bed.resync();
  expect(bed.entry(S0, ip(G))).toBe('eth0 -> ');
  // and hosts that say the same again cause no write
  const writes = bed.writes();
  await bed.hears(reportV3(isEx(G, s0)));
  expect(bed.writes()).toBe(writes);
});

test('a source that the filter denies does not leave by the interface: neither a new flow nor one that is there', async () => {
  const sourceFilter = [{ action: 'deny' as const, prefix: prefix('10.0.0.0/24') }];
  const bed = new Bed({ sourceFilter });
  await bed.take(bed.eth0, bed.eth1, bed.eth2);
  await bed.flow(S0, ip(G), bed.eth0);
  await bed.hears(reportV3(toEx(G)));
  expect(bed.entry(S0, ip(G))).toBe('eth0 -> ');
  await bed.hears(reportV3(toEx('239.8.8.8')));
  await bed.flow(S0, ip('239.8.8.8'), bed.eth0);
  await bed.flow(S2, ip('239.8.8.8'), bed.eth2);
  expect(bed.entry(S0, ip('239.8.8.8'))).toBe('eth0 -> ');
  expect(bed.entry(S2, ip('239.8.8.8'))).toBe('eth2 -> eth1');
});

test('what another protocol wants elsewhere is joined on an IGMP-only link while that link has no owner (INT-031)', async () => {
  const bed = new Bed({ pull: true });
  await bed.take(bed.eth1);
  const pim = await bed.client('pim', [bed.eth3]);
  await pim.add({ source: ANY4, group: ip(G) }, bed.eth3);
  await settle();
  expect(bed.joined(bed.eth1)).toEqual([G]);
  // when the link gets an owner, and loses it again
  const owner = await bed.client('dvmrp', [bed.eth1]);
  await bed.resync();
  expect(bed.joined(bed.eth1)).toEqual([]);
  await owner.release(bed.eth1);
  await bed.resync();
  expect(bed.joined(bed.eth1)).toEqual([G]);
  await pim.remove({ source: ANY4, group: ip(G) }, bed.eth3);
  await settle();
  expect(bed.joined(bed.eth1)).toEqual([]);
});

test('neither data nor reports of 224.0.0.0/24 make an entry, a membership or a call to anybody (IGMP-041, F31)', async () => {
  const bed = new Bed();
  await bed.take(bed.eth0, bed.eth1);
  await bed.client('pim', [bed.eth3]);
  await bed.forget();
  await bed.hears(reportV3(toEx('224.0.0.251'), isEx('224.0.0.5', s0)));
  await bed.flow(S0, ip('224.0.0.251'), bed.eth0);
  expect(bed.entry(S0, ip('224.0.0.251'))).toBeUndefined();
  expect(bed.memberships()).toEqual([]);
  expect(bed.journal).toEqual([]);
});

test('an owner that takes the interface finds all memberships of then, and forwarding never stops (IGMP-165)', async () => {
  const bed = new Bed();
  await bed.take(bed.eth0, bed.eth1);
  await bed.hears(reportV3(toEx(G)));
  await bed.flow(S0, ip(G), bed.eth0);
  // when a protocol takes it
  await bed.client('pim', [bed.eth1]);
  expect(bed.entry(S0, ip(G))).toBe('eth0 -> eth1');
  await bed.resync();
  expect(bed.heard('pim')).toContain(`local-join (*,${G}) eth1`);
  expect(bed.memberships()).toEqual([`(*,${G}) eth1 igmp`]);
  expect(bed.entry(S0, ip(G))).toBe('eth0 -> eth1');
  expect(bed.state(bed.eth1)).toBe('PG');
  expect(bed.interfaceView(bed.eth1)).toMatchObject({ phase: 'steady', paused: false, stale: 0 });
});

test('at its end IGMP has released everything, and the clock has nothing of it', async () => {
  const bed = new Bed();
  const idle = bed.clock.due();
  await bed.take(bed.eth0, bed.eth1);
  await bed.hears(reportV3(toEx(G)));
  expect(await bed.module.stop()).toMatchObject({ code: 'NO_ERROR' });
  await settle();
  expect(bed.memberships()).toEqual([]);
  expect(bed.clock.due()).toBe(idle);
  expect(bed.log.complaints()).toEqual([]);
});
