/** Interfaces and addresses on the real kernel: what the port says is what ip(8) did, and nothing that did not happen. */
import { afterEach, beforeEach, expect, test } from 'vitest';
import { formatIp } from '../../src/base/ip.js';
import { linkNetworkOf, usableAddresses } from '../../src/base/link-address.js';
import { loadAddon } from '../../src/kernel/addon.js';
import { Links } from '../../src/kernel/host/links.js';
import type { Link, LinkChange } from '../../src/port/kernel.js';
import { eventually } from '../support/eventually.js';
import { RecordingLog } from '../support/recording-log.js';
import { ifindexOf, ip, ipBatch, removeDevices, sysctl, veth } from './own-namespace.js';

let links: Links;
let changes: LinkChange[];
let log: RecordingLog;

function openLinks(): Links {
  const opened = Links.open(loadAddon(), log);
  if (!opened.ok) throw opened.error;
  return opened.value;
}

beforeEach(() => {
  log = new RecordingLog();
  links = openLinks();
  changes = [];
  links.onChange((change) => changes.push(change));
});

afterEach(() => {
  links.close();
  removeDevices();
  expect(log.complaints()).toEqual([]);
});

/** "10.1.0.1/24", "10.1.0.2/24 secondary", "10.9.0.1/32 peer 10.9.0.2". */
function addressesOf(name: string): readonly string[] {
  return (links.byName(name)?.addresses ?? []).map(({ address, prefixLength, secondary, peer }) => {
    const far = peer === undefined ? '' : ` peer ${formatIp(peer)}`;
    return `${formatIp(address)}/${prefixLength}${secondary ? ' secondary' : ''}${far}`;
  });
}

/** What a port opened just now knows: the truth that the events must have led to. */
function fresh(): readonly Link[] {
  const again = openLinks();
  const now = again.links();
  again.close();
  return now;
}

function sorted(list: readonly Link[]): readonly Link[] {
  return [...list].sort((a, b) => a.ifindex - b.ifindex);
}

/** Waits until the port knows what a fresh one knows. */
async function upToDate(): Promise<void> {
  await eventually('the port to be up to date', () => {
    expect(sorted(links.links())).toEqual(sorted(fresh()));
    return true;
  });
}

test('the list is complete when the port is open', () => {
  veth('wan', '10.1.0.1/24');
  ip('address add 10.1.0.2/24 dev wan');
  ip('address add 10.9.0.1 peer 10.9.0.2/32 dev wan');
  const now = fresh();
  const wan = now.find(({ name }) => name === 'wan');
  expect(wan).toMatchObject({
    up: true,
    running: true,
    loopback: false,
    pointToPoint: false,
    multicast: true,
    mtu: 1500,
  });
  expect(wan?.addresses.map(({ address }) => formatIp(address))).toEqual(['10.1.0.1', '10.9.0.1', '10.1.0.2']);
  expect(wan?.addresses.map(({ secondary }) => secondary)).toEqual([false, false, true]);
  expect(wan?.addresses.map(({ peer }) => peer && formatIp(peer))).toEqual([undefined, '10.9.0.2', undefined]);
  expect(now.find(({ name }) => name === 'lo')).toMatchObject({ loopback: true, up: true });
});

/** Of what speaks, best first: "10.1.0.1 of 10.1.0.0/24". */
function speakers(name: string): readonly string[] {
  return usableAddresses(links.byName(name)?.addresses ?? []).map((one) => {
    const { network, length } = linkNetworkOf(one);
    return `${formatIp(one.address)} of ${formatIp(network)}/${length}`;
  });
}

test('the address that speaks follows what is added and taken away (C2)', async () => {
  veth('wan', '10.1.0.1/24');
  ip('address add 239.9.9.9/32 dev wan autojoin');
  ip('address add 127.5.0.1/24 dev wan');
  ip('address add 10.5.0.1/24 dev wan scope host');
  ip('address add 169.254.7.7/16 dev wan scope link');
  ip('address add 10.255.0.1/32 dev wan');
  ip('address add 10.6.0.1/24 dev wan label wan:1 noprefixroute valid_lft 900 preferred_lft 600');
  await eventually('all', () => addressesOf('wan').length === 7);
  const others = ['10.255.0.1 of 10.255.0.1/32', '169.254.7.7 of 169.254.0.0/16'];
  expect(speakers('wan')).toEqual(['10.1.0.1 of 10.1.0.0/24', '10.6.0.1 of 10.6.0.0/24', ...others]);
  ip('address delete 10.1.0.1/24 dev wan');
  await eventually('one less', () => addressesOf('wan').length === 6);
  expect(speakers('wan')).toEqual(['10.6.0.1 of 10.6.0.0/24', ...others]);
  ip('address delete 10.6.0.1/24 dev wan');
  ip('address add 10.1.0.1/24 dev wan');
  await eventually('the first again', () => speakers('wan')[0] === '10.1.0.1 of 10.1.0.0/24');
});

test('the prefix of an address with a peer is that of the peer (C3)', async () => {
  veth('wan');
  ip('address add 10.8.0.1/32 peer 10.8.0.2/24 dev wan');
  await eventually('the address', () => addressesOf('wan')[0] === '10.8.0.1/24 peer 10.8.0.2');
  expect(speakers('wan')).toEqual(['10.8.0.1 of 10.8.0.0/24']);
});

test('an interface that appears is told, first as it is made and then as it changes (F07)', async () => {
  veth('wan', '10.1.0.1/24');
  await eventually('the address', () => addressesOf('wan').length > 0);
  await upToDate();
  const ofWan = changes.filter(({ link }) => link.name === 'wan');
  expect(ofWan[0]?.kind).toBe('added');
  expect(ofWan.slice(1).every(({ kind, before }) => kind === 'changed' && before !== undefined)).toBe(true);
});

test('an interface that is deleted and made again is another one (F08)', async () => {
  const first = veth('wan', '10.1.0.1/24');
  await upToDate();
  changes.length = 0;
  ip('link delete wan');
  const second = veth('wan', '10.1.0.1/24');
  await eventually(
    'the new one with its address',
    () => links.byName('wan')?.ifindex === second && addressesOf('wan')[0],
  );
  await upToDate();
  expect(links.byIndex(first)).toBeUndefined();
  const kinds = changes.filter(({ link }) => link.name === 'wan' && link.ifindex === first).map(({ kind }) => kind);
  expect(kinds.at(-1)).toBe('removed');
  expect(changes.find(({ link }) => link.ifindex === second)?.kind).toBe('added');
});

test('an interface made again with the same ifindex is removed and added (linux.md J)', async () => {
  ip('link add name wan index 4242 type veth peer name wan-peer');
  await upToDate();
  changes.length = 0;
  ip('link delete dev wan');
  ip('link add name wan index 4242 type veth peer name wan-peer');
  await upToDate();
  await eventually('both', () => changes.filter(({ link }) => link.ifindex === 4242).at(-1)?.kind === 'added');
  const kinds = changes.filter(({ link }) => link.ifindex === 4242).map(({ kind }) => kind);
  expect(kinds.filter((kind) => kind !== 'changed')).toEqual(['removed', 'added']);
});

test('when the primary address goes, the promoted one is the first that is not secondary (F09)', async () => {
  veth('wan', '10.1.0.1/24');
  sysctl('net.ipv4.conf.wan.promote_secondaries', 1);
  ip('address add 10.1.0.2/24 dev wan');
  ip('address add 10.1.0.3/24 dev wan');
  await eventually('three', () => addressesOf('wan').length === 3);
  expect(addressesOf('wan')).toEqual(['10.1.0.1/24', '10.1.0.2/24 secondary', '10.1.0.3/24 secondary']);
  ip('address delete 10.1.0.1/24 dev wan');
  await eventually('two', () => addressesOf('wan').length === 2);
  expect(addressesOf('wan')).toEqual(['10.1.0.2/24', '10.1.0.3/24 secondary']);
  await upToDate();
});

/** Of what a port heard of interfaces with an ifindex, without changes of state: "removed wan", "added uplink". */
function comings(ifindex: number): readonly string[] {
  const those = changes.filter(({ kind, link }) => link.ifindex === ifindex && kind !== 'changed');
  return those.map(({ kind, link }) => `${kind} ${link.name}`);
}

test('a renamed interface is removed and added, with the same ifindex (C6)', async () => {
  const wan = veth('wan', '10.1.0.1/24');
  await upToDate();
  changes.length = 0;
  ip('link set dev wan down');
  ip('link set dev wan name uplink');
  await eventually('the new name', () => links.byName('uplink'));
  expect(links.byName('wan')).toBeUndefined();
  expect(links.byName('uplink')?.ifindex).toBe(wan);
  expect(comings(wan)).toEqual(['removed wan', 'added uplink']);
  expect(changes.filter(({ renamed }) => renamed !== undefined).map(({ renamed }) => renamed)).toEqual([
    'uplink',
    'wan',
  ]);
  await upToDate();
});

test('two interfaces that swap their names are never both called alike (C6)', async () => {
  const [one, two] = [veth('one'), veth('two')];
  await upToDate();
  changes.length = 0;
  ipBatch(['one', 'two'].map((name) => `link set dev ${name} down`));
  ipBatch(['link set dev one name tmp', 'link set dev two name one', 'link set dev tmp name two']);
  await eventually('the swap', () => links.byName('one')?.ifindex === two && links.byName('two')?.ifindex === one);
  expect(comings(one)).toEqual(['removed one', 'added tmp', 'removed tmp', 'added two']);
  expect(comings(two)).toEqual(['removed two', 'added one']);
});

test('a port knows its master and what that is, and other names are known (C6)', async () => {
  veth('wan');
  ip('link add name br0 type bridge');
  ip('link set dev wan master br0');
  ip('link property add dev wan altname enp0s77');
  const br0 = ifindexOf('br0');
  await eventually('the port', () => links.byName('wan')?.port);
  await upToDate();
  expect(links.byName('wan')).toMatchObject({ port: { master: br0, kind: 'bridge' }, altNames: ['enp0s77'] });
  ip('link set dev wan nomaster');
  await eventually('no port', () => links.byName('wan')?.port === undefined);
});

test('after fifty flaps the state is that of a fresh start, and every change is a real difference (F11)', async () => {
  veth('wan', '10.1.0.1/24');
  await upToDate();
  changes.length = 0;
  for (let n = 0; n < 50; n++) {
    ip('link set dev wan-peer down');
    ip('link set dev wan-peer up');
  }
  await upToDate();
  await eventually('carrier', () => links.byName('wan')?.running);
  for (const { kind, link, before } of changes) {
    expect(kind).toBe('changed');
    expect(link).not.toEqual(before);
  }
});

test('a port that leaves a bridge stays an interface', async () => {
  veth('wan');
  ip('link add name br0 type bridge');
  ip('link set dev wan master br0');
  ip('link set dev wan nomaster');
  await upToDate();
  expect(links.byName('wan')?.ifindex).toBe(ifindexOf('wan'));
  expect(changes.filter(({ kind }) => kind === 'removed')).toEqual([]);
});

test('a burst that overflows the buffer is made good by reading everything again', async () => {
  veth('wan');
  await upToDate();
  // given so many changes in one go that their notifications cannot all be kept
  const lines: string[] = [];
  for (let n = 0; n < 4000; n++) {
    lines.push(`address add 10.${n >> 8}.${n & 255}.1/32 dev wan`);
    lines.push(`address delete 10.${n >> 8}.${n & 255}.1/32 dev wan`);
    lines.push(`link set dev wan mtu ${1400 + (n % 2)}`);
  }
  lines.push('address add 10.77.0.1/24 dev wan', 'link set dev wan mtu 1300');
  ipBatch(lines);
  await upToDate();
  expect(addressesOf('wan')).toEqual(['10.77.0.1/24']);
  expect(links.byName('wan')?.mtu).toBe(1300);
  expect(log.of('kernel.notifications.lost').length).toBeGreaterThan(0);
});

test('a handler that unsubscribed hears nothing more, the others do', async () => {
  const heard: string[] = [];
  const stop = links.onChange(({ link }) => heard.push(link.name));
  stop();
  stop();
  veth('wan');
  await upToDate();
  expect(heard).toEqual([]);
  expect(changes.length).toBeGreaterThan(0);
});
