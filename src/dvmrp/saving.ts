/**
 * Writes what the next life needs (saved-state.ts reads it). Ten thousand routes are a hundred milliseconds of work: they are
 * written beforehand, some at a time, as text with an age, and what is asked for at once is made of these.
 */
import { formatIp, formatPrefix, type IpAddress } from '../base/ip.js';
import type { Branch } from './trees/flows.js';
import type { RouterLink } from './link.js';
import type { Neighbor } from './neighbors/neighbor.js';
import type { Route } from './routes/route.js';
import type { Router } from './router.js';
import { FORMAT } from './saved-state.js';

/** With no more than these everything is written when it is asked for. */
const FEW = 1024;
/** Routes and branches of one text; of one turn, too. */
const PER_PART = 128;
/** What was written beforehand is as good as new for who goes on at once, and for who saves in case of a crash. */
const [FRESH_MS, USABLE_MS] = [5000, 300_000];

interface Part {
  readonly writtenMs: number;
  /** A JSON list of routes. */
  readonly text: string;
}

export class Saving {
  readonly #router: Router;
  #parts: readonly Part[] = [];
  #preparedMs = Number.NEGATIVE_INFINITY;

  constructor(router: Router) {
    this.#router = router;
  }

  /** There is so much that it should be prepared. */
  get isMuch(): boolean {
    return this.#router.table.size + this.#router.forwarding.branchCount > FEW;
  }

  /** A part per step. */
  *prepare(nowMs: () => number): Generator<void> {
    const parts: Part[] = [];
    const routes = savedRoutes(this.#router, nowMs);
    for (let part = take(routes, PER_PART); part.length > 0; part = take(routes, PER_PART)) {
      parts.push({ writtenMs: nowMs(), text: JSON.stringify(part) });
      yield;
    }
    this.#parts = parts;
    this.#preparedMs = nowMs();
  }

  /** A JSON value. `leaving`: nobody goes on with this life; otherwise it may be read after a crash, some time later. */
  state(nowMs: number, leaving: boolean): unknown {
    const { links, table } = this.#router;
    const { part, upTo, done, dueMs } = table.round;
    const round = { part, upTo: upTo && formatPrefix(upTo), done, inMs: dueMs - nowMs };
    const up = [...links.values()].filter(({ isUp }) => isUp).map((link) => saveLink(link, nowMs));
    return { format: FORMAT, leaving, links: up, ...this.#routes(nowMs, leaving), round };
  }

  #routes(nowMs: number, leaving: boolean) {
    const isGood = nowMs - this.#preparedMs <= (leaving ? FRESH_MS : USABLE_MS);
    if (!this.isMuch || !isGood) return { routes: [...savedRoutes(this.#router, () => nowMs)] };
    return { parts: this.#parts.map(({ writtenMs, text }) => ({ ageMs: nowMs - writtenMs, text })) };
  }
}

/** One after the other; a route with many branches comes several times. */
function* savedRoutes(router: Router, now: () => number): Generator<object> {
  const peer: NamePeer = ({ ifindex, address }) => ({
    link: router.links.get(ifindex as RouterLink['ifindex'])?.config.name ?? '',
    address: formatIp(address),
  });
  for (const known of router.table.routes()) {
    const route = router.table.get(known);
    if (!route) continue;
    const cost = (route.iif !== undefined && router.links.get(route.iif)?.config.dvmrp.metric) || 0;
    const branches = savedBranches(router, route, now, peer);
    let some = take(branches, PER_PART);
    do {
      const saved = { ...saveRoute(route, cost, now(), peer), ...listOf('branches', some) };
      if (Object.keys(saved).length > 0) yield { prefix: formatPrefix(route), ...saved };
      some = take(branches, PER_PART);
    } while (some.length > 0);
  }
}

function* savedBranches(router: Router, route: Route, now: () => number, peer: NamePeer): Generator<object> {
  for (const branch of router.forwarding.branchesOf(route)) {
    const saved = saveBranch(branch, now(), peer);
    if (saved) yield saved;
  }
}

function take<T>(from: Iterator<T>, count: number): T[] {
  const taken: T[] = [];
  while (taken.length < count) {
    const step = from.next();
    if (step.done) break;
    taken.push(step.value);
  }
  return taken;
}

type NamePeer = (peer: { readonly ifindex: number; readonly address: IpAddress }) => { link: string; address: string };

function saveLink({ config, address, neighbors }: RouterLink, nowMs: number) {
  return {
    name: config.name,
    address: formatIp(address!),
    generationId: neighbors.generationId,
    neighbors: [...neighbors.list()].flatMap((one) => (one.state === 'refused' ? [] : [saveNeighbor(one, nowMs)])),
  };
}

function saveNeighbor(one: Neighbor, nowMs: number) {
  const { address, state, generationId, major, minor, capabilities, sinceMs, upSinceMs, expiryMs } = one;
  const ages = { sinceMs: nowMs - sinceMs, upSinceMs: nowMs - upSinceMs, expiresInMs: expiryMs - nowMs };
  return { address: formatIp(address), state, generationId, major, minor, capabilities, ...ages };
}

function saveRoute({ upstream, metric, state, timerMs, ...route }: Route, cost: number, nowMs: number, peer: NamePeer) {
  const learned = upstream && {
    from: peer(upstream),
    metric: Math.max(1, metric - cost),
    held: state === 'hold',
    expiresInMs: timerMs - nowMs,
  };
  const offers = route.offers?.map((offer) => ({ ...peer(offer), metric: offer.metric }));
  const dependents = route.dependents?.map((one) => ({ ...peer(one.peer), expiresInMs: one.expiryMs - nowMs }));
  return { ...learned, ...listOf('offers', offers), ...listOf('dependents', dependents) };
}

/** Nothing where there is nothing: most routes have none of it. */
function listOf(name: string, list: readonly unknown[] | undefined): Readonly<Record<string, readonly unknown[]>> {
  return list === undefined || list.length === 0 ? {} : { [name]: list };
}

function saveBranch({ group, received, upstream }: Branch, nowMs: number, peer: NamePeer) {
  const { state, source, expiresMs } = upstream;
  if (received.size === 0 && state === 'none') return undefined;
  const asked = state !== 'none' &&
    source !== undefined && {
      state,
      source: formatIp(source),
      ...(state === 'pruned' && { expiresInMs: expiresMs - nowMs }),
    };
  const prunes = [...received].map(({ ifindex, neighbor, host, expiresMs: ends }) => ({
    ...peer({ ifindex, address: neighbor }),
    ...(host !== undefined && { host: formatIp(host) }),
    expiresInMs: ends - nowMs,
  }));
  return { group: formatIp(group), received: prunes, ...(asked && { asked }) };
}
