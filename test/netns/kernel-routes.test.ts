/** Unicast routes on the real kernel: look-ups as the kernel makes them, and word of what may have changed. */
import { expect, test } from 'vitest';
import { formatIp, formatPrefix, ip as address, type Prefix, prefixContains } from '../../src/base/ip.js';
import { type Route, type Vif, VIFS } from '../../src/port/kernel.js';
import { eventually } from '../support/eventually.js';
import { FakeClock, settle } from '../support/fake-clock.js';
import { ifindexOf, ip, ipBatch, type Opened, sysctl, veth, withKernel } from './own-namespace.js';

type Routes = Opened['kernel']['routes'];

/** "10.2.0.0/16 dev 5 via 10.1.0.2", 'local' or 'none'. */
function show(route: Route | 'local' | undefined): string {
  if (route === undefined || route === 'local') return route ?? 'none';
  const via = route.gateway === undefined ? '' : ` via ${formatIp(route.gateway)}`;
  return `${formatPrefix(route.prefix)} dev ${route.ifindex}${via}`;
}

function look(routes: Routes, destination: string): string {
  return show(routes.lookup(address(destination)));
}

function watch(routes: Routes): Prefix[] {
  const changed: Prefix[] = [];
  routes.onChange((prefix) => changed.push(prefix));
  return changed;
}

function covers(changed: readonly Prefix[], destination: string): boolean {
  return changed.some((prefix) => prefixContains(prefix, address(destination)));
}

test('a look-up gives the longest prefix, its gateway, our own addresses as local, and nothing for unreachable ones', async () => {
  await withKernel(({ kernel: { routes } }) => {
    const wan = veth('wan', '10.1.0.1/24');
    ip('route add 10.2.0.0/16 via 10.1.0.2');
    ip('route add 10.2.3.0/24 via 10.1.0.3 proto static');
    ip('route add unreachable 10.2.4.0/24');
    ip('route add blackhole 10.2.5.0/24');
    expect(look(routes, '10.1.0.77')).toBe(`10.1.0.0/24 dev ${wan}`);
    expect(look(routes, '10.2.9.9')).toBe(`10.2.0.0/16 dev ${wan} via 10.1.0.2`);
    expect(look(routes, '10.2.3.9')).toBe(`10.2.3.0/24 dev ${wan} via 10.1.0.3`);
    expect(look(routes, '10.1.0.1')).toBe('local');
    expect(look(routes, '10.2.4.1')).toBe('none');
    expect(look(routes, '10.2.5.1')).toBe('none');
    expect(look(routes, '192.0.2.1')).toBe('none');
    ip('route add default via 10.1.0.2');
    expect(look(routes, '192.0.2.1')).toBe(`0.0.0.0/0 dev ${wan} via 10.1.0.2`);
    expect(routes.lookup(address('10.2.3.9'))).toMatchObject({ protocol: 4 });
  });
});

/** "a b", the devices of all next hops. */
function hops(routes: Routes, destination: string, names: readonly string[]): string {
  const found = routes.lookup(address(destination));
  if (found === undefined || found === 'local') return found ?? 'none';
  const all = (found.hops ?? [found]).map(({ ifindex }) => ifindex);
  return names.filter((name) => all.includes(ifindexOf(name))).join(' ');
}

for (const table of ['main', '200'])
  test(`every usable next hop is given: weighted, on link, by IPv6, as objects and groups, down and back, table ${table} (C1)`, async () => {
    const AB = ['a', 'b'];
    await withKernel(
      async ({ kernel: { routes } }) => {
        veth('a', '10.1.0.1/24');
        veth('b', '10.2.0.1/24');
        ip(`route add 10.9.0.0/16 table ${table} nexthop via 10.1.0.2 weight 7 nexthop via 10.2.0.2`);
        ip(`route add default table ${table} nexthop via 10.1.0.2 nexthop dev b`);
        ip(`route add 10.10.0.0/16 table ${table} nexthop via 192.0.2.1 dev a onlink nexthop via 10.2.0.2`);
        ip(`route add 10.11.0.0/16 table ${table} via inet6 fe80::7 dev b`);
        ip('nexthop add id 1 via 10.1.0.2 dev a');
        ip('nexthop add id 2 via 10.2.0.2 dev b');
        ip('nexthop add id 3 group 1/2,9');
        ip('nexthop add id 4 blackhole');
        ip(`route add 10.12.0.0/16 table ${table} nhid 3`);
        ip(`route add 10.13.0.0/16 table ${table} nhid 2`);
        ip(`route add 10.14.0.0/16 table ${table} nhid 4`);
        ip('nexthop add id 5 via fe80::7 dev b');
        ip(`route add 10.15.0.0/16 table ${table} nhid 5`);
        await eventually('the last one', () => look(routes, '10.13.0.1').includes('10.13'));
        const all = () => ['10.9.0.1', '192.0.2.9', '10.10.0.1', '10.12.0.1'].map((to) => hops(routes, to, AB));
        for (const compat of [1, 0]) {
          sysctl('net.ipv4.nexthop_compat_mode', compat);
          expect(all()).toEqual(['a b', 'a b', 'a b', 'a b']);
          expect(['10.11.0.1', '10.13.0.1'].map((to) => hops(routes, to, AB))).toEqual(['b', 'b']);
          expect(routes.lookup(address('10.11.0.1'))).toMatchObject({ gateway: undefined, byIpv6: true });
          expect(routes.lookup(address('10.15.0.1'))).toMatchObject({ gateway: undefined, byIpv6: true });
          expect(look(routes, '10.14.0.1')).toBe('none');
        }
        const changed = watch(routes);
        ip('nexthop replace id 2 via 10.1.0.3 dev a');
        await eventually('word of the object', () => covers(changed, '10.13.0.1'));
        await eventually('the other next hop', () => look(routes, '10.13.0.1').endsWith('via 10.1.0.3'));
        ip('link set dev a down');
        await eventually('b alone', () => hops(routes, '10.9.0.1', AB) === 'b');
        expect(hops(routes, '192.0.2.9', AB)).toBe('b');
        ip('link set dev a up');
        await eventually('a again', () => hops(routes, '10.9.0.1', AB) === 'a b');
        ip('link set dev b-peer down');
        await eventually('without carrier it is none', () => hops(routes, '10.9.0.1', AB) === 'a');
        sysctl('net.ipv4.nexthop_compat_mode', 1);
        ip('nexthop flush');
      },
      table === 'main' ? {} : { rpfTable: 200 },
    );
  });

test('added, replaced and deleted routes are told by prefix (F18)', async () => {
  // the fake clock keeps the second word about the links out of this
  const clock = new FakeClock();
  const check = async ({ kernel: { routes, links } }: Opened) => {
    veth('a', '10.1.0.1/24');
    veth('b', '10.3.0.1/24');
    const changed = watch(routes);
    await eventually('both links', () => links.byName('a')?.running && links.byName('b')?.running);
    await settle();
    changed.length = 0;
    ip('route add 10.2.0.0/16 via 10.1.0.2');
    await eventually('the new route', () => changed.some((prefix) => formatPrefix(prefix) === '10.2.0.0/16'));
    changed.length = 0;
    ip('route replace 10.2.0.0/16 via 10.3.0.2');
    await eventually('the other gateway', () => covers(changed, '10.2.0.1'));
    changed.length = 0;
    ip('route delete 10.2.0.0/16');
    await eventually('the end of it', () => covers(changed, '10.2.0.1'));
    expect(look(routes, '10.2.0.1')).toBe('none');
  };
  await withKernel(check, { clock });
});

test('a rule that leads to another table is heard when it comes and when it goes, and as a change of anything (C1)', async () => {
  await withKernel(async ({ kernel: { routes } }) => {
    const a = veth('a', '10.1.0.1/24');
    const b = veth('b', '10.3.0.1/24');
    ip('route add 10.2.0.0/16 via 10.1.0.2');
    ip('route add 10.2.0.0/16 via 10.3.0.2 table 77');
    await eventually('the link to be known', () => look(routes, '10.2.0.1').includes(`dev ${a}`));
    const changed = watch(routes);
    ip('rule add to 10.2.0.0/16 lookup 77');
    await eventually('word of the rule', () => changed.some(({ length }) => length === 0));
    expect(look(routes, '10.2.0.1')).toBe(`10.2.0.0/16 dev ${b} via 10.3.0.2`);
    changed.length = 0;
    ip('rule del to 10.2.0.0/16 lookup 77');
    await eventually('its end', () => changed.some(({ length }) => length === 0));
    expect(look(routes, '10.2.0.1')).toBe(`10.2.0.0/16 dev ${a} via 10.1.0.2`);
  });
});

test('routes that go silently with their link are told as "anything"', async () => {
  await withKernel(async ({ kernel: { routes } }) => {
    veth('a', '10.1.0.1/24');
    ip('route add 10.2.0.0/16 via 10.1.0.2');
    await eventually('the link to be known', () => look(routes, '10.2.0.1') !== 'none');
    const changed = watch(routes);
    ip('link set dev a down');
    await eventually('word of it', () => changed.some(({ length }) => length === 0));
    expect(look(routes, '10.2.0.1')).toBe('none');
  });
});

test('multicast entries are no route changes', async () => {
  await withKernel(async ({ kernel }) => {
    veth('a', '10.1.0.1/24');
    ip('route add 10.8.0.0/16 via 10.1.0.2');
    const changed = watch(kernel.routes);
    kernel.mroute.addMfc({
      source: address('10.1.0.2'),
      group: address('239.1.1.1'),
      iif: 0 as Vif,
      ttls: new Uint8Array(VIFS),
    });
    // when a later unicast change has arrived, an earlier multicast one would have, too
    ip('route add 10.7.0.0/16 via 10.1.0.2');
    await eventually('the unicast change', () => covers(changed, '10.7.0.1'));
    expect(changed.filter(({ length }) => length === 32 && covers(changed, '239.1.1.1'))).toEqual([]);
  });
});

test('hundreds of changes in one turn are told as one', async () => {
  await withKernel(async ({ kernel: { routes } }) => {
    veth('a', '10.1.0.1/24');
    const changed = watch(routes);
    ipBatch(Array.from({ length: 2000 }, (_, n) => `route add 10.20.${n >> 8}.${n & 255}/32 via 10.1.0.2`));
    await eventually('the change', () => changed.some(({ length }) => length === 0));
    expect(changed.length).toBeLessThan(300);
  });
});

test('another table is mirrored: longest prefix, priorities, replacements, deletions, and our own addresses', async () => {
  await withKernel(
    async ({ kernel: { routes } }) => {
      const a = veth('a', '10.1.0.1/24');
      const b = veth('b', '10.3.0.1/24');
      ip('route add 10.2.0.0/16 via 10.1.0.2 table 200 metric 10');
      ip('route add 10.2.0.0/16 via 10.3.0.2 table 200 metric 5');
      ip('route add 10.2.3.0/24 via 10.1.0.3 table 200');
      ip('route add 10.99.0.0/16 via 10.1.0.2');
      await eventually('all three', () => look(routes, '10.2.3.1') === `10.2.3.0/24 dev ${a} via 10.1.0.3`);
      expect(look(routes, '10.2.9.9')).toBe(`10.2.0.0/16 dev ${b} via 10.3.0.2`);
      expect(look(routes, '10.99.0.1')).toBe('none');
      expect(look(routes, '10.1.0.1')).toBe('local');
      ip('route replace 10.2.3.0/24 via 10.1.0.9 table 200');
      ip('route delete 10.2.0.0/16 via 10.3.0.2 table 200 metric 5');
      await eventually('both', () => look(routes, '10.2.9.9') === `10.2.0.0/16 dev ${a} via 10.1.0.2`);
      await eventually('the new gateway', () => look(routes, '10.2.3.1').endsWith('via 10.1.0.9'));
      ip('route append 10.2.0.0/16 via 10.1.0.4 table 200 metric 10');
      ip('route prepend 10.2.0.0/16 via 10.1.0.5 table 200 metric 10');
      ip('route add 10.2.0.0/16 tos 0x10 via 10.3.0.7 table 200');
      ip('route add 10.8.0.0/16 via 10.1.0.2 table 200');
      await eventually('the last one', () => look(routes, '10.8.0.1') !== 'none');
      expect(look(routes, '10.2.9.9')).toBe(`10.2.0.0/16 dev ${a} via 10.1.0.5`);
      ip('link set dev a down');
      await eventually('the routes to go', () => look(routes, '10.2.9.9') === 'none');
    },
    { rpfTable: 200 },
  );
});

test('a mirrored table is complete when it is opened', async () => {
  const a = veth('a', '10.1.0.1/24');
  ip('route add 10.2.0.0/16 via 10.1.0.2 table 200');
  await withKernel(
    ({ kernel: { routes } }) => {
      expect(look(routes, '10.2.9.9')).toBe(`10.2.0.0/16 dev ${a} via 10.1.0.2`);
      expect(look(routes, '10.1.0.1')).toBe('local');
    },
    { rpfTable: 200 },
  );
});
