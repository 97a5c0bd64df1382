/**
 * Pins on the real kernel: what other processes close, lose by dying, or leave does not show on a paused interface; and
 * mgmd where the gate may not be loaded. Needs no root: what a user namespace forbids is taken from root here.
 */
// needs: tshark tcpdump
import { expect } from 'vitest';
import { ip, toU32 } from '../../src/base/ip.js';
import { type Addon, loadAddon } from '../../src/kernel/addon.js';
import { HostMembershipReader } from '../../src/kernel/membership/host-memberships.js';
import { Pins } from '../../src/kernel/membership/pins.js';
import { Daemon } from '../support/daemon.js';
import { twice } from '../support/igmp-reports.js';
import { type PausedLan, pausedLanTest } from '../support/paused-lan.js';
import { type Namespace, netnsTest } from '../support/topology.js';

const [G1, G2, G3, G4] = ['239.2.0.1', '239.2.0.2', '239.2.0.3', '239.2.0.4'] as const;
const [S1, S2, S3] = ['10.9.0.1', '10.9.0.2', '10.9.0.3'] as const;

/** The real addon, of which the kernel lets nobody load a BPF program. */
function withoutBpf(): Addon {
  const addon = loadAddon();
  return Object.assign(Object.create(addon) as Addon, {
    openPauseGate: () => ({ step: 'BPF_MAP_CREATE', errno: 1, detail: '' }),
  });
}

function pinsTest(title: string, body: (on: PausedLan) => Promise<void>): void {
  pausedLanTest(title, () => ({ pauseScope: 'host-best-effort', addon: withoutBpf() }), body);
}

pinsTest('without the gate mgmd says so once, and what others leave in a pause goes out after it', async (on) => {
  const { kernel, log } = on.bed;
  expect(kernel.pauseScope).toBe('host-best-effort');
  expect(log.of('pause.gate.refused').map(({ level, fields }) => [level, fields['code']])).toEqual([['warn', 'EPERM']]);
  // given members of groups, with and without sources
  const [member, dies] = [await on.member(), await on.member()];
  await member.join(G1);
  await member.join(G2);
  await member.filter(G3, 'include', S1, S2);
  await dies.filter(G4, 'exclude', S1, S2);
  await on.told();
  const state = on.state();
  // when one leaves for good, one leaves and comes back, one leaves a source, and one dies
  on.pause();
  expect(await on.told()).toEqual([]);
  await member.leave(G1);
  await member.leave(G2);
  await member.join(G2);
  await member.close(G3);
  await member.filter(G3, 'include', S2);
  await dies.child.kill();
  // then nothing changes
  expect(await on.told()).toEqual([]);
  expect(on.state()).toEqual(state);
  // until the pause is over, and of the one that came back there is no trace at all
  on.resume();
  expect(await on.told()).toEqual(twice(`TO_IN ${G1}`, `BLOCK ${G3} ${S1}`, `TO_IN ${G4}`));
  expect(log.complaints()).toHaveLength(1);
});

pinsTest('25 sources of three processes are held, and an exclude list is no wider for its pin', async (on) => {
  const sources = (from: number, count: number) => Array.from({ length: count }, (_, i) => `10.9.1.${from + i}`);
  const [a, b, c] = [await on.member(), await on.member(), await on.member()];
  await a.filter(G1, 'include', ...sources(1, 10));
  await b.filter(G1, 'include', ...sources(11, 10));
  await c.filter(G1, 'include', ...sources(21, 5));
  await a.filter(G2, 'exclude', S1, S2);
  await b.filter(G2, 'exclude', S2, S3);
  await on.told();
  const state = on.state();
  expect(state).toContain(`${G2} exclude ${S2}`);
  on.pause();
  await b.child.kill();
  await c.child.kill();
  expect(await on.told()).toEqual([]);
  expect(on.state()).toEqual(state);
  on.resume();
  const told = await on.told();
  expect(on.state().join(' ').split(' ')).toEqual([G1, 'include', ...sources(1, 10).sort(), G2, 'exclude', S1, S2]);
  expect(told.filter((record) => !record.startsWith('BLOCK'))).toEqual([]);
});

pinsTest('what is left between the list and its pin is left all the same, without a trace of the pin', async (on) => {
  // given a member that goes as soon as it is listed
  const pool = loadAddon().openMembershipSocket();
  if (typeof pool === 'number') throw new Error(`errno ${pool}`);
  const { ifindex } = on.lan;
  expect([pool.join(ifindex, toU32(ip(G1))), pool.joinSource(ifindex, toU32(ip(G2)), toU32(ip(S1)))]).toEqual([0, 0]);
  await on.told();
  const open = () => loadAddon().openMembershipSocket();
  const reader = new HostMembershipReader(open);
  const pins = new Pins(ifindex, open);
  const read = () => {
    const list = reader.read(ifindex);
    pool.close();
    return list;
  };
  expect(pins.place(read, () => [])).toBeUndefined();
  expect(on.state()).toEqual([]);
  pins.release();
  const told = await on.told();
  expect(told.filter((record) => record.includes(G1))).toEqual(twice(`TO_IN ${G1}`));
  expect(told.every((record) => record.startsWith('TO_IN') || record.startsWith('BLOCK'))).toBe(true);
});

/** The daemon without CAP_BPF and CAP_SYS_ADMIN, and with no way to get them. */
class PoorDaemon extends Daemon {
  constructor(router: Namespace, directory: string, scope: string) {
    const without = '-bpf,-sys_admin';
    const drop = ['setpriv', '--bounding-set', without, '--inh-caps', without];
    const poor = {
      label: router.label,
      run: (command: string, ...args: string[]) => router.run(command, ...args),
      spawn: (command: string, args: readonly string[]) => router.spawn(drop[0]!, [...drop.slice(1), command, ...args]),
    };
    super(poor as Namespace, directory, (socket) => `control: { socket: ${socket} }\npause: { scope: ${scope} }\n`);
  }
}

netnsTest(
  'where BPF is not allowed, pause.scope host ends with 77 and what to do; best effort serves and tells (F40)',
  async (net) => {
    const router = net.router('router');
    // when the whole host is asked for
    const refused = net.keepDaemon(new PoorDaemon(router, net.temporaryDirectory(), 'host'));
    expect(await refused.process.end(20_000)).toBe(77);
    expect(refused.output()).toMatch(
      /pause\.scope: host.*BPF_MAP_CREATE.*EPERM.*CAP_BPF and CAP_NET_ADMIN.*host-best-effort/,
    );
    // when as much as possible is asked for
    const serves = await net.keepDaemon(new PoorDaemon(router, net.temporaryDirectory(), 'host-best-effort')).ready();
    expect(serves.events('pause.gate.refused')).toHaveLength(1);
    expect(serves.ctl<{ pauseScope: string }>('status').pauseScope).toBe('host-best-effort');
    expect(await serves.stop()).toBe(0);
  },
);
