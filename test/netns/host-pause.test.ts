/**
 * `pause.scope: host` on the real kernel: while an interface is paused, other processes try to change its memberships by every
 * call there is, close their sockets and are killed. The gate is a BPF program, so these tests need the root of this machine.
 */
// needs: tshark tcpdump root
import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { expect } from 'vitest';
import { ip } from '../../src/base/ip.js';
import { type ClientCallbacks, PROTOCOL } from '../../src/mgm/client.js';
import { ANY_SOURCE_FILTER } from '../../src/port/kernel.js';
import { loadAddon } from '../../src/kernel/addon.js';
import { addonPath } from '../support/addon.js';
import { Child } from '../support/child.js';
import { eventually } from '../support/eventually.js';
import { ForeignMember, type MemberCall, OPTION } from '../support/foreign-member.js';
import { twice } from '../support/igmp-reports.js';
import { EAGAIN, type PausedLan, pausedLanTest } from '../support/paused-lan.js';

const [G1, G2, G3, G4, G5] = ['239.2.0.1', '239.2.0.2', '239.2.0.3', '239.2.0.4', '239.2.0.5'] as const;
const [S1, S2, S3] = ['10.9.0.1', '10.9.0.2', '10.9.0.3'] as const;
const NOT_OTHERWISE_USED = 0;
const LAN_ADDRESS = '10.2.0.1';
const OTHER_ADDRESS = '10.3.0.1';
const ROUTER_PAUSED = fileURLToPath(new URL('../support/helpers/paused-kernel.mjs', import.meta.url));

function hostTest(title: string, body: (on: PausedLan) => Promise<void>): void {
  pausedLanTest(title, () => ({ pauseScope: 'host' }), body);
}

/** Each option that names an interface by what `name` says, in an order in which each succeeds where nothing is paused. */
function byIndex(ifindex: number, group: string, family: 4 | 6 = 4): readonly MemberCall[] {
  const at = { group, ifindex, family };
  return [
    { ...at, option: OPTION.IP_ADD_MEMBERSHIP },
    { ...at, option: OPTION.IP_DROP_MEMBERSHIP },
    { ...at, option: OPTION.MCAST_JOIN_GROUP },
    { ...at, option: OPTION.MCAST_BLOCK_SOURCE, sources: [S1] },
    { ...at, option: OPTION.MCAST_UNBLOCK_SOURCE, sources: [S1] },
    { ...at, option: OPTION.MCAST_LEAVE_GROUP },
    { ...at, option: OPTION.MCAST_JOIN_SOURCE_GROUP, sources: [S1] },
    { ...at, option: OPTION.MCAST_MSFILTER, mode: 'include', sources: [S1, S2] },
    { ...at, option: OPTION.MCAST_LEAVE_SOURCE_GROUP, sources: [S2] },
    { ...at, option: OPTION.IP_DROP_MEMBERSHIP },
  ];
}

function byAddress(address: string, group: string): readonly MemberCall[] {
  const at = { group, address };
  return [
    { ...at, option: OPTION.IP_ADD_MEMBERSHIP },
    { ...at, option: OPTION.IP_BLOCK_SOURCE, sources: [S1] },
    { ...at, option: OPTION.IP_UNBLOCK_SOURCE, sources: [S1] },
    { ...at, option: OPTION.IP_DROP_MEMBERSHIP },
    { ...at, option: OPTION.IP_ADD_SOURCE_MEMBERSHIP, sources: [S1] },
    { ...at, option: OPTION.IP_MSFILTER, mode: 'include', sources: [S1, S2] },
    { ...at, option: OPTION.IP_DROP_SOURCE_MEMBERSHIP, sources: [S2] },
    { ...at, option: OPTION.IP_DROP_MEMBERSHIP },
  ];
}

async function results(member: ForeignMember, calls: readonly MemberCall[]): Promise<readonly number[]> {
  const errnos: number[] = [];
  for (const call of calls) errnos.push(await member.call(call));
  return errnos;
}

const all = (calls: readonly MemberCall[], errno: number) => calls.map(() => errno);

hostTest(
  'in a pause each membership call that names the interface is refused with EAGAIN, and works before and after',
  async (on) => {
    // given a process, also with an IPv6 socket, and calls by index and by address
    const member = await on.member();
    const { ifindex } = on.lan;
    const here = [...byIndex(ifindex, G1), ...byIndex(ifindex, G2, 6), ...byAddress(LAN_ADDRESS, G3)];
    const elsewhere = [...byIndex(on.other.ifindex, G1), ...byAddress(OTHER_ADDRESS, G3)];
    expect(await results(member, here)).toEqual(all(here, 0));
    // when the interface is paused
    on.pause();
    // then all of them are refused, and none on the other interface
    expect(await results(member, here)).toEqual(all(here, EAGAIN));
    expect(await results(member, elsewhere)).toEqual(all(elsewhere, 0));
    on.resume();
    expect(await results(member, here)).toEqual(all(here, 0));
  },
);

hostTest(
  'a process that names no interface is refused where the routes lead to the paused one, and only there',
  async (on) => {
    const member = await on.member();
    const unnamed = (group: string): MemberCall => ({ option: OPTION.IP_ADD_MEMBERSHIP, group });
    const route = (device: string) =>
      execFileSync('ip', ['route', 'replace', '224.0.0.0/4', 'dev', device], { stdio: 'pipe' });
    // given routes to another interface
    route(on.other.ifname);
    on.pause();
    expect(await member.call(unnamed(G1))).toBe(0);
    on.resume();
    // when they lead to the paused one, by 224.0.0.0/4
    route(on.lan.ifname);
    on.pause();
    expect(await member.call(unnamed(G2))).toBe(EAGAIN);
    expect(await member.call({ option: OPTION.MCAST_JOIN_GROUP, group: G2, ifindex: NOT_OTHERWISE_USED })).toBe(EAGAIN);
    on.resume();
    expect(await member.call(unnamed(G2))).toBe(0);
    execFileSync('ip', ['route', 'delete', '224.0.0.0/4', 'dev', on.lan.ifname]);
    // or by the default route
    execFileSync('ip', ['route', 'add', 'default', 'dev', on.lan.ifname]);
    on.pause();
    expect(await member.call({ ...unnamed(G2), option: OPTION.IP_DROP_MEMBERSHIP })).toBe(EAGAIN);
    on.resume();
    expect(await member.call({ ...unnamed(G2), option: OPTION.IP_DROP_MEMBERSHIP })).toBe(0);
  },
);

hostTest('an interface of another namespace with the same index is not concerned', async (on) => {
  const elsewhere = on.net.namespace('elsewhere');
  elsewhere.ip('link', 'add', 'twin', 'index', String(on.lan.ifindex), 'type', 'veth', 'peer', 'name', 'far');
  const inside = ['ip', 'netns', 'exec', elsewhere.name];
  const member = await ForeignMember.start(on.lan.ifindex, (child) => on.net.keep(child), inside);
  on.pause();
  expect(await member.join(G1)).toBe(0);
  on.resume();
});

hostTest(
  'a gate is gone when it is closed, which is harmless twice, and when the worker that has it is terminated',
  async (on) => {
    const gate = loadAddon().openPauseGate();
    if ('step' in gate) throw new Error(gate.step);
    const member = await on.member();
    expect([gate.mark > 0, gate.refuse(on.lan.ifindex, 0), await member.join(G1)]).toEqual([true, 0, EAGAIN]);
    gate.close();
    gate.close();
    expect([gate.refuse(on.lan.ifindex, 0), gate.allow(on.lan.ifindex, 0), await member.join(G1)]).toEqual([9, 9, 0]);
    const code = `const { createRequire } = require('node:module');
    const { addonPath, ifindex } = require('node:worker_threads').workerData;
    const gate = createRequire(addonPath)(addonPath).openPauseGate();
    require('node:worker_threads').parentPort.postMessage(gate.refuse(ifindex, 0));
    setInterval(() => gate.allow(999, 0), 1000);`;
    const worker = new Worker(code, { eval: true, workerData: { addonPath, ifindex: on.lan.ifindex } });
    expect(await new Promise((resolve) => worker.once('message', resolve))).toBe(0);
    expect(await member.join(G2)).toBe(EAGAIN);
    await worker.terminate();
    expect(await member.join(G2)).toBe(0);
  },
);

/** IGMP's acknowledgements, given by hand. */
function held(): { readonly callbacks: ClientCallbacks; acknowledge(): void } {
  const waiting: (() => void)[] = [];
  const wait = () => new Promise<void>((resolve) => void waiting.push(resolve));
  return { callbacks: { disableIgmp: wait, enableIgmp: wait }, acknowledge: () => waiting.shift()?.() };
}

hostTest(
  'while an owner changes, joins, leaves, closes and deaths of others change nothing; then exactly the pending leaves go out (MGM-OWN-18)',
  async (on) => {
    // given members of every kind, of which all is told
    const { callbacks, acknowledge } = held();
    await on.bed.client('igmp', [1, 2, 3], callbacks, PROTOCOL.igmp);
    const red = await on.bed.client('red', []);
    const [lives, dies, stays] = [await on.member(), await on.member(), await on.member()];
    await lives.join(G1);
    await lives.filter(G2, 'include', S1, S2);
    await dies.filter(G3, 'exclude', S1, S2);
    await stays.filter(G3, 'exclude', S1, S2, S3);
    await dies.join(G4);
    await dies.filter(G5, 'include', S1, S2, S3);
    await stays.filter(G5, 'include', S3);
    await on.told();
    const state = on.state();
    expect(state).toEqual([
      '224.0.0.2 exclude',
      '224.0.0.22 exclude',
      `${G1} exclude`,
      `${G2} include ${S1} ${S2}`,
      `${G3} exclude ${S1} ${S2}`,
      `${G4} exclude`,
      `${G5} include ${S1} ${S2} ${S3}`,
    ]);
    // when the owner changes and they act before the first acknowledgement and before the second
    const taken = Promise.resolve(on.bed.manager.takeInterface(red, on.lan.ifindex));
    expect([await lives.join('239.2.0.9'), await lives.leave(G1)]).toEqual([EAGAIN, EAGAIN]);
    await lives.close(G2);
    expect(on.bed.kernel.membership.set('test', on.lan.ifindex, ip('239.2.0.8'), ANY_SOURCE_FILTER)).toBeUndefined();
    expect([on.state(), await on.told()]).toEqual([state, []]);
    acknowledge();
    await dies.child.kill();
    const other = await on.member(on.other.ifindex);
    expect(await other.join(G1)).toBe(0);
    // then nothing is told on the LAN, and the interface receives what it did
    expect([on.state(), await on.told()]).toEqual([state, []]);
    // when the pause ends
    acknowledge();
    expect(await taken).toEqual({ code: 'NO_ERROR' });
    // then what they left behind is told, and mgmd's own wish; G1 is still joined
    expect(await on.told()).toEqual(
      twice(
        'TO_EX 239.2.0.8',
        `BLOCK ${G2} ${S1} ${S2}`,
        `BLOCK ${G3} ${S3}`,
        `TO_IN ${G4}`,
        `BLOCK ${G5} ${S1} ${S2}`,
      ),
    );
    expect(await lives.leave(G1)).toBe(0);
    expect(await on.told()).toEqual(twice(`TO_IN ${G1}`));
    expect(on.bed.log.complaints()).toEqual([]);
  },
);

hostTest('a process with 1,000 groups that dies in a pause is seen leaving them after it', async (on) => {
  const dies = await on.member();
  expect(await dies.joinMany(7, 1000)).toBe(0);
  await on.told();
  const state = on.state();
  on.pause();
  await dies.child.kill();
  await eventually('the process to be gone', () => !dies.child.running());
  expect(await on.told()).toEqual([]);
  expect(on.state()).toEqual(state);
  on.resume();
  const groups = Array.from({ length: 1000 }, (_, n) => `TO_IN 239.7.${n >> 8}.${n & 255}`);
  expect(await on.told()).toEqual(twice(...groups));
  expect(on.state()).toEqual([]);
});

hostTest('an interface that is deleted in a pause takes gate and pins with it', async (on) => {
  const member = await on.member();
  await member.join(G1);
  on.pause();
  execFileSync('ip', ['link', 'delete', on.lan.ifname]);
  on.bed.kernel.membership.interfaceGone(on.lan.ifindex);
  expect(await member.join(G2)).toBe(19); // ENODEV: the gate lets it through
  expect(on.bed.kernel.membership.resume(on.lan.ifindex)).toEqual([]);
});

hostTest('SIGKILL in a pause: the gate opens, and what was held back goes out', async (on) => {
  // given another mgmd that pauses, in this very namespace; this one gives up its table for it
  const { lan } = on;
  const member = await on.member();
  await member.join(G1);
  await member.join(G2);
  await on.told();
  on.bed.kernel.close();
  const second = on.net.keep(new Child(process.execPath, [ROUTER_PAUSED, 'host', String(lan.ifindex)]));
  expect(await second.line()).toBe('paused');
  await on.told();
  expect(await member.join(G3)).toBe(EAGAIN);
  await member.close(G1);
  expect(await on.told()).toEqual([]);
  // when it is killed
  await second.kill();
  // then nothing is refused, and the leave is told
  await eventually('the gate to be open', async () => (await member.join(G3)) === 0);
  expect(await on.told()).toEqual(twice(`TO_IN ${G1}`, `TO_EX ${G3}`));
});
