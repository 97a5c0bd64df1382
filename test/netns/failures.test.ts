/** What goes wrong on real routers, brought about in namespaces: failure-modes F01 to F04, F07 to F11, F13 to F15, F40, F47. */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { expect } from 'vitest';
import { TOOL } from '../support/daemon.js';
import type { Daemon } from '../support/daemon.js';
import { eventually } from '../support/eventually.js';
import { type Namespace, type Net, netnsTest } from '../support/topology.js';

interface InterfaceRow {
  readonly name: string;
  readonly ifindex: number;
  readonly vif: number | null;
  readonly owner: string | null;
  readonly igmp: boolean;
  readonly state: string;
}

interface MfcRow {
  readonly source: string;
  readonly group: string;
  readonly iif: string;
  readonly oifs: readonly string[];
  readonly state: string;
}

const config = (socket: string, more = '') => `
control: { socket: ${socket} }
interfaces:
  send: { igmp: true }
  recv: { owner: red, igmp: true }
static:
  red: {}
  blue: {}
${more}`;

function lan(net: Net): { router: Namespace; source: Namespace; host: Namespace } {
  const router = net.router('router');
  return {
    router,
    source: net.host('source', router, 'send', '10.1.0'),
    host: net.host('host', router, 'recv', '10.2.0'),
  };
}

function interfaceRow(daemon: Daemon, name: string): InterfaceRow | undefined {
  return daemon.ctl<InterfaceRow[]>('show', 'interfaces').find((row) => row.name === name);
}

async function serves(daemon: Daemon, name: string, state = 'PG'): Promise<InterfaceRow> {
  return eventually(`${name} in state ${state}`, () => {
    const row = interfaceRow(daemon, name);
    return row?.state === state ? row : undefined;
  });
}

/** Writes the owner's table from another root process, as anybody with CAP_NET_ADMIN can (linux.md A2). */
const FOREIGN_WRITE = `
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_IGMP)
what, source, group = sys.argv[1:4]
entry = socket.inet_aton(source) + socket.inet_aton(group) + struct.pack('H', 0) + bytes(32) + bytes(2) + bytes(16)
s.setsockopt(socket.IPPROTO_IP, 204 if what == 'add' else 205, entry)
`;

netnsTest('when another process holds the table, the daemon ends with 69 and names it (F01)', async (net) => {
  // given a daemon that holds the table
  const { router } = lan(net);
  await router.daemon((socket) => config(socket));
  // when a second one starts
  const second = router.daemonProcess((socket) => config(socket));
  const code = await second.process.end();
  // then it says who was there first
  expect(code).toBe(69);
  expect(second.output()).toMatch(/holds? .*table/i);
  expect(second.output()).toMatch(/node|mgmd/);
});

netnsTest('a foreign entry is shown, and an entry deleted behind our back comes back (F02, F47)', async (net) => {
  // given a stream
  const { router, source, host } = lan(net);
  const daemon = await router.daemon((socket) => config(socket));
  const receiver = await host.receiver({ address: '10.2.0.2' });
  await receiver.join('239.1.1.1');
  await source.sender({ from: '10.1.0.2', groups: ['239.1.1.1'], ratePerSec: 100 });
  const mfc = () => daemon.ctl<MfcRow[]>('show', 'mfc');
  await eventually('the entry', () => mfc().some((row) => row.group === '239.1.1.1' && row.state === 'forwarding'));
  // when somebody else adds one entry and deletes ours
  router.run('python3', '-c', FOREIGN_WRITE, 'add', '10.9.9.9', '239.9.9.9');
  router.run('python3', '-c', FOREIGN_WRITE, 'delete', '10.1.0.2', '239.1.1.1');
  // then the one is shown as foreign and logged once, the other is written again
  await eventually('the foreign entry to be shown', () =>
    mfc().some((row) => row.group === '239.9.9.9' && row.state === 'foreign'),
  );
  await eventually('our entry in the kernel', () => router.ip('mroute').includes('239.1.1.1'));
  await eventually('the log to tell', () => daemon.events('kernel.foreign-change').length > 0);
  expect(daemon.events('kernel.foreign-change')).toHaveLength(1);
});

netnsTest('entries left from an earlier life are removed at start and counted (F03)', async (net) => {
  // given static entries that outlive their writer
  const { router } = lan(net);
  router.run('python3', '-c', FOREIGN_WRITE, 'add', '10.9.9.9', '239.9.9.9');
  router.run('python3', '-c', FOREIGN_WRITE, 'add', '10.9.9.8', '239.9.9.9');
  // when the daemon starts
  const daemon = await router.daemon((socket) => config(socket));
  // then they are gone, and it said so
  expect(router.ip('mroute')).not.toContain('239.9.9.9');
  expect(daemon.output()).toMatch(/"?2"?.*(left|earlier)|(left|earlier).*2/);
});

netnsTest('after SIGKILL without a descriptor store the outage is bounded and reported (F04)', async (net) => {
  // given a stream
  const { router, source, host } = lan(net);
  const first = await router.daemon((socket) => config(socket));
  const receiver = await host.receiver({ address: '10.2.0.2' });
  await receiver.join('239.1.1.1');
  await source.sender({ from: '10.1.0.2', groups: ['239.1.1.1'], ratePerSec: 1000 });
  await eventually('the stream', async () => (await receiver.report()).received > 100);
  // when the daemon is killed and started again
  first.process.signal('SIGKILL');
  await first.process.end();
  const stopped = await receiver.report();
  const second = await router.daemon((socket) => config(socket));
  // then the stream comes back with the answers to the first query, and the receiver tells how much was lost
  const back = await eventually(
    'the stream to come back within the query response interval of 10 s',
    async () => {
      const report = await receiver.report();
      return report.received > stopped.received + 100 ? report : undefined;
    },
    { withinMs: 15_000, everyMs: 100 },
  );
  process.stderr.write(`F04: ${back.lost} packets lost of 1000 per second without a descriptor store\n`);
  expect(back.duplicated).toBe(0);
  expect(second.output()).toMatch(/cold start|without/i);
});

netnsTest('an interface that is absent at start is served within a second of its arrival (F07)', async (net) => {
  // given a configuration that names an interface which does not exist yet
  const router = net.router('router');
  const source = net.host('source', router, 'send', '10.1.0');
  const daemon = await router.daemon((socket) => config(socket));
  expect(interfaceRow(daemon, 'recv')?.vif ?? null).toBeNull();
  // when it arrives
  net.link([router, 'recv', '10.2.0.1/24'], [source, 'eth1', '10.2.0.2/24']);
  // then it is active
  const row = await eventually('recv to be served', () => serves(daemon, 'recv'), { withinMs: 5_000, everyMs: 50 });
  expect(row.owner).toBe('red');
});

netnsTest('an interface that is re-created keeps its owner, and its joins are replayed (F08)', async (net) => {
  // given a handed-over interface with a configured join and a stream
  const { router, source, host } = lan(net);
  const daemon = await router.daemon((socket) => config(socket));
  await serves(daemon, 'recv');
  daemon.ctl('handover', 'recv', '--from', 'red', '--to', 'blue');
  daemon.ctl('join', 'recv', '239.5.5.5');
  const before = interfaceRow(daemon, 'recv')!;
  // when it is deleted and comes again with the same name
  router.ip('link', 'del', 'recv');
  await eventually('recv to be gone', () => (interfaceRow(daemon, 'recv')?.vif ?? null) === null);
  net.link([router, 'recv', '10.2.0.1/24'], [host, 'eth0', '10.2.0.2/24']);
  // then it has another ifindex, the same owner, IGMP beside it, and the join
  const row = await serves(daemon, 'recv');
  expect(row.ifindex).not.toBe(before.ifindex);
  expect(row.owner).toBe('blue');
  expect(row.vif).not.toBe(before.vif);
  await eventually('the join', () => router.run('cat', '/proc/net/igmp').includes('050505EF'));
  // and streams pass
  const receiver = await host.receiver({ address: '10.2.0.2' });
  await receiver.join('239.1.1.1');
  await source.sender({ from: '10.1.0.2', groups: ['239.1.1.1'], ratePerSec: 100 });
  await eventually('the stream', async () => (await receiver.report()).received > 10);
});

netnsTest('queries wait for an address, follow it when it changes, and joins stay (F09, F10)', async (net) => {
  // given an interface without an address and a join on it
  const router = net.router('router');
  const host = net.namespace('host');
  net.link([router, 'recv', ''], [host, 'eth0', '10.2.0.2/24']);
  const daemon = await router.daemon((socket) => config(socket));
  await serves(daemon, 'recv');
  daemon.ctl('join', 'recv', '239.5.5.5');
  expect(router.run('cat', '/proc/net/igmp')).toContain('050505EF');
  const querier = () =>
    daemon.ctl<{ interface: string; address: string | null }[]>('show', 'igmp').find((row) => row.interface === 'recv');
  expect(querier()?.address ?? null).toBeNull();
  // when it gets one, and then another instead
  router.ip('address', 'add', '10.2.0.1/24', 'dev', 'recv');
  await eventually('queries from 10.2.0.1', () => querier()?.address === '10.2.0.1');
  router.ip('address', 'add', '10.2.0.7/24', 'dev', 'recv');
  router.sysctl('net.ipv4.conf.recv.promote_secondaries', 1);
  router.ip('address', 'del', '10.2.0.1/24', 'dev', 'recv');
  // then the querier's source follows, and the join is still there
  await eventually('queries from 10.2.0.7', () => querier()?.address === '10.2.0.7');
  expect(router.run('cat', '/proc/net/igmp')).toContain('050505EF');
});

netnsTest('after fifty carrier flaps the state is that of a fresh start (F11)', async (net) => {
  // given a stream
  const { router, source, host } = lan(net);
  const daemon = await router.daemon((socket) => config(socket));
  const receiver = await host.receiver({ address: '10.2.0.2' });
  await receiver.join('239.1.1.1');
  await source.sender({ from: '10.1.0.2', groups: ['239.1.1.1'], ratePerSec: 200 });
  await eventually('the stream', async () => (await receiver.report()).received > 10);
  const shown = () =>
    JSON.stringify(
      daemon.ctl<InterfaceRow[]>('show', 'interfaces').map(({ name, owner, state }) => [name, owner, state]),
    );
  const before = shown();
  // when the receiver's cable is pulled and put back fifty times
  for (let flap = 0; flap < 50; flap++) {
    host.ip('link', 'set', 'eth0', 'down');
    host.ip('link', 'set', 'eth0', 'up');
  }
  host.ip('route', 'replace', 'default', 'via', '10.2.0.1');
  // then the stream comes back and the table says what it said
  const resting = await receiver.report();
  await eventually('the stream again', async () => (await receiver.report()).received > resting.received + 10, {
    withinMs: 15_000,
  });
  expect(shown()).toBe(before);
});

netnsTest('a thousand groups joined upstream are a thousand groups, with stock limits (F13)', async (net) => {
  // given twenty memberships per socket
  const { router } = lan(net);
  expect(router.run('cat', '/proc/sys/net/ipv4/igmp_max_memberships').trim()).toBe('20');
  const joins = Array.from(
    { length: 1000 },
    (_, n) => `      - { interface: send, group: 239.7.${n >> 8}.${n & 255} }`,
  );
  // when a thousand joins are configured
  const daemon = await router.daemon((socket) =>
    config(socket).replace('red: {}', `red:\n    joins:\n${joins.join('\n')}`),
  );
  // then the kernel has them all
  await eventually('1000 groups in the kernel', () => {
    const groups = router.run('cat', '/proc/net/igmp').match(/[0-9A-F]{4}07EF/g) ?? [];
    return groups.length === 1000;
  });
  expect(daemon.output()).not.toContain('ENOBUFS');
});

netnsTest('the 33rd interface is refused with the count, a hundred others cost no vif (F14, F15)', async (net) => {
  // given a hundred interfaces of which 33 are configured
  const router = net.router('router');
  for (let n = 0; n < 50; n++) router.ip('link', 'add', `a${n}`, 'type', 'veth', 'peer', 'name', `b${n}`);
  const names = Array.from({ length: 32 }, (_, n) => `a${n}`);
  const daemon = await router.daemon(
    (socket) => `
control: { socket: ${socket} }
interfaces:
${names.map((name) => `  ${name}: { owner: red }`).join('\n')}
static: { red: {}, blue: {} }
`,
  );
  const used = () => daemon.ctl<InterfaceRow[]>('show', 'interfaces').filter((row) => row.vif !== null).length;
  expect(used()).toBe(32);
  // when one more is taken
  const refused = () =>
    router.run(process.execPath, TOOL, '--socket', daemon.controlSocket, 'take', 'a40', '--by', 'blue');
  // then it is refused with the count, and the others are as they were
  expect(refused).toThrow(/33|32/);
  expect(used()).toBe(32);
  // and a released one makes room
  daemon.ctl('release', 'a0');
  daemon.ctl('take', 'a40', '--by', 'blue');
  expect(interfaceRow(daemon, 'a40')?.owner).toBe('blue');
});

netnsTest('without CAP_NET_RAW the daemon ends with 77 and says which capability is missing (F40)', async (net) => {
  // given a process without the capability
  const { router } = lan(net);
  const file = path.join(net.temporaryDirectory(), 'mgmd.yaml');
  writeFileSync(file, 'interfaces: {}\n');
  const daemon = [process.execPath, 'dist/daemon/main.js', '--config', file];
  const child = router.spawn('setpriv', ['--bounding-set', '-net_raw', ...daemon]);
  // when it starts
  const code = await child.end();
  // then
  expect(code).toBe(77);
  expect([...child.lines, ...child.errors].join('\n')).toContain('CAP_NET_RAW');
});

const NAMES = (socket: string) => `
control: { socket: ${socket} }
interfaces:
  recv: { owner: red, igmp: true }
  other: { owner: red, igmp: { groupFilter: [{ deny: 239.0.0.0/8 }] } }
static: { red: {} }
`;

netnsTest(
  'a configuration goes with the name: what eth0 denies is not admitted by one that was eth1 (C6)',
  async (net) => {
    const { router, host } = lan(net);
    const daemon = await router.daemon(NAMES);
    const receiver = await host.receiver({ address: '10.2.0.2' });
    await receiver.join('239.1.1.1');
    const groups = () => daemon.ctl<{ interface: string }[]>('show', 'igmp', 'groups').map((row) => row.interface);
    await eventually('the group', () => groups().includes('recv'));
    router.ip('link', 'set', 'dev', 'recv', 'down');
    router.ip('link', 'set', 'dev', 'recv', 'name', 'other');
    router.ip('link', 'set', 'dev', 'other', 'up');
    await serves(daemon, 'other');
    await eventually('the report to be refused', () =>
      daemon
        .ctl<{ interface: string; dropped: Record<string, number> }[]>('show', 'igmp', 'statistics')
        .some((row) => row.interface === 'other' && row.dropped['groupFilter']! > 0),
    );
    expect(groups()).toEqual([]);
    expect(interfaceRow(daemon, 'recv')).toMatchObject({ ifindex: null, owner: null });
    expect(daemon.events('interface.lost')[0]).toMatchObject({ ifname: 'recv', renamed: 'other' });
  },
);

netnsTest(
  'an interface that becomes a port of a bridge is given up at once, and taken back when it is free (C6)',
  async (net) => {
    const { router } = lan(net);
    const daemon = await router.daemon((socket) => config(socket));
    await serves(daemon, 'recv');
    router.ip('link', 'add', 'name', 'br0', 'type', 'bridge');
    router.ip('link', 'set', 'dev', 'recv', 'master', 'br0');
    const problem = () =>
      daemon.ctl<{ name: string; problem: string | null }[]>('show', 'owners').find(({ name }) => name === 'recv')
        ?.problem;
    await eventually('the problem', () => problem()?.includes('recv is a port of br0 (bridge)'));
    await eventually('no vif', () => interfaceRow(daemon, 'recv')?.owner === null);
    router.ip('link', 'set', 'dev', 'recv', 'nomaster');
    await serves(daemon, 'recv');
    expect(problem()).toBeNull();
  },
);

netnsTest('a query comes from the address of the network, whatever else is added first (C2)', async (net) => {
  const { router } = lan(net);
  router.ip('address', 'flush', 'dev', 'recv');
  router.ip('address', 'add', '239.9.9.9/32', 'dev', 'recv', 'autojoin');
  const daemon = await router.daemon((socket) => config(socket));
  const address = () =>
    daemon
      .ctl<{ interface: string; address: string | null }[]>('show', 'igmp', 'interfaces')
      .find((row) => row.interface === 'recv')?.address;
  expect(address()).toBeNull();
  router.ip('address', 'add', '10.2.0.1/24', 'dev', 'recv');
  await eventually('the address', () => address() === '10.2.0.1');
  expect(daemon.events('igmp.query.failed')).toEqual([]);
});
