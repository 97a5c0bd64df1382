/** The intended owner and IGMP by interface name, against links that come and go and protocols that write down what they hear. */
import { expect, test } from 'vitest';
import { defaultIgmpConfig } from '../../../src/config/check.js';
import type { InterfaceConfig } from '../../../src/config/types.js';
import { Assignments } from '../../../src/daemon/assignments.js';
import type { SavedAssignment } from '../../../src/daemon/state/state-file.js';
import type { MgmStatus, Protocol } from '../../../src/mgm/client.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { settle } from '../../support/fake-clock.js';
import { FakeKernel } from '../../support/fake-kernel.js';
import { RecordingLog } from '../../support/recording-log.js';

const NO_VIF: MgmStatus = { code: 'ERROR_CAN_NOT_COMPLETE', detail: 'noVif', message: 'all 32 are in use' };

/** Two routing protocols and IGMP; `room` is how many interfaces can be taken at once. */
function given(
  interfaces: readonly InterfaceConfig[],
  { room = 32, saved = [] }: { room?: number; saved?: readonly SavedAssignment[] } = {},
) {
  const kernel = new FakeKernel();
  const log = new RecordingLog();
  const journal: string[] = [];
  const held = new Set<string>();
  const nameOf = (ifindex: Ifindex) => kernel.links.byIndex(ifindex)?.name ?? `#${ifindex}`;
  const protocol = (name: string): Protocol => ({
    name,
    start: () => ({ code: 'NO_ERROR' }),
    stop: () => ({ code: 'NO_ERROR' }),
    take: (ifindex) => {
      if (held.size >= room) return NO_VIF;
      held.add(`${name} ${ifindex}`);
      journal.push(`${name} takes ${nameOf(ifindex)}`);
      return { code: 'NO_ERROR' };
    },
    release: (ifindex) => {
      held.delete(`${name} ${ifindex}`);
      journal.push(`${name} releases ${nameOf(ifindex)}`);
      return { code: 'NO_ERROR' };
    },
  });
  const protocols = new Map(['igmp', 'red', 'blue'].map((name) => [name, protocol(name)]));
  const { links, membership, clock } = kernel;
  const assignments = new Assignments({ links, membership, clock, log, protocols, interfaces, saved });
  const appears = (name: string): Ifindex => kernel.addDevice(name, '10.0.9.1/24');
  const goes = async (ifindex: Ifindex) => {
    for (const one of held) if (one.endsWith(` ${ifindex}`)) held.delete(one);
    kernel.deleteDevice(ifindex);
    await settle();
  };
  const heard = () => journal.splice(0);
  return { kernel, clock, log, protocols, assignments, appears, goes, heard };
}

function configured(name: string, owner?: string, igmp = false): InterfaceConfig {
  return { name, owner, igmp: igmp ? defaultIgmpConfig() : undefined, dvmrp: undefined, threshold: 1, boundary: [] };
}

test('what is there at start is served in order, first by its owner, then by IGMP', async () => {
  const { assignments, appears, heard } = given([configured('eth0', 'red', true), configured('eth1', undefined, true)]);
  appears('eth1');
  appears('eth0');
  appears('eth2');
  await assignments.start();
  expect(heard()).toEqual(['red takes eth0', 'igmp takes eth0', 'igmp takes eth1']);
});

test('an interface that is absent at start is named in a warning and served when it appears (F07)', async () => {
  const { assignments, appears, heard, log } = given([configured('ppp0', 'red', true), configured('eth9')]);
  await assignments.start();
  expect(assignments.absent()).toEqual(['ppp0']);
  expect(log.of('interface.absent').map((line) => line.message)).toEqual([
    'configured but not there: ppp0; each is served as soon as it appears',
  ]);
  appears('ppp0');
  await settle();
  expect(heard()).toEqual(['red takes ppp0', 'igmp takes ppp0']);
  expect(assignments.absent()).toEqual([]);
  expect(log.of('interface.appeared')[0]?.message).toBe('ppp0 has appeared; red and IGMP take it');
});

test('an interface that is re-created gets the owner it had last, not the one of the configuration (F08)', async () => {
  const { kernel, assignments, protocols, appears, goes, heard } = given([configured('eth0', 'red', true)]);
  const first = appears('eth0');
  await assignments.start();
  // when an operator hands it over and puts IGMP away, and the interface is created anew
  assignments.handedOver('eth0', 'blue');
  await assignments.release(kernel.links.byName('eth0')!, protocols.get('igmp')!);
  await goes(first);
  heard();
  const second = appears('eth0');
  await settle();
  // then
  expect(second).not.toBe(first);
  expect(heard()).toEqual(['blue takes eth0']);
});

test('an interface that only an operator assigned is remembered as well, and forgotten after a release (F08)', async () => {
  const { kernel, assignments, protocols, appears, goes, heard } = given([]);
  let ifindex = appears('eth0');
  await assignments.start();
  await assignments.take(kernel.links.byName('eth0')!, protocols.get('red')!);
  await goes(ifindex);
  heard();
  ifindex = appears('eth0');
  await settle();
  expect(heard()).toEqual(['red takes eth0']);
  await assignments.release(kernel.links.byName('eth0')!, protocols.get('red')!);
  await goes(ifindex);
  heard();
  appears('eth0');
  await settle();
  expect(heard()).toEqual([]);
});

test('one that finds no room is an error that names it; the others are served (F14)', async () => {
  const { assignments, appears, log, heard } = given(
    [configured('a', 'red'), configured('b', 'red'), configured('c', 'red')],
    { room: 2 },
  );
  for (const name of ['a', 'b', 'c']) appears(name);
  await assignments.start();
  expect(heard()).toEqual(['red takes a', 'red takes b']);
  expect(log.of('interface.refused').map(({ level, message }) => [level, message])).toEqual([
    [
      'error',
      'red is not on c, as configured: all 32 are in use; it is tried again when an interface is released or goes away',
    ],
  ]);
  expect(assignments.list().map(({ name, problem }) => [name, problem])).toEqual([
    ['a', undefined],
    ['b', undefined],
    ['c', 'red: all 32 are in use'],
  ]);
});

test('what was refused is tried again when an interface is released or goes away (F14, F12)', async () => {
  const { kernel, clock, assignments, protocols, appears, goes, heard } = given(
    [configured('a', 'red'), configured('b', 'red'), configured('c', 'red'), configured('d', 'red')],
    { room: 2 },
  );
  const [a] = ['a', 'b', 'c', 'd'].map(appears);
  await assignments.start();
  heard();
  await goes(a!);
  await clock.run(0);
  expect(heard()).toEqual(['red takes c']);
  await assignments.release(kernel.links.byName('b')!, protocols.get('red')!);
  await clock.run(0);
  expect(heard()).toEqual(['red releases b', 'red takes d']);
});

test('a renamed interface loses what belonged to its old name and gets what belongs to the new one', async () => {
  const { kernel, assignments, appears, heard } = given([
    configured('eth0', 'red', true),
    configured('lan', 'blue', true),
  ]);
  const ifindex = appears('eth0');
  await assignments.start();
  heard();
  kernel.changeDevice(ifindex, { name: 'lan' });
  await settle();
  expect(heard()).toEqual(['blue takes lan', 'igmp takes lan']);
  expect(assignments.absent()).toEqual(['eth0']);
});

test('a change that is neither arrival nor renaming touches nothing', async () => {
  const { kernel, assignments, appears, heard } = given([configured('eth0', 'red')]);
  const ifindex = appears('eth0');
  await assignments.start();
  heard();
  for (const up of [false, true]) {
    kernel.changeDevice(ifindex, { up, running: up });
    await settle();
  }
  expect(heard()).toEqual([]);
});

test('an interface without the MULTICAST flag is served, with a warning that names the remedy (F38)', async () => {
  const { kernel, assignments, log, heard } = given([configured('wg0', 'red')]);
  kernel.addDevice('wg0', '10.0.0.1/24', { multicast: false });
  await assignments.start();
  expect(heard()).toEqual(['red takes wg0']);
  expect(log.of('interface.multicast.off')[0]?.message).toContain('"ip link set dev wg0 multicast on" sets it');
});

test('after stop nothing is served any more and no timer is left', async () => {
  const { clock, assignments, appears, goes, heard } = given([configured('a', 'red'), configured('b', 'red')], {
    room: 1,
  });
  const a = appears('a');
  appears('b');
  await assignments.start();
  heard();
  await goes(a);
  assignments.stop();
  appears('a');
  await clock.run(1000);
  expect(heard()).toEqual([]);
  expect(clock.due()).toBe(0);
});

test('what an operator changed is saved beside what the configuration says, and nothing else is', async () => {
  const { kernel, protocols, assignments, appears } = given([configured('eth0', 'red'), configured('eth1', 'red')]);
  appears('eth0');
  appears('eth2');
  await assignments.start();
  assignments.handedOver('eth0', 'blue');
  await assignments.take(kernel.links.byName('eth2')!, protocols.get('igmp')!);
  expect(assignments.saved()).toEqual([
    { name: 'eth0', configured: { owner: 'red', igmp: false }, now: { owner: 'blue', igmp: false } },
    { name: 'eth2', configured: { owner: null, igmp: false }, now: { owner: null, igmp: true } },
  ]);
  assignments.handedOver('eth0', 'red');
  expect(assignments.saved().map(({ name }) => name)).toEqual(['eth2']);
});

test('a successor puts everybody where operators had put them', async () => {
  const saved = [
    { name: 'eth0', configured: { owner: 'red', igmp: false }, now: { owner: 'blue', igmp: true } },
    { name: 'eth1', configured: { owner: null, igmp: false }, now: { owner: 'red', igmp: false } },
  ];
  const { assignments, appears, heard } = given([configured('eth0', 'red')], { saved });
  appears('eth0');
  appears('eth1');
  await assignments.start();
  expect(heard()).toEqual(['blue takes eth0', 'igmp takes eth0', 'red takes eth1']);
  expect(assignments.saved()).toEqual(saved);
});

test('where the configuration of an interface has changed since, it decides, and the log says so (F05)', async () => {
  const saved = [{ name: 'eth0', configured: { owner: 'red', igmp: false }, now: { owner: null, igmp: false } }];
  const { assignments, appears, heard, log } = given([configured('eth0', 'blue')], { saved });
  appears('eth0');
  await assignments.start();
  expect(heard()).toEqual(['blue takes eth0']);
  expect(log.of('daemon.state.superseded')).toHaveLength(1);
});

test('two interfaces that swap their names swap their configurations (C6)', async () => {
  const { kernel, assignments, appears, heard, log } = given([
    configured('eth0', 'red', true),
    configured('eth1', 'blue'),
  ]);
  const [one, two] = [appears('eth0'), appears('eth1')];
  await assignments.start();
  heard();
  kernel.changeDevice(one, { name: 'tmp' });
  kernel.changeDevice(two, { name: 'eth0' });
  kernel.changeDevice(one, { name: 'eth1' });
  await settle();
  expect(heard().sort()).toEqual(['blue takes eth1', 'igmp takes eth0', 'red takes eth0']);
  expect(log.of('interface.lost').map(({ fields }) => [fields['ifname'], fields['renamed']])).toEqual([
    ['eth0', 'tmp'],
    ['eth1', 'eth0'],
  ]);
});

test('an interface that has another name again before it was taken is not taken under the first one (C6)', async () => {
  const { kernel, assignments, appears, heard } = given([configured('eth0', 'red', true), configured('lan', 'blue')]);
  const ifindex = appears('eth0');
  await assignments.start();
  heard();
  for (const name of ['lan', 'other']) kernel.changeDevice(ifindex, { name });
  await settle();
  expect(heard().filter((line) => line.includes('other'))).toEqual([]);
  expect(assignments.absent()).toEqual(['eth0', 'lan']);
});

const BRIDGE = 77 as Ifindex;

test('an interface that becomes a port of a bridge is given up with the reason, and taken again when it is free (C6)', async () => {
  const { kernel, assignments, protocols, appears, heard, log } = given([configured('eth1', 'red', true)]);
  const ifindex = appears('eth1');
  kernel.addDevice('br0', undefined, { ifindex: BRIDGE });
  await assignments.start();
  heard();
  kernel.changeDevice(ifindex, { port: { master: BRIDGE, kind: 'bridge' } });
  await settle();
  expect(heard()).toEqual(['igmp releases eth1', 'red releases eth1']);
  const problem = 'eth1 is a port of br0 (bridge), which takes its packets; configure br0';
  expect(assignments.list()[0]).toMatchObject({ name: 'eth1', owner: 'red', igmp: true, problem });
  expect(log.of('interface.enslaved')).toHaveLength(1);
  const taken = await assignments.take(kernel.links.byName('eth1')!, protocols.get('blue')!);
  expect(taken).toMatchObject({ code: 'ERROR_CAN_NOT_COMPLETE', message: problem });
  kernel.changeDevice(ifindex, { port: undefined });
  await settle();
  expect(heard()).toEqual(['red takes eth1', 'igmp takes eth1']);
  expect(assignments.list()[0]?.problem).toBeUndefined();
});

/** Answers as the real protocols give them: later, and a second take changes nothing. */
function answersLater({ protocols }: ReturnType<typeof given>): () => readonly string[] {
  const served = new Set<string>();
  for (const protocol of protocols.values()) {
    protocol.take = async () => {
      if (served.has(protocol.name)) return { code: 'ERROR_CAN_NOT_COMPLETE', detail: 'alreadyTaken' };
      await Promise.resolve();
      served.add(protocol.name);
      return { code: 'NO_ERROR' };
    };
    protocol.release = async () => {
      for (let turns = 0; turns < 3; turns++) await Promise.resolve();
      served.delete(protocol.name);
      return { code: 'NO_ERROR' };
    };
  }
  return () => [...served].sort();
}

test.each([1, 2, 3, 4, 5, 10])(
  'a port that comes and goes every %d turns, before anybody has answered, ends as what it is then (C6)',
  async (turns) => {
    const world = given([configured('eth1', 'red', true)]);
    const { kernel, assignments, appears } = world;
    const served = answersLater(world);
    const ifindex = appears('eth1');
    await assignments.start();
    for (const changes of [2, 3, 3, 4, 5, 6, 19]) {
      for (let n = 1; n <= changes; n++) {
        const isPort = kernel.links.byIndex(ifindex)!.port !== undefined;
        kernel.changeDevice(ifindex, { port: isPort ? undefined : { master: BRIDGE, kind: 'bridge' } });
        for (let turn = 0; turn < turns; turn++) await Promise.resolve();
      }
      await settle();
      const isPort = kernel.links.byIndex(ifindex)!.port !== undefined;
      expect(served()).toEqual(isPort ? [] : ['igmp', 'red']);
      expect(assignments.list()[0]?.problem !== undefined).toBe(isPort);
    }
  },
);

test.each(['bond', 'team', 'openvswitch', ''])('at start a port of kind "%s" is refused (C6)', async (kind) => {
  const { kernel, assignments, heard, log } = given([configured('eth1', 'red')]);
  kernel.addDevice('eth1', '10.0.0.1/24', { port: { master: BRIDGE, kind } });
  await assignments.start();
  expect(heard()).toEqual([]);
  expect(log.of('interface.enslaved')[0]?.message).toContain('eth1 is a port of #77');
});

test('a port of a VRF is served, with a warning (C6)', async () => {
  const { kernel, assignments, heard, log } = given([configured('eth1', 'red')]);
  kernel.addDevice('eth1', '10.0.0.1/24', { port: { master: BRIDGE, kind: 'vrf' } });
  await assignments.start();
  expect(heard()).toEqual(['red takes eth1']);
  expect(log.of('interface.vrf')).toHaveLength(1);
});

test('the MULTICAST flag is followed: warned about when it goes, told when it is back (C6)', async () => {
  const { kernel, assignments, appears, log } = given([configured('eth1', 'red')]);
  const ifindex = appears('eth1');
  await assignments.start();
  kernel.changeDevice(ifindex, { multicast: false });
  await settle();
  expect(log.of('interface.multicast.off')).toHaveLength(1);
  expect(assignments.list()[0]?.problem).toContain('lacks the MULTICAST flag');
  kernel.changeDevice(ifindex, { multicast: true });
  await settle();
  expect(assignments.list()[0]?.problem).toBeUndefined();
  expect(log.of('interface.multicast.on')).toHaveLength(1);
});

test('a configured interface that goes down and up is told, a flapping one a few times (C6)', async () => {
  const { kernel, assignments, appears, log } = given([configured('eth1', 'red')]);
  const [ifindex, other] = [appears('eth1'), appears('eth2')];
  await assignments.start();
  kernel.changeDevice(ifindex, { running: false });
  kernel.changeDevice(other, { running: false });
  await settle();
  expect(log.of('interface.changed').map(({ message }) => message)).toEqual(['eth1 is without carrier']);
  for (let n = 0; n < 100; n++) {
    kernel.changeDevice(ifindex, { running: n % 2 === 0 });
    await settle();
  }
  expect(log.of('interface.changed').length).toBeLessThan(10);
});

test('an alternative name in the configuration is answered with the name to write (C6)', async () => {
  const { kernel, assignments, log } = given([configured('enp0s3', 'red')]);
  kernel.addDevice('eth0', '10.0.0.1/24', { altNames: ['enp0s3'] });
  await assignments.start();
  expect(log.of('interface.absent')[0]?.message).toContain('enp0s3 is an alternative name of eth0: write eth0');
});
