/** A restart of the process that neighbours do not notice: what is saved, and what the next life makes of it. */
import fc from 'fast-check';
import { expect, test, vi } from 'vitest';
import { formatIp, ip } from '../../../src/base/ip.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { readState } from '../../../src/dvmrp/saved-state.js';
import * as built from '../../support/dvmrp-builder.js';
import {
  chain,
  GROUP,
  type Lan,
  type RouterOptions,
  type Routers,
  type TestRouter,
} from '../../support/dvmrp-routers.js';

const [PROBE, PRUNE, GRAFT] = [1, 7, 8];

/** Saved as text, as in a file. */
const textOf = (router: TestRouter) => JSON.stringify(router.dvmrp.saveState(true));

interface Rows {
  readonly neighbors: readonly object[];
  readonly routes: readonly object[];
  readonly prunes: readonly object[];
}

/** What an operator sees of it. */
function seen({ dvmrp: { views } }: TestRouter): Rows {
  return { neighbors: views.neighbors(), routes: views.routes(), prunes: views.prunes() };
}

/** The same router in a new process after `downSec`, on the same links. */
async function nextLife(world: Routers, old: TestRouter, text: string, downSec = 0, options: RouterOptions = {}) {
  const links = [...old.ports.values()].map(({ lan, ifindex }) => ({
    lan,
    host: Number(formatIp(old.kernel.links.byIndex(ifindex)!.addresses[0]!.address).split('.')[3]),
  }));
  old.vanish();
  await world.run(downSec);
  const next = world.router({ ...options, savedState: { state: JSON.parse(text) as unknown, ageMs: downSec * 1000 } });
  const ports = links.map(({ lan, host }) => next.attach(lan, host));
  return { next, ports };
}

/** The same without what each Probe and Report changes. */
const lasting = (router: TestRouter) =>
  JSON.parse(JSON.stringify(seen(router), (key, value: unknown) => (key.endsWith('Ms') ? undefined : value))) as Rows;

/** Codes of what a router has sent on the LAN. */
const said = (lan: Lan, from: string, since: number) =>
  lan.messages
    .slice(since)
    .filter(({ from: source }) => formatIp(source) === from)
    .map(({ payload }) => payload[1]);

test('after a restart with what was saved everything is there at once, and neighbours hear Probes of the same life alone', async () => {
  // given a flow that is pruned, and a host LAN with another router
  const { world, source, middle, host, r1, r2, S } = await chain();
  const third = world.router();
  await third.owns(third.attach(middle, 3), third.attach(host, 3));
  await world.run(30);
  await world.sends(source, S, GROUP);
  const before = seen(r2);
  expect(before.prunes).toHaveLength(1);
  expect(before.routes).toMatchObject([
    { originSubnet: '10.1.0.0/24', fromGateway: '10.9.0.1', dependents: [], forwarders: [] },
    { originSubnet: '10.2.0.0/24', dependents: ['eth0 10.9.0.1'] },
    { originSubnet: '10.9.0.0/24' },
  ]);
  const neighbours = [r1, third].map((router) => ({ log: router.log.lines.length, ...lasting(router) }));
  const text = textOf(r2);
  const counts = [middle, host].map((lan) => lan.messages.length);
  // when the next process takes the links, one after the other
  const { next, ports } = await nextLife(world, r2, text);
  await next.owns(...ports);
  await world.settle();
  // then it knows what it knew
  expect(seen(next)).toEqual(before);
  expect(textOf(next)).toBe(text);
  expect(next.log.lines.filter(({ fields }) => fields['evt'] === 'dvmrp.restored')).toMatchObject([
    { level: 'info', fields: { links: 2, routes: 3, odd: 0 } },
  ]);
  // and has said nothing but one Probe on each link
  for (const [n, lan] of [middle, host].entries())
    expect(said(lan, n === 0 ? '10.9.0.2' : '10.2.0.1', counts[n]!)).toEqual([PROBE]);
  // and for the neighbours nothing has happened, for minutes
  await world.run(200);
  for (const [n, router] of [r1, third].entries()) {
    const { log, ...rows } = neighbours[n]!;
    expect(router.log.lines.slice(log)).toEqual([]);
    expect(lasting(router)).toEqual(rows);
  }
});

test('time goes on while no process is there: what is old ends when it would have ended', async () => {
  const { world, r2, source, S, r1 } = await chain();
  await world.sends(source, S, GROUP);
  await world.run(25);
  // when the neighbour dies together with the process, and that is started again after 20 s
  const text = textOf(r2);
  const [neighbor] = r2.dvmrp.views.neighbors();
  const [route] = r2.dvmrp.views.routes();
  const [prune] = r2.dvmrp.views.prunes();
  r1.vanish();
  const { next, ports } = await nextLife(world, r2, text, 20);
  await next.owns(...ports);
  expect(next.dvmrp.views.neighbors()).toMatchObject([
    { expiresInMs: neighbor!.expiresInMs - 20_000, state: 'two-way' },
  ]);
  expect(next.dvmrp.views.routes()[0]).toMatchObject({ expiresInMs: route!.expiresInMs! - 20_000 });
  expect(next.dvmrp.views.prunes()).toMatchObject([{ expiresInMs: prune!.expiresInMs - 20_000 }]);
  // then it is lost when it was due, and its routes go into hold-down
  await world.run(16);
  expect([next.neighbors(), next.way('10.1.0.0/24')]).toEqual([[], 'hold']);
  // and a hold-down goes on in the life after that
  await world.run(100);
  const third = await nextLife(world, next, textOf(next), 10);
  await third.next.owns(...third.ports);
  expect(third.next.way('10.1.0.0/24')).toBe('hold');
  await world.run(12);
  expect(third.next.way('10.1.0.0/24')).toBe('none');
});

test('a prune that was sent is taken back by a Graft in the next life, and one that was received holds', async () => {
  const { world, source, middle, host, r1, r2, S } = await chain();
  await world.sends(source, S, GROUP);
  // when both routers start again
  const [first, second] = [textOf(r1), textOf(r2)];
  const one = await nextLife(world, r1, first, 1);
  await one.next.owns(...one.ports);
  const two = await nextLife(world, r2, second, 1);
  await two.next.owns(...two.ports);
  await two.next.hosts.take(two.ports[1]!);
  await world.settle();
  // then data stays on its LAN, and nobody prunes again
  const since = middle.messages.length;
  expect(middle.copies(await world.sends(source, S, GROUP))).toEqual([0]);
  expect(said(middle, '10.9.0.2', since)).toEqual([]);
  // when a host joins
  await two.next.hosts.joins(two.ports[1]!, GROUP);
  await world.settle();
  expect(said(middle, '10.9.0.2', since)).toEqual([GRAFT]);
  expect(host.copies(await world.sends(source, S, GROUP))).toEqual([1]);
  expect(said(middle, '10.9.0.2', since)).not.toContain(PRUNE);
});

test('a link with another address, a refused neighbour and a link that goes down later start anew', async () => {
  const { world, r1, r2 } = await chain();
  const text = textOf(r2);
  const { next, ports } = await nextLife(world, r2, text.replaceAll('10.2.0.1', '10.2.0.99'), 1, { chance: 0.25 });
  await next.owns(...ports);
  const idsOf = (router: TestRouter) => router.dvmrp.views.interfaces().map(({ generationId }) => generationId);
  const [kept, fresh] = idsOf(next);
  expect(kept).toBe(idsOf(r2)[0]);
  expect(fresh).toBe(0x4000_0000);
  // a link that flaps has a new life, which is of a larger number
  for (const change of [{ running: false }, { running: true }]) {
    next.kernel.changeDevice(ports[0]!, change);
    await world.settle();
  }
  expect(next.dvmrp.views.interfaces()[0]!.generationId).toBe(kept! + 1);
  expect(r1.dvmrp.views.neighbors()).toMatchObject([{ state: 'two-way', generationId: kept! + 1 }]);
});

test('a router without memory comes back with a generation id of chance, and its neighbour drops its prunes (F)', async () => {
  const { world, source, middle, host, r1, r2, S } = await chain();
  await world.sends(source, S, GROUP);
  expect(r1.dvmrp.views.prunes()).toHaveLength(1);
  // when it starts again in no time, with a clock that stands still
  const { next, ports } = await withoutMemory(world, r2, { chance: 0.25 });
  await next.owns(...ports);
  await world.run(5);
  const ids = [r2, next].map((router) => router.dvmrp.views.interfaces()[0]!.generationId);
  expect(ids).toEqual([0x8000_0000, 0x4000_0000]);
  expect(r1.dvmrp.views.prunes()).toEqual([]);
  await next.hosts.take(ports[1]!);
  await next.hosts.joins(ports[1]!, GROUP);
  await world.run(1);
  expect(host.copies(await world.sends(source, S, GROUP, 1000))).toEqual(Array.from({ length: 1000 }, () => 1));
  expect(middle.messages.at(-1)!.payload[1]).not.toBe(PRUNE);
});

/** The next life knows nothing, and its first Probe, which lists nobody, is lost: what its neighbour keeps, it keeps. */
async function withoutMemory(world: Routers, old: TestRouter, options: RouterOptions = {}) {
  const ports = [...old.ports.values()].map(({ lan, ifindex }) => ({
    lan,
    host: Number(formatIp(old.kernel.links.byIndex(ifindex)!.addresses[0]!.address).split('.')[3]),
  }));
  old.vanish();
  const next = world.router(options);
  return { next, ports: ports.map(({ lan, host }) => next.attach(lan, host)) };
}

/** Takes its links while nobody hears it, until its neighbours' next Probes have come. */
async function comesUnheard(world: Routers, next: TestRouter, ports: readonly Ifindex[], deaf: Lan) {
  deaf.losesFrom = next;
  await next.owns(...ports);
  for (const port of ports) await next.hosts.take(port);
  await world.run(11);
  deaf.losesFrom = undefined;
}

test('a neighbour that keeps our prune of an earlier life gets a Graft when a host joins (F)', async () => {
  const { world, source, middle, host, r1, r2, S } = await chain();
  await world.sends(source, S, GROUP);
  const { next, ports } = await withoutMemory(world, r2);
  await comesUnheard(world, next, ports, middle);
  await world.run(60);
  // the same id by chance, and the neighbour still holds the prune
  expect(r1.dvmrp.views.prunes()).toHaveLength(1);
  expect(host.copies(await world.sends(source, S, GROUP))).toEqual([0]);
  const since = middle.messages.length;
  await next.hosts.joins(ports[1]!, GROUP);
  await world.run(1);
  expect(said(middle, '10.9.0.2', since)).toContain(GRAFT);
  expect(next.dvmrp.views.grafts()).toEqual([]);
  expect(r1.dvmrp.views.prunes()).toEqual([]);
  expect(host.copies(await world.sends(source, S, GROUP, 1000))).toEqual(Array.from({ length: 1000 }, () => 1));
});

test('a member that is there before the route is told gets the Graft with the route (F)', async () => {
  const { world, source, middle, host, r1, r2, S } = await chain();
  await world.sends(source, S, GROUP);
  const { next, ports } = await withoutMemory(world, r2);
  await next.owns(ports[1]!);
  await next.hosts.take(ports[1]!);
  await next.hosts.joins(ports[1]!, GROUP);
  await comesUnheard(world, next, [ports[0]!], middle);
  await world.run(61);
  expect(r1.dvmrp.views.prunes()).toEqual([]);
  expect(host.copies(await world.sends(source, S, GROUP))).toEqual([1]);
});

test('a neighbour that the configuration of today does not want is none, and its routes do not come back', async () => {
  const { world, r2 } = await chain();
  const state = JSON.parse(textOf(r2)) as { links: { neighbors: { minor: number; state: string }[] }[] };
  state.links[0]!.neighbors[0]!.minor = 254;
  state.links[0]!.neighbors[0]!.state = 'compat';
  const { next, ports } = await nextLife(world, r2, JSON.stringify(state), 1);
  await next.owns(...ports);
  expect([next.neighbors(), next.way('10.1.0.0/24')]).toEqual([[], 'none']);
});

test('after a restart nothing is waited for when all that neighbours could say was left, and only then', async () => {
  const { world, r2 } = await chain();
  const left = textOf(r2);
  const afterwards = async (text: string, extra = false) => {
    const { next, ports } = await nextLife(world, world.routers.at(-1)!, text);
    if (extra) ports.push(next.attach(world.lan('10.7.0'), 1));
    await next.owns(...ports.slice(0, 1));
    const half = next.dvmrp.hasSaidAll();
    await next.owns(...ports.slice(1));
    return [half, next.dvmrp.hasSaidAll()];
  };
  expect(r2.dvmrp.hasSaidAll()).toBe(false);
  expect(await afterwards(left)).toEqual([false, true]);
  // a crash, a link that is new
  expect(await afterwards(left.replace('"leaving":true', '"leaving":false'))).toEqual([false, false]);
  expect(await afterwards(left, true)).toEqual([false, false]);
});

test('neighbours may still want packets on new links and after a crash, and nowhere else (D1)', async () => {
  const { world, r2, S } = await chain();
  const left = textOf(r2);
  for (const [text, expected] of [
    [left, [false, false, true]],
    [left.replace('"leaving":true', '"leaving":false'), [true, true, true]],
  ] as const) {
    const { next, ports } = await nextLife(world, r2, text);
    const all = [...ports, next.attach(world.lan('10.7.0'), 1)];
    await next.owns(...all);
    expect(all.map((port) => next.dvmrp.router.mayStillHear(S, port))).toEqual(expected);
    next.vanish();
  }
});

test('after a crash prunes of neighbours are not believed: they may have been grafted since', async () => {
  const { world, source, middle, r1, r2, r2Host, S } = await chain();
  await world.sends(source, S, GROUP);
  const noted = JSON.stringify(r1.dvmrp.saveState(false));
  expect(noted).toContain('239.5.5.5');
  // when the Graft comes after the last save, and the upstream router crashes
  await r2.hosts.joins(r2Host, GROUP);
  await world.run(1);
  const { next, ports } = await nextLife(world, r1, noted, 1);
  await next.owns(...ports);
  await world.settle();
  expect(middle.copies(await world.sends(source, S, GROUP))).toEqual([1]);
});

test('much is saved in parts that were written beforehand, with their age, and is read as the same (A3)', async () => {
  const { world, r2, r2Middle } = await chain();
  for (let from = 0; from < 3000; from += 100) {
    const routes = Array.from(
      { length: 100 },
      (_, n) => [`172.${16 + ((from + n) >> 8)}.${(from + n) & 255}.0/24`, 1] as const,
    );
    const destination = ip('224.0.0.4');
    r2.kernel.igmp.receive({ ifindex: r2Middle, source: ip('10.9.0.1'), destination, payload: built.report(routes) });
  }
  await world.run(1);
  const stringify = vi.spyOn(JSON, 'stringify');
  const prepared = Promise.resolve(r2.dvmrp.prepareState());
  expect(stringify).toHaveBeenCalledTimes(1);
  await world.run(1);
  await prepared;
  const sizes = stringify.mock.calls.map(([part]) => (part as readonly unknown[]).length);
  stringify.mockRestore();
  expect(sizes.length).toBeGreaterThan(3000 / 128);
  expect(Math.max(...sizes)).toBeLessThanOrEqual(128);
  await world.run(2);
  const { parts } = r2.dvmrp.saveState(true) as { parts: readonly { ageMs: number }[] };
  expect(parts.every(({ ageMs }) => ageMs >= 2000 && ageMs < 4000)).toBe(true);
  const whole = lasting(r2);
  const text = textOf(r2);
  const { next, ports } = await nextLife(world, r2, text, 1);
  await next.owns(...ports);
  expect(lasting(next)).toEqual(whole);
  expect(next.dvmrp.hasSaidAll()).toBe(true);
  // when they are too old, everything is written anew
  await world.run(6);
  expect(Object.keys(next.dvmrp.saveState(true) as object)).toContain('routes');
});

test('whatever stands in the saved state, reading it ends well, and odd parts are counted', async () => {
  const { world, r2, source, S } = await chain();
  await world.sends(source, S, GROUP);
  const real = r2.dvmrp.saveState(true);
  const odd = fc.constantFrom<unknown>(
    null,
    -1,
    1e99,
    0.5,
    '',
    '1.2.3.4',
    '10.0.0.1/8',
    '224.0.0.1',
    [],
    [1],
    {},
    true,
  );
  fc.assert(fc.property(fc.jsonValue(), (value) => void readState(value, 0)));
  fc.assert(
    fc.property(fc.nat(200), odd, (at, put) => {
      const state = readState(replaced(real, at, put), 0);
      expect(state.odd).toBeLessThan(10);
    }),
  );
  for (const value of [undefined, null, 7, 'x', [], {}, { format: 2 }]) expect(readState(value, 0).odd).toBe(1);
  // and a router that is given rubbish says one line and starts as usual
  const { next, ports } = await nextLife(world, r2, '{"format":1,"links":[{}],"routes":7}');
  await next.owns(...ports);
  expect(next.log.lines.filter(({ fields }) => fields['evt'] === 'dvmrp.restored')).toMatchObject([
    { level: 'warn', fields: { odd: 2 } },
  ]);
  await world.run(21);
  expect(next.neighbors()).toEqual(['10.9.0.1 two-way']);
});

/** A copy with one of its values replaced, counted in the order of the text. */
function replaced(value: unknown, at: number, put: unknown): unknown {
  let left = at;
  const copy = (one: unknown): unknown => {
    if (left-- === 0) return put;
    if (Array.isArray(one)) return one.map(copy);
    if (typeof one !== 'object' || one === null) return one;
    return Object.fromEntries(Object.entries(one).map(([key, inner]) => [key, copy(inner)]));
  };
  return copy(value);
}
