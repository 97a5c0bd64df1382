/** What a schema of single values cannot see: names that must exist, times that depend on each other, defaults that follow from others. */
import { formatIp, formatPrefix, type IpAddress, type Prefix, prefixContains } from '../base/ip.js';
import { formatDuration } from './durations.js';
import { dvmrpInterfaceOf, dvmrpOf } from './dvmrp.js';
import { idleParts } from './idle.js';
import { nameOf, pairOf, type Problem, rangeText } from './problem.js';
import {
  type DvmrpInterfaceValues,
  type FileValues,
  type IgmpValues,
  igmpSchema,
  MAX_SOCKET_PATH,
  SSM_RANGES,
} from './schema.js';
import { utf8Length } from './text.js';
import type { Path } from './source.js';
import { nearest } from './suggest.js';
import type {
  Config,
  GroupWish,
  IgmpGlobalConfig,
  IgmpInterfaceConfig,
  InterfaceConfig,
  ProxyConfig,
  StaticConfig,
} from './types.js';

type RouteValues = FileValues['static'][string]['routes'][number];
type ProxyValues = NonNullable<FileValues['proxy']>;

export interface Checked {
  readonly config: Config;
  readonly errors: readonly Problem[];
  readonly warnings: readonly Problem[];
}

/** Each is a comparison with every name; after so many errors nobody asks for more. */
const MAX_HINTS = 100;
/** The kernel's multicast interface table (MAXVIFS). */
const VIFS = 32;
/** A static route's active input without packets is given up after this. */
const FAILOVER_MS = 1000;
/** Joins of one static instance, ranges counted by their groups: each takes a place in a socket and in its routers upstream. */
const MAX_JOINED_GROUPS = 16_384;
/** What the 8-bit time of an IGMPv2 query can say: 255 tenths of a second (RFC 2236 section 2.2). */
const V2_MAX_RESPONSE_MS = 25_500;

export function check(values: FileValues, file: string, defaultSocket: string): Checked {
  const checker = new Checker(values);
  checker.run();
  checker.socket(values.control.socket ?? defaultSocket);
  const { igmp } = values;
  const config: Config = {
    file,
    table: values.table,
    log: values.log,
    control: { socket: values.control.socket ?? defaultSocket },
    restart: { windowMs: values.restart.window },
    rpf: {
      table: values.rpf.table,
      routes: values.rpf.routes.map((route) => ({ ...route, neighbor: route.neighbor })),
    },
    mfe: values.mfe,
    foreign: values.foreign,
    interfaces: Object.entries(values.interfaces).map(([name, value]) => interfaceOf(name, value, igmp)),
    statics: Object.entries(values.static).map(([name, value], at) => staticOf(name, at, value)),
    proxy: values.proxy && proxyOf(values.proxy),
    igmp,
    dvmrp: dvmrpOf(values),
    pause: values.pause,
  };
  const idle = checker.errors.length > 0 ? [] : idleParts(values);
  return { config, errors: checker.errors, warnings: [...checker.warnings, ...idle] };
}

/** The configuration of interfaces that get IGMP by the tool and not by the file: all defaults of igmp.md section 18. */
export function defaultIgmpConfig(
  { ssmRanges }: Pick<IgmpGlobalConfig, 'ssmRanges'> = { ssmRanges: SSM_RANGES },
  boundary: readonly Prefix[] = [],
): IgmpInterfaceConfig {
  return igmpConfigOf(igmpSchema.parse({}), ssmRanges, boundary);
}

function igmpConfigOf(
  values: IgmpValues,
  ssmRanges: readonly Prefix[],
  boundary: readonly Prefix[],
): IgmpInterfaceConfig {
  return {
    version: values.version,
    robustness: values.robustness,
    queryIntervalMs: values.queryInterval,
    queryResponseIntervalMs: values.queryResponseInterval,
    lastMemberQueryIntervalMs: values.lastMemberQueryInterval,
    lastMemberQueryCount: values.lastMemberQueryCount ?? values.robustness,
    startupQueryIntervalMs: values.startupQueryInterval ?? Math.max(100, Math.round(values.queryInterval / 4)),
    startupQueryCount: values.startupQueryCount ?? values.robustness,
    requireRouterAlert: values.requireRouterAlert,
    requireTtl1: values.requireTtl1,
    fastLeave: values.fastLeave,
    maxGroups: values.maxGroups,
    maxSources: values.maxSources,
    maxSourcesPerGroup: values.maxSourcesPerGroup,
    verifySourceSubnet: values.verifySourceSubnet,
    ignoreV1: values.ignoreV1,
    ignoreV2: values.ignoreV2,
    strictQuerySource: values.strictQuerySource,
    disableCompatibilityModes: values.disableCompatibilityModes,
    explicitTracking: values.explicitTracking,
    maxTrackedHosts: values.maxTrackedHosts,
    maxGroupsPerHost: values.maxGroupsPerHost,
    maxQueriesPerSec: values.maxQueriesPerSec,
    groupFilter: values.groupFilter,
    sourceFilter: values.sourceFilter,
    staticGroups: values.staticGroups.map(wishOf),
    joinGroups: values.joinGroups.map(wishOf),
    pull: values.pull,
    ssmRanges,
    boundary,
  };
}

function wishOf({ group, source }: IgmpValues['joinGroups'][number]): GroupWish {
  return { group, source };
}

function interfaceOf(
  name: string,
  value: FileValues['interfaces'][string],
  { ssmRanges }: IgmpGlobalConfig,
): InterfaceConfig {
  const { owner, threshold, boundary } = value;
  const igmp = value.igmp && igmpConfigOf(value.igmp, ssmRanges, boundary);
  const dvmrp = value.dvmrp && dvmrpInterfaceOf(value.dvmrp);
  return { name, owner, igmp, dvmrp, threshold, boundary };
}

function proxyOf({ upstreams, requireQuerier, leaveDelay, maxJoins, wildcardGroups }: ProxyValues): ProxyConfig {
  return { upstreams, requireQuerier, leaveDelayMs: leaveDelay, maxJoins, wildcardGroups };
}

/** Instances are told apart by their order in the file: component ids 0, 1, ... */
function staticOf(name: string, componentId: number, value: FileValues['static'][string]): StaticConfig {
  return {
    name,
    componentId,
    routes: value.routes.map(({ source, group, from, to, failoverAfter }) => ({
      source,
      group,
      iifs: from,
      oifs: to,
      failoverMs: failoverAfter ?? FAILOVER_MS,
    })),
    joins: value.joins.map((join) => ({ ...join, source: join.source })),
  };
}

class Checker {
  readonly errors: Problem[] = [];
  readonly warnings: Problem[] = [];
  readonly #values: FileValues;
  readonly #interfaces: ReadonlySet<string>;
  readonly #instances: ReadonlySet<string>;
  readonly #ssmRanges: readonly Prefix[];

  constructor(values: FileValues) {
    this.#values = values;
    this.#interfaces = new Set(Object.keys(values.interfaces));
    this.#instances = new Set([...Object.keys(values.static), ...(values.proxy ? ['proxy'] : []), 'dvmrp']);
    this.#ssmRanges = values.igmp.ssmRanges;
  }

  run(): void {
    for (const [name, value] of Object.entries(this.#values.interfaces)) {
      if (value.owner !== undefined) this.#owner(['interfaces', name, 'owner'], value.owner);
      if (value.igmp) this.#igmp(['interfaces', name, 'igmp'], value.igmp, value.boundary);
      if (value.dvmrp) this.#dvmrpInterface(['interfaces', name, 'dvmrp'], value.dvmrp);
    }
    this.#interfaceCount();
    this.#rpfRoutes();
    if (this.#values.proxy) this.#proxy(this.#values.proxy);
    for (const [at, group] of this.#values.dvmrp?.pullGroups.entries() ?? [])
      this.#anySourceJoin(['dvmrp', 'pullGroups', at], group);
    for (const [name, value] of Object.entries(this.#values.static)) this.#instance(['static', name], value);
  }

  /** The one of the file has been looked at; that of a long runtime directory has not. */
  socket(path: string): void {
    if (utf8Length(path) > MAX_SOCKET_PATH)
      this.#error(['control', 'socket'], `"${path}" has more than ${MAX_SOCKET_PATH} bytes; set a shorter one`);
  }

  #owner(path: Path, owner: string): void {
    if (owner === 'proxy' && !this.#values.proxy)
      this.#error(path, 'must not be "proxy" without a section "proxy"; add one with an upstream');
    else this.#known(path, owner, this.#instances, 'the name of an instance under "static", "proxy" or "dvmrp"');
  }

  #interface(path: Path, name: string): void {
    this.#known(path, name, this.#interfaces, 'an interface listed under "interfaces"');
  }

  #known(path: Path, word: string, known: ReadonlySet<string>, fits: string): void {
    if (known.has(word)) return;
    const meant = this.errors.length < MAX_HINTS ? nearest(word, [...known]) : undefined;
    const there =
      known.size === 0 ? 'none is listed' : `known: ${[...take(known, 8)].join(', ')}${known.size > 8 ? ', …' : ''}`;
    const hint = meant === undefined ? '' : `; did you mean "${meant}"?`;
    this.#error(path, `must be ${fits} (got "${word}"; ${there})${hint}${listHint(path, word, known)}`);
  }

  #igmp(path: Path, igmp: IgmpValues, boundary: readonly Prefix[]): void {
    const { queryInterval, queryResponseInterval, startupQueryInterval, lastMemberQueryInterval } = igmp;
    if (queryResponseInterval >= queryInterval) {
      const fits = `less than queryInterval (${formatDuration(queryInterval)})`;
      this.#time([...path, 'queryResponseInterval'], queryResponseInterval, fits);
    }
    if (startupQueryInterval !== undefined && startupQueryInterval > queryInterval) {
      const fits = `at most queryInterval (${formatDuration(queryInterval)})`;
      this.#time([...path, 'startupQueryInterval'], startupQueryInterval, fits);
    }
    if (igmp.version < 3) {
      const fits = `at most ${formatDuration(V2_MAX_RESPONSE_MS)} with version ${igmp.version}`;
      for (const [key, ms] of Object.entries({ queryResponseInterval, lastMemberQueryInterval }))
        if (ms > V2_MAX_RESPONSE_MS) this.#time([...path, key], ms, fits);
    }
    for (const key of ['staticGroups', 'joinGroups'] as const) this.#wishes([...path, key], igmp[key], boundary);
    if (igmp.robustness === 1)
      this.#warning([...path, 'robustness'], 'with 1 one lost packet ends a membership; 2 is usual');
    for (const key of deafening(igmp))
      this.#warning([...path, key], `with version ${igmp.version} no host is heard; set it to false`);
  }

  #wishes(path: Path, wishes: IgmpValues['joinGroups'], boundary: readonly Prefix[]): void {
    const seen = new Map<string, number>();
    for (const [at, { group, source }] of wishes.entries()) {
      this.#once(seen, pairOf({ source, group: hostPrefix(group) }), at, [...path, at]);
      if (source === undefined) this.#anySourceJoin([...path, at, 'group'], group);
      const scope = boundary.find((prefix) => prefixContains(prefix, group));
      if (scope)
        this.#error(
          [...path, at, 'group'],
          `must be outside of the interface's boundary ${formatPrefix(scope)} (got ${formatIp(group)})`,
        );
    }
  }

  /** A neighbour that loses three Probes in a row is still there. */
  #dvmrpInterface(path: Path, { probeInterval, neighborTimeout }: DvmrpInterfaceValues): void {
    if (neighborTimeout > 3 * probeInterval) return;
    const fits = `more than three times probeInterval (${formatDuration(probeInterval)})`;
    this.#time([...path, 'neighborTimeout'], neighborTimeout, fits);
  }

  #time(path: Path, ms: number, fits: string): void {
    this.#error(path, `must be ${fits} (got ${formatDuration(ms)})`);
  }

  /** Only a warning: interfaces come and go, and the kernel's limit is on those that are there at once. */
  #interfaceCount(): void {
    const used = Object.entries(this.#values.interfaces).filter(([, { owner, igmp }]) => owner !== undefined || igmp);
    const beyond = used[VIFS];
    if (!beyond) return;
    this.#warning(
      ['interfaces', beyond[0]],
      `${used.length} interfaces have an owner or IGMP; the kernel has room for ${VIFS} at a time, so those that come last are refused`,
      'key',
    );
  }

  #rpfRoutes(): void {
    const seen = new Map<string, number>();
    for (const [at, route] of this.#values.rpf.routes.entries()) {
      const path = ['rpf', 'routes', at];
      this.#interface([...path, 'interface'], route.interface);
      this.#once(seen, `${formatPrefix(route.prefix)} by ${route.interface}`, at, [...path, 'prefix']);
    }
  }

  /** RFC 4605 section 4: upstreams are host side only, and there is no proxy without both sides. */
  #proxy(proxy: ProxyValues): void {
    const seen = new Map<string, number>();
    for (const [at, { interface: name }] of proxy.upstreams.entries()) {
      const path = ['proxy', 'upstreams', at, 'interface'];
      this.#interface(path, name);
      this.#once(seen, name, at, path);
      const there = this.#interfaces.has(name) ? this.#values.interfaces[name] : undefined;
      if (there && there.owner !== 'proxy')
        this.#error(path, `must be an interface with "owner: proxy" (got "${name}")`);
      if (there?.igmp)
        this.#error(path, `must be an interface without "igmp" (got "${name}"); an upstream is a host on its link`);
    }
    const downstreams = Object.entries(this.#values.interfaces).filter(
      ([name, { owner }]) => owner === 'proxy' && !seen.has(name),
    );
    for (const [name, { igmp }] of downstreams)
      if (!igmp)
        this.#warning(
          ['interfaces', name, 'owner'],
          'nobody hears the hosts of this downstream of the proxy; add "igmp: true"',
        );
    if (downstreams.length === 0)
      this.#warning(
        ['proxy', 'upstreams'],
        'the proxy has no downstream; give an interface "owner: proxy" and "igmp: true"',
      );
    for (const [at, group] of proxy.wildcardGroups.entries())
      this.#anySourceJoin(['proxy', 'wildcardGroups', at], group);
  }

  /** The kernel would take it and never get a packet by it (RFC 4604 section 2.2). */
  #anySourceJoin(path: Path, group: IpAddress | Prefix): void {
    const groups = typeof group === 'object' ? group : hostPrefix(group);
    const range = this.#ssmRanges.find((prefix) => overlaps(prefix, groups));
    if (!range) return;
    this.#error(
      path,
      `must be outside of the source-specific range ${formatPrefix(range)}, or have a source (got ${rangeText(groups)})`,
    );
  }

  #instance(path: Path, instance: FileValues['static'][string]): void {
    this.#routes([...path, 'routes'], instance.routes);
    const joins = new Map<string, number>();
    let groups = 0;
    for (const [at, join] of instance.joins.entries()) {
      const here = [...path, 'joins', at];
      this.#interface([...here, 'interface'], join.interface);
      if (join.source === undefined) this.#anySourceJoin([...here, 'group'], join.group);
      this.#once(joins, `${pairOf(join)} on ${join.interface}`, at, here);
      groups += 2 ** (32 - join.group.length);
      if (groups > MAX_JOINED_GROUPS)
        return this.#error(here, `the joins of one instance must be at most ${MAX_JOINED_GROUPS} groups together`);
    }
  }

  #routes(path: Path, routes: readonly RouteValues[]): void {
    const seen = new Map<string, { readonly at: number; readonly route: RouteValues }[]>();
    for (const [at, route] of routes.entries()) {
      const here = [...path, at];
      const inputs = new Map<string, number>();
      for (const [n, name] of route.from.entries()) {
        const place = route.from.length === 1 ? [...here, 'from'] : [...here, 'from', n];
        this.#interface(place, name);
        this.#once(inputs, name, n, place);
      }
      this.#outputs([...here, 'to'], route.from, route.to);
      if (route.failoverAfter !== undefined && route.from.length === 1)
        this.#warning([...here, 'failoverAfter'], 'has no effect with one input; list several in `from`');
      const earlier = seen.get(pairOf(route)) ?? [];
      seen.set(pairOf(route), [...earlier, { at, route }]);
      this.#sameKey(here, route, earlier);
    }
  }

  /** Routes of one key differ in their inputs: then the packet's arrival decides. */
  #sameKey(
    path: Path,
    route: RouteValues,
    earlier: readonly { readonly at: number; readonly route: RouteValues }[],
  ): void {
    for (const { at, route: other } of earlier) {
      const input = route.from.find((name) => other.from.includes(name));
      if (input === undefined) continue;
      const isClear = route.to.length > 0 && other.to.length > 0;
      const advice = isClear
        ? 'write one route with all outputs in `to`'
        : route.to.length === other.to.length
          ? 'leave one of them out'
          : 'one of them blocks what the other lets out: leave one of them out';
      return this.#error(
        path,
        `${pairOf(route)} from ${input} appears twice, first as number ${at + 1} of the list; ${advice}`,
      );
    }
    const other = earlier.find((one) => one.route.to.some((name) => route.to.includes(name)));
    if (!other) return;
    const inputs = [...new Set([...other.route.from, ...route.from])].join(', ');
    this.#warning(
      path,
      `${pairOf(route)} leaves by the same interface as number ${other.at + 1} of the list, from another one; if both carry the same stream write \`from: [${inputs}]\`, so that receivers get it once`,
    );
  }

  #outputs(path: Path, from: readonly string[], to: readonly string[]): void {
    const seen = new Map<string, number>();
    for (const [at, name] of to.entries()) {
      this.#interface([...path, at], name);
      this.#once(seen, name, at, [...path, at]);
      if (from.includes(name))
        this.#error(
          [...path, at],
          `must not be an interface of \`from\` (got ${name}); for both directions write a second route with \`from: ${name}\``,
        );
    }
  }

  #once(seen: Map<string, number>, what: string, at: number, path: Path): void {
    const first = seen.get(what);
    if (first === undefined) seen.set(what, at);
    else this.#error(path, `${what} appears twice, first as number ${first + 1} of the list; remove one`);
  }

  #error(path: Path, message: string): void {
    this.errors.push({ path, at: 'value', message: `${nameOf(path)}: ${message}` });
  }

  #warning(path: Path, message: string, at: Problem['at'] = 'value'): void {
    this.warnings.push({ path, at, message: `${nameOf(path)}: ${message}` });
  }
}

/** "a,b" is one name, and a list of two was meant. */
function listHint(path: Path, word: string, known: ReadonlySet<string>): string {
  const names = word.split(/[,;]/);
  if (names.length === 1 || !names.every((name) => known.has(name))) return '';
  return path.at(-1) === 'from' ? `; several are a list, [${names.join(', ')}]` : '; write one for each';
}

/** What makes IGMP ignore the very reports that hosts send to a querier of the configured version. */
function deafening(igmp: IgmpValues): readonly (keyof IgmpValues)[] {
  if (igmp.version === 3) return [];
  const keys = ['disableCompatibilityModes', igmp.version === 2 ? 'ignoreV2' : 'ignoreV1'] as const;
  return keys.filter((key) => igmp[key]);
}

function* take<T>(all: Iterable<T>, count: number): Generator<T> {
  let left = count;
  for (const one of all) {
    if (left-- <= 0) return;
    yield one;
  }
}

function hostPrefix(network: IpAddress): Prefix {
  return { network, length: 32 };
}

function overlaps(a: Prefix, b: Prefix): boolean {
  return a.length < b.length ? prefixContains(a, b.network) : prefixContains(b, a.network);
}
