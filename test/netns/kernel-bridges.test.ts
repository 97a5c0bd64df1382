/** What the kernel's bridges are asked for, against a bridge that really has ports, a querier and members (linux.md I). */
import { afterEach, expect, test } from 'vitest';
import { formatIp } from '../../src/base/ip.js';
import { loadAddon } from '../../src/kernel/addon.js';
import { Bridges } from '../../src/kernel/host/bridges.js';
import type { Ifindex } from '../../src/port/kernel.js';
import { eventually } from '../support/eventually.js';
import { ifindexOf, ip, removeDevices, run, veth } from './own-namespace.js';

let bridges: Bridges | undefined;

afterEach(() => {
  bridges?.close();
  removeDevices();
});

function opened(): Bridges {
  const result = Bridges.open(loadAddon());
  if (!result.ok) throw result.error;
  bridges = result.value;
  return bridges;
}

/** A bridge with the ports a and b. */
function bridge(name = 'br0', ...ports: readonly string[]): Ifindex {
  ip(`link add ${name} type bridge mcast_snooping 1`);
  for (const port of ports) {
    veth(port);
    ip(`link set dev ${port} master ${name}`);
  }
  ip(`link set dev ${name} up`);
  return ifindexOf(name);
}

test('an interface that is no bridge has no bridge state, nor has one that is gone', () => {
  const bridges = opened();
  expect(bridges.state(veth('a'))).toBeUndefined();
  expect(bridges.state(4711 as Ifindex)).toBeUndefined();
});

test('a bridge tells its settings, static groups by port and router ports, and not those of another bridge (F33)', async () => {
  // given two bridges, with a group and a router port that do not have to be learnt
  const bridges = opened();
  const br0 = bridge('br0', 'a', 'b');
  bridge('br1', 'c');
  await eventually('the ports to forward', () =>
    ['a', 'b', 'c'].every((port) => ip(`-d link show dev ${port}`).includes('state forwarding')),
  );
  run('bridge', 'mdb', 'add', 'dev', 'br0', 'port', 'b', 'grp', '239.1.2.3', 'permanent');
  run('bridge', 'mdb', 'add', 'dev', 'br1', 'port', 'c', 'grp', '239.9.9.9', 'permanent');
  ip('link set dev a type bridge_slave mcast_router 2');
  ip('link set dev c type bridge_slave mcast_router 2');
  // when, then
  const state = bridges.state(br0)!;
  expect(state).toMatchObject({
    ifindex: br0,
    snooping: true,
    igmpVersion: 2,
    querierEnabled: false,
    querier: undefined,
    multicastRouter: 1,
    routerPorts: [ifindexOf('a')],
  });
  expect(state.groups.map(({ group, port }) => [formatIp(group), port])).toEqual([['239.1.2.3', ifindexOf('b')]]);
});

test('settings that change are read anew', () => {
  const bridges = opened();
  const br0 = bridge();
  ip('link set dev br0 type bridge mcast_snooping 0 mcast_router 2 mcast_igmp_version 3');
  expect(bridges.state(br0)).toMatchObject({ snooping: false, multicastRouter: 2, igmpVersion: 3 });
  ip('link set dev br0 type bridge mcast_snooping 1 mcast_querier 1');
  expect(bridges.state(br0)).toMatchObject({ snooping: true, querierEnabled: true });
});

test('a device on top of a bridge tells the state of that bridge (F34)', () => {
  const bridges = opened();
  const br0 = bridge();
  ip('link add link br0 name mv0 type macvlan mode bridge');
  expect(bridges.state(ifindexOf('mv0'))).toMatchObject({ ifindex: br0, snooping: true });
});

test('a long table of groups is read as a whole', async () => {
  const bridges = opened();
  const br0 = bridge('br0', 'a');
  await eventually('the port to forward', () => ip('-d link show dev a').includes('state forwarding'));
  const lines = Array.from(
    { length: 1000 },
    (_, at) => `mdb add dev br0 port a grp 239.1.${at >> 8}.${at & 255} permanent`,
  );
  run('sh', '-c', `printf '%s\\n' ${lines.map((line) => `'${line}'`).join(' ')} | bridge -batch -`);
  expect(new Set(bridges.state(br0)!.groups.map(({ group }) => group)).size).toBe(1000);
});
