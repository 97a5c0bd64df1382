/**
 * The pause around a change of owner, held open by an IGMP that acknowledges when the test says so: what the wire, the
 * kernel, strace and the gate's own counters show of mgmd's memberships between disable and enable, and after it.
 */
// needs: tshark tcpdump strace
import { execFileSync } from 'node:child_process';
import { expect } from 'vitest';
import { ANY4, type IpAddress, ip, toU32 } from '../../src/base/ip.js';
import { defaultIgmpConfig } from '../../src/config/check.js';
import { IgmpModule } from '../../src/igmp/module.js';
import { loadAddon } from '../../src/kernel/addon.js';
import {
  type ClientCallbacks,
  type Handle,
  type MembershipKey,
  type MgmStatus,
  PROTOCOL,
} from '../../src/mgm/client.js';
import { ANY_SOURCE_FILTER, type MembershipCounters, type MembershipFilter } from '../../src/port/kernel.js';
import { Child } from '../support/child.js';
import { settle } from '../support/fake-clock.js';
import { eventually } from '../support/eventually.js';
import { Reports, twice } from '../support/igmp-reports.js';
import { RealBed } from '../support/real-bed.js';
import { linksPass, type Net, netnsTest } from '../support/topology.js';
import { joinedGroups, procNet } from './own-namespace.js';

/** The interface that changes its owner, and one that does not. */
const PAUSED = 2;
const OTHER = 3;
const HOLDER = 'test';
const G = ip('239.1.1.1');
const any = (group: IpAddress): MembershipKey => ({ source: ANY4, group });

/** The acknowledgements of IGMP's callbacks, given one by one. */
class HeldAnswers {
  readonly asked: string[] = [];
  #waiting: (() => void) | undefined;

  readonly disableIgmp = (): Promise<void> => this.#hold('disable');
  readonly enableIgmp = (): Promise<void> => this.#hold('enable');

  async acknowledge(): Promise<void> {
    if (!this.#waiting) throw new Error('no callback waits for an acknowledgement');
    this.#waiting();
    this.#waiting = undefined;
    await settle();
  }

  #hold(what: string): Promise<void> {
    this.asked.push(what);
    return new Promise((resolve) => {
      this.#waiting = resolve;
    });
  }
}

interface Scene {
  readonly net: Net;
  readonly bed: RealBed;
}

function pauseTest(title: string, body: (scene: Scene) => Promise<void>): void {
  netnsTest(title, async (net) => {
    const bed = new RealBed(net);
    try {
      await linksPass('the LANs to pass packets', () =>
        JSON.parse(execFileSync('ip', ['-json', 'link', 'show'], { encoding: 'utf8' })),
      );
      await body({ net, bed });
    } finally {
      await bed.close();
    }
  });
}

/** A fake IGMP on the paused and the other LAN that acknowledges by hand, and a client that takes the first from it. */
async function heldIgmp(bed: RealBed, callbacks: ClientCallbacks = {}): Promise<HeldAnswers & { igmp: Handle }> {
  const held = new HeldAnswers();
  const { disableIgmp, enableIgmp } = held;
  const igmp = await bed.client('igmp', [1, PAUSED, OTHER], { disableIgmp, enableIgmp, ...callbacks }, PROTOCOL.igmp);
  return Object.assign(held, { igmp });
}

function include(...sources: readonly string[]): MembershipFilter {
  return { mode: 'include', sources: sources.map(ip) };
}

/** States wishes for a LAN: group to filter. */
function wish(bed: RealBed, n: number, wishes: Readonly<Record<string, MembershipFilter | undefined>>): void {
  for (const [group, filter] of Object.entries(wishes))
    expect(bed.kernel.membership.set(HOLDER, bed.lan(n).ifindex, ip(group), filter), group).toBeUndefined();
}

/** A member of groups that is not mgmd, on the paused LAN. */
class Stranger {
  readonly #pool;
  readonly #ifindex: number;

  constructor(bed: RealBed) {
    const pool = loadAddon().openMembershipSocket();
    if (typeof pool === 'number') throw new Error(`no socket for memberships: errno ${pool}`);
    this.#pool = pool;
    this.#ifindex = bed.lan(PAUSED).ifindex;
  }

  join(group: string): void {
    expect(this.#pool.join(this.#ifindex, toU32(ip(group)))).toBe(0);
  }

  close(): void {
    this.#pool.close();
  }
}

/** What the kernel holds on the paused LAN. */
function kernelState(): { readonly groups: readonly string[]; readonly filters: readonly string[] } {
  const filters = procNet('mcfilter')
    .split('\n')
    .filter((line) => line.includes('lan2'));
  return { groups: [...joinedGroups('lan2')].sort(), filters: filters.sort() };
}

function plus(before: MembershipCounters, more: Partial<MembershipCounters>): MembershipCounters {
  const { joins = 0, leaves = 0, filters = 0 } = more;
  return { joins: before.joins + joins, leaves: before.leaves + leaves, filters: before.filters + filters };
}

const KEPT = '239.2.0.1';
const LEFT = '239.2.0.2';
const FILTERED = '239.2.0.3';
const JOINED = '239.2.0.4';
const FLICKERED = '239.2.0.5';
const RECONSIDERED = '239.2.0.6';
const ELSEWHERE = '239.3.0.1';
const [MARK_1, MARK_2, MARK_3] = ['239.9.0.1', '239.9.0.2', '239.9.0.3'];
const [S1, S2, S3] = ['10.9.0.1', '10.9.0.2', '10.9.0.3'];

/** Memberships on the paused LAN before the pause, told to the LAN completely. */
async function settledMemberships(bed: RealBed, reports: Reports): Promise<void> {
  wish(bed, PAUSED, {
    [KEPT]: ANY_SOURCE_FILTER,
    [LEFT]: ANY_SOURCE_FILTER,
    [FILTERED]: include(S1!, S2!),
  });
  await reports.seenTwice('TO_EX 224.0.0.2', 'TO_EX 224.0.0.22', `TO_EX ${KEPT}`, `TO_EX ${LEFT}`);
  await eventually('both sources to be told twice', () => {
    const told = reports.since().join();
    return [S1!, S2!].every((source) => told.split(source).length > 2);
  });
  reports.forget();
}

/** Every kind of change, of which one join, one leave and one filter remain. */
function changeWishes(bed: RealBed): void {
  wish(bed, PAUSED, { [JOINED]: ANY_SOURCE_FILTER, [FLICKERED]: ANY_SOURCE_FILTER, [RECONSIDERED]: ANY_SOURCE_FILTER });
  wish(bed, PAUSED, { [LEFT]: undefined, [KEPT]: undefined, [FLICKERED]: undefined, [FILTERED]: undefined });
  wish(bed, PAUSED, { [KEPT]: ANY_SOURCE_FILTER, [FILTERED]: include(S2!, S3!) });
}

pauseTest(
  'between disable and enable no membership call is made and no report sent; after it each net wish once (MGM-OWN-18, MGM-IGM-03)',
  async (scene) => {
    const { bed } = scene;
    const { membership } = bed.kernel;
    const [reports, others] = [await Reports.start(scene, PAUSED), await Reports.start(scene, OTHER)];
    const stranger = new Stranger(bed);
    // given memberships, and a pause that lasts
    const held = await heldIgmp(bed);
    const red = await bed.client('red', []);
    await settledMemberships(bed, reports);
    const taken = bed.manager.takeInterface(red, bed.lan(PAUSED).ifindex);
    const [calls, state] = [membership.counters(), kernelState()];
    // when wishes change before the first acknowledgement, there and on the other LAN
    changeWishes(bed);
    expect(kernelState()).toEqual(state);
    expect(membership.counters()).toEqual(calls);
    wish(bed, OTHER, { [ELSEWHERE]: ANY_SOURCE_FILTER });
    // then the LAN hears of a stranger's join alone, and the other LAN of what is wanted there
    stranger.join(MARK_1!);
    await reports.seenTwice(`TO_EX ${MARK_1}`);
    expect(reports.since()).toEqual(twice(`TO_EX ${MARK_1}`));
    await others.seenTwice(`TO_EX ${ELSEWHERE}`);
    expect(held.asked).toEqual(['disable']);
    // when a wish is taken back after the owner has changed and before the second acknowledgement
    await held.acknowledge();
    expect(held.asked).toEqual(['disable', 'enable']);
    wish(bed, PAUSED, { [RECONSIDERED]: undefined });
    stranger.join(MARK_2!);
    await reports.seenTwice(`TO_EX ${MARK_2}`);
    // then still nothing
    expect(reports.since()).toEqual([...twice(`TO_EX ${MARK_1}`), ...twice(`TO_EX ${MARK_2}`)]);
    expect(membership.counters()).toEqual(plus(calls, { joins: 1 }));
    stranger.close();
    expect(kernelState()).toEqual(state);
    await reports.seenTwice(`TO_IN ${MARK_1}`, `TO_IN ${MARK_2}`);
    reports.forget();
    // when the pause ends
    await held.acknowledge();
    expect(await taken).toEqual({ code: 'NO_ERROR' });
    // then the difference is issued, each call once
    expect(membership.counters()).toEqual(plus(calls, { joins: 2, leaves: 1, filters: 1 }));
    const changes = [`TO_EX ${JOINED}`, `TO_IN ${LEFT}`, `ALLOW ${FILTERED} ${S3}`, `BLOCK ${FILTERED} ${S1}`];
    await reports.seenTwice(...changes);
    wish(bed, PAUSED, { [MARK_3!]: ANY_SOURCE_FILTER });
    await reports.seenTwice(`TO_EX ${MARK_3}`);
    expect([...reports.since()].sort()).toEqual(twice(...changes, `TO_EX ${MARK_3}`));
    expect(membership.list().every((one) => one.held)).toBe(true);
  },
);

/** Lines of a system call that changes a membership. */
const MEMBERSHIP_CALL = /(IP_ADD_MEMBERSHIP|IP_DROP_MEMBERSHIP|MCAST_\w+|IP_\w+_SOURCE\w*|IP_MSFILTER)/;

pauseTest(
  'the counted membership calls are those that strace sees, and it sees none in the pause',
  async ({ net, bed }) => {
    // given strace on this very process
    const { membership } = bed.kernel;
    const stranger = new Stranger(bed);
    const held = await heldIgmp(bed);
    const red = await bed.client('red', []);
    const strace = net.keep(new Child('strace', ['-f', '-e', 'trace=setsockopt', '-p', String(process.pid)]));
    await eventually('strace to be attached', () => strace.errors.some((line) => line.includes('attached')));
    const seen = () => strace.errors.filter((line) => MEMBERSHIP_CALL.test(line));
    const marked = (group: string) => seen().findIndex((line) => line.includes(group));
    const before = membership.counters();
    wish(bed, PAUSED, { [KEPT]: ANY_SOURCE_FILTER, [LEFT]: ANY_SOURCE_FILTER, [FILTERED]: include(S1!, S2!) });
    // when wishes change in a pause, between a stranger's two joins
    const taken = bed.manager.takeInterface(red, bed.lan(PAUSED).ifindex);
    stranger.join(MARK_1!);
    changeWishes(bed);
    await held.acknowledge();
    wish(bed, PAUSED, { [RECONSIDERED]: undefined });
    stranger.join(MARK_2!);
    await held.acknowledge();
    await taken;
    stranger.join(MARK_3!);
    await eventually('strace to have told everything', () => marked(MARK_3!) >= 0);
    strace.signal('SIGINT');
    await strace.end();
    // then the second join follows the first, and all in all there are as many calls as were counted
    expect(marked(MARK_2!), seen().join('\n')).toBe(marked(MARK_1!) + 1);
    const after = membership.counters();
    const counted = after.joins + after.leaves + after.filters - before.joins - before.leaves - before.filters;
    expect(seen(), seen().join('\n')).toHaveLength(counted + 3);
    stranger.close();
  },
);

pauseTest(
  'in the pause the kernel entry stays and IGMP is refused there, not elsewhere (MGM-IGM-03, MGM-IGM-04, MGM-IGM-05, MGM-IGM-06)',
  async ({ bed }) => {
    // given a flow that a host wants
    const lan = bed.lan(PAUSED).ifindex;
    const held = await heldIgmp(bed);
    const red = await bed.client('red', []);
    await bed.join(held.igmp, any(G), PAUSED);
    bed.send(1, G);
    await eventually('the flow to be forwarded', () => bed.kernelEntry(G) === 'lan1 -> lan2');
    // when red takes and IGMP has not acknowledged
    const taken = bed.manager.takeInterface(red, lan);
    const refused = { code: 'ERROR_CAN_NOT_COMPLETE', detail: 'igmpDisabled' };
    // then nothing has changed
    expect(bed.manager.getProtocolOnInterface(lan)).toMatchObject({ name: 'igmp' });
    expect(await bed.leave(held.igmp, any(G), PAUSED)).toMatchObject(refused);
    expect(await bed.join(held.igmp, any(ip(JOINED)), PAUSED)).toMatchObject(refused);
    expect(bed.kernelEntry(G)).toBe('lan1 -> lan2');
    expect(await bed.join(held.igmp, any(G), OTHER)).toEqual({ code: 'NO_ERROR' });
    expect(bed.kernelEntry(G)).toBe('lan1 -> lan2,lan3');
    // when it has, then the owner has changed and the pause goes on
    await held.acknowledge();
    expect(held.asked).toEqual(['disable', 'enable']);
    expect(bed.manager.getProtocolOnInterface(lan)).toMatchObject({ name: 'red', igmp: true });
    expect(await bed.leave(held.igmp, any(G), PAUSED)).toMatchObject(refused);
    expect(bed.kernelEntry(G)).toBe('lan1 -> lan2,lan3');
    // when enable is acknowledged
    await held.acknowledge();
    expect(await taken).toEqual({ code: 'NO_ERROR' });
    expect(await bed.join(held.igmp, any(G), PAUSED)).toEqual({ code: 'NO_ERROR' });
    expect(bed.kernelEntry(G)).toBe('lan1 -> lan2,lan3');
  },
);

/** The real IGMP on all LANs; its acknowledgements wait for the test, and it hears of an enable when that is acknowledged. */
async function realIgmp(bed: RealBed): Promise<{ igmp: IgmpModule; held: HeldAnswers }> {
  const held = new HeldAnswers();
  const register = bed.manager.register.bind(bed.manager);
  bed.manager.register = ({ callbacks, ...registration }) => {
    const disableIgmp = (ifindex: Parameters<NonNullable<ClientCallbacks['disableIgmp']>>[0]) => {
      void callbacks.disableIgmp?.(ifindex);
      return held.disableIgmp();
    };
    const enableIgmp: typeof disableIgmp = async (ifindex) => {
      await held.enableIgmp();
      void callbacks.enableIgmp?.(ifindex);
    };
    return register({ ...registration, callbacks: { ...callbacks, disableIgmp, enableIgmp } });
  };
  const config = { ...defaultIgmpConfig(), lastMemberQueryIntervalMs: 100 };
  const interfaces = new Map(bed.lans.map(({ ifname }) => [ifname, config]));
  const { clock, log, manager: mgm, kernel } = bed;
  const { events } = mgm;
  const igmp = new IgmpModule({ mgm, ...kernel, events, clock, log, interfaces, maxGroups: 0, maxSources: 0 });
  expect(igmp.start().code).toBe('NO_ERROR');
  bed.manager.register = register;
  for (const { ifindex } of bed.lans) await igmp.take(ifindex);
  return { igmp, held };
}

pauseTest(
  'what hosts report in the pause is heard by IGMP and is added after it, once per group (MGM-IGM-05, MGM-IGM-08, F44)',
  async ({ bed }) => {
    const [left, kept, joined] = [ip(LEFT), ip(KEPT), ip(JOINED)];
    const { host, ifindex, hostAddress } = bed.lan(PAUSED);
    const { igmp, held } = await realIgmp(bed);
    const heard = (group: string) => igmp.groups().some((row) => row.ifindex === ifindex && row.group === group);
    const members = () =>
      bed.manager
        .snapshot()
        .memberships()
        .filter(({ interface: name }) => name === bed.lan(PAUSED).ifname)
        .map(({ group, stale }) => `${group}${stale ? ' stale' : ''}`)
        .sort();
    const localJoins: IpAddress[] = [];
    const red = await bed.client('red', [], { localJoin: ({ group }) => void localJoins.push(group) });
    // given two flows that a host wants
    const receiver = await host.receiver({ address: hostAddress });
    for (const group of [KEPT, LEFT]) await receiver.join(group);
    await eventually('IGMP to have heard of both', () => heard(KEPT) && heard(LEFT));
    for (const group of [kept, left]) bed.send(1, group);
    const forwarded = (group: IpAddress) => bed.kernelEntry(group) === 'lan1 -> lan2';
    await eventually('both flows to be forwarded', () => forwarded(kept) && forwarded(left));
    // when the host joins a third group in the pause and leaves one, and its last member timer runs out
    const taken: PromiseLike<MgmStatus> = Promise.resolve(bed.manager.takeInterface(red, ifindex));
    await receiver.join(JOINED);
    await receiver.leave(LEFT);
    bed.send(1, joined);
    await eventually('IGMP to have heard of the third', () => heard(JOINED));
    await eventually('IGMP to have forgotten the one left', async () => {
      await bed.clock.run(50);
      return !heard(LEFT);
    });
    // then it has not even tried to tell the manager, and neither the manager nor the kernel knows
    expect(bed.log.of('igmp.membership.refused')).toEqual([]);
    expect(members()).toEqual([KEPT, LEFT]);
    expect(forwarded(kept) && forwarded(left)).toBe(true);
    expect(bed.kernelEntry(joined)).not.toBe('lan1 -> lan2');
    // when the pause is over, then what IGMP has now is added, and what it has not is swept
    await held.acknowledge();
    expect(members()).toEqual([`${KEPT} stale`, `${LEFT} stale`]);
    await held.acknowledge();
    expect(await taken).toEqual({ code: 'NO_ERROR' });
    await eventually('the resync to be done', async () => {
      await bed.clock.run(1);
      return members().join() === [KEPT, JOINED].join();
    });
    bed.send(1, joined);
    await eventually('the new flow to be forwarded', () => forwarded(joined));
    expect(forwarded(kept)).toBe(true);
    expect(bed.kernelEntry(left)).not.toBe('lan1 -> lan2');
    expect(localJoins.sort()).toEqual([kept, joined].sort());
    await igmp.stop();
  },
);
