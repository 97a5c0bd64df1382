/**
 * The shape of the configuration file. Structure (which keys, which lists) is zod's business; every single value is a
 * leaf of ours, because an operator wants to read what fits and not which check of a library failed. What depends on
 * more than one value is in check.ts. Bounds and defaults of IGMP: igmp.md section 18.
 */
import { z } from 'zod';
import {
  ip,
  type IpAddress,
  isLinkLocalGroup,
  isMulticast,
  isUnicast,
  parseIp,
  parsePrefix,
  type Prefix,
  prefixContains,
} from '../base/ip.js';
import type { PrefixRule } from '../base/prefix-filter.js';
import type { RouteRule } from './types.js';
import { formatDuration, parseDuration } from './durations.js';
import { isAnyWord, listMeant, rangeMeant } from './meant.js';
import { utf8Length } from './text.js';

export const DEFAULT_TABLE = 253;
/** Inputs of a static route that take over from each other. */
const MAX_INPUTS = 8;
/** RFC 4607: 232.0.0.0/8. */
export const SSM_RANGES: Prefix[] = [parsePrefix('232.0.0.0/8')].flatMap((range) => (range.ok ? [range.value] : []));
export const DEFAULT_SOCKET = '/run/mgmd/mgmd.sock';
/** The unicast table "main". */
export const MAIN_TABLE = 254;
/** ipmr names a register interface after the table ("pimreg999999999"), so the kernel takes no more digits. */
const MAX_TABLE = 999_999_999;

type Words = (raw: unknown) => string;
type Hint = (raw: unknown) => string | undefined;

/** One value: `read` gives undefined for what does not fit, `fits` completes "must be ...", `hint` is said after it. */
function leaf<T>(fits: string | Words, read: (raw: unknown) => T | undefined, hint?: Hint) {
  return z.unknown().transform((raw, context): T => {
    const value = read(raw);
    if (value !== undefined) return value;
    const message = typeof fits === 'string' ? fits : fits(raw);
    context.issues.push({ code: 'custom', input: raw, message, params: { hint: hint?.(raw) } });
    return z.NEVER;
  });
}

/** Exactly these keys. The message of an issue is what fits: the keys. */
function keyed<Shape extends z.core.$ZodLooseShape>(shape: Shape, also = '') {
  const keys = listed(Object.keys(shape), 'and');
  return z.strictObject(shape, {
    error: ({ code }) => (code === 'unrecognized_keys' ? keys : `${also}a mapping with ${keys}`),
  });
}

/** The same, but it may be left out or left empty. */
function section<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return optionally(keyed(shape));
}

function optionally<Value extends z.ZodType>(value: Value) {
  return z.preprocess((raw) => raw ?? {}, value);
}

function named<Key extends z.core.$ZodRecordKey, Value extends z.ZodType>(key: Key, value: Value, fits: string) {
  return optionally(z.record(key, value, fits));
}

function list<Item extends z.ZodType>(item: Item, fits: string) {
  return z.preprocess((raw) => raw ?? [], z.array(item, fits));
}

function listed(words: readonly (string | number)[], last: 'and' | 'or'): string {
  return words.length === 1 ? `${words[0]}` : `${words.slice(0, -1).join(', ')} ${last} ${words.at(-1)}`;
}

function oneOf<const T extends readonly (string | number)[]>(...choices: T) {
  return leaf<T[number]>(listed(choices, 'or'), (raw) => choices.find((choice) => choice === raw));
}

function integer(from: number, to: number, extra = '') {
  return leaf(`a whole number from ${from} to ${to}${extra}`, (raw) =>
    typeof raw === 'number' && Number.isInteger(raw) && raw >= from && raw <= to ? raw : undefined,
  );
}

function duration(fromMs: number, toMs: number) {
  const read = (raw: unknown): number | undefined => {
    const ms = parseDuration(raw);
    return ms !== undefined && ms >= fromMs && ms <= toMs ? ms : undefined;
  };
  return leaf(`a time from ${formatDuration(fromMs)} to ${formatDuration(toMs)}`, read, (raw) => {
    const number = /^\d+$/.test(String(raw)) ? Number(raw) : undefined;
    if (number === undefined || number < fromMs || number > toMs) return undefined;
    return `a number without a unit is seconds; did you mean ${formatDuration(number)}?`;
  });
}

function text<T>(fits: string | Words, read: (raw: string) => T | undefined, hint?: Hint) {
  return leaf(fits, (raw) => (typeof raw === 'string' ? read(raw) : undefined), hint);
}

const flag = leaf('true or false', (raw) => (typeof raw === 'boolean' ? raw : undefined));

const UNICAST = 'a unicast IPv4 address such as 192.0.2.1';
const unicast = (raw: string): IpAddress | undefined => {
  const parsed = parseIp(raw);
  return parsed.ok && isUnicast(parsed.value) ? parsed.value : undefined;
};
const neighbor = text<IpAddress>(UNICAST, unicast);
const anySource: Hint = (raw) => (isAnyWord(raw) ? 'leave `source` out for any sender' : undefined);
const source = text<IpAddress>(UNICAST, unicast, (raw) => anySource(raw) ?? eachOf(raw));

const group = text<IpAddress>('a multicast group from 224.0.1.0 to 239.255.255.255', (raw) => {
  const parsed = parseIp(raw);
  return parsed.ok && isMulticast(parsed.value) && !isLinkLocalGroup(parsed.value) ? parsed.value : undefined;
});

/** Where only prefixes fit: how one address is written. */
const oneAddress =
  (read: (raw: string) => Prefix | undefined): Hint =>
  (raw) =>
    typeof raw === 'string' && parseIp(raw).ok && read(`${raw}/32`) ? `one address is ${raw}/32` : undefined;

const readGroupPrefix = (raw: string): Prefix | undefined => {
  const parsed = parsePrefix(raw);
  return parsed.ok && isGroupPrefix(parsed.value) ? parsed.value : undefined;
};
const groupPrefix = text(
  'a prefix within 224.0.0.0/4 such as 232.0.0.0/8',
  readGroupPrefix,
  oneAddress(readGroupPrefix),
);

const readPrefix = (raw: string): Prefix | undefined => {
  const parsed = parsePrefix(raw);
  return parsed.ok ? parsed.value : undefined;
};
const prefix = text(
  'an IPv4 prefix such as 10.0.0.0/8, with no bits set behind its length',
  readPrefix,
  oneAddress(readPrefix),
);

/** What fits in place of a range: the range that was meant, where that can be told and fits. */
function meant(one: 'route' | 'join', fits: string, read: (raw: string) => Prefix | undefined): Words {
  return (raw) => {
    const found = rangeMeant(raw, `one ${one} for each`);
    return found !== undefined && (!/^\S+$/.test(found) || read(found)) ? found : fits;
  };
}

/** For what takes one value an entry. */
function eachOf(raw: unknown): string | undefined {
  return Array.isArray(raw) ? 'write one for each' : undefined;
}

/** One address is a range of its own. */
function range(raw: string): Prefix | undefined {
  const parsed = parsePrefix(raw.includes('/') ? raw : `${raw}/32`);
  return parsed.ok ? parsed.value : undefined;
}

const LINK_LOCAL: Prefix = { network: ip('224.0.0.0'), length: 24 };

const readGroups = (raw: string): Prefix | undefined => {
  const groups = range(raw);
  if (!groups || !isGroupPrefix(groups)) return undefined;
  return groups.length >= LINK_LOCAL.length && prefixContains(LINK_LOCAL, groups.network) ? undefined : groups;
};
const groupRange = text(
  meant(
    'route',
    'a multicast group from 224.0.1.0 to 239.255.255.255, or a range of them such as 239.1.0.0/16',
    readGroups,
  ),
  readGroups,
  (raw) => (isAnyWord(raw) ? 'every group is 224.0.0.0/4' : undefined),
);

/** A join covers at most 4,096 groups. */
const SHORTEST_JOIN_PREFIX = 20;
const readJoined = (raw: string): Prefix | undefined => {
  const groups = range(raw);
  if (!groups || !isGroupPrefix(groups) || groups.length < SHORTEST_JOIN_PREFIX) return undefined;
  return prefixContains(LINK_LOCAL, groups.network) || prefixContains(groups, LINK_LOCAL.network) ? undefined : groups;
};
const joinRange = text(
  meant(
    'join',
    `a multicast group from 224.0.1.0 to 239.255.255.255, or a range of at most 4096 of them such as 239.1.0.0/${SHORTEST_JOIN_PREFIX}`,
    readJoined,
  ),
  readJoined,
);

const readSources = (raw: string): Prefix | undefined => {
  const sources = range(raw);
  if (!sources || (sources.length === 32 && !isUnicast(sources.network)) || isMulticast(sources.network))
    return undefined;
  return sources;
};
const sourceRange = text(
  meant('route', 'a unicast IPv4 address such as 192.0.2.1, or a prefix such as 192.0.2.0/24', readSources),
  readSources,
  anySource,
);

function isGroupPrefix({ network, length }: Prefix): boolean {
  return isMulticast(network) && length >= 4;
}

const groupPrefixes = z.array(groupPrefix, 'a list of prefixes within 224.0.0.0/4');

/** `[{ allow: 239.1.0.0/16 }, { deny: 239.0.0.0/8 }]`. */
function rules<P extends z.ZodType<Prefix>>(about: P) {
  const one = keyed({ allow: about.optional(), deny: about.optional() }).transform(({ allow, deny }, context) => {
    if (allow && !deny) return { action: 'allow', prefix: allow } satisfies PrefixRule;
    if (deny && !allow) return { action: 'deny', prefix: deny } satisfies PrefixRule;
    // Without either there is mostly a misspelt key, and that is told already.
    if (context.issues.length === 0)
      context.issues.push({ code: 'custom', input: undefined, message: 'a mapping with one of allow and deny' });
    return z.NEVER;
  });
  return list(one, 'a list of rules such as { allow: 239.1.0.0/16 }');
}

/** `[{ allow: 10.0.0.0/8, match: orLonger }]`. */
const routeRules = list(
  keyed({
    allow: prefix.optional(),
    deny: prefix.optional(),
    match: oneOf('exact', 'orLonger').default('exact'),
  }).transform(({ allow, deny, match }, context) => {
    if (allow && !deny) return { action: 'allow', prefix: allow, match } satisfies RouteRule;
    if (deny && !allow) return { action: 'deny', prefix: deny, match } satisfies RouteRule;
    if (context.issues.length === 0)
      context.issues.push({ code: 'custom', input: undefined, message: 'a mapping with one of allow and deny' });
    return z.NEVER;
  }),
  'a list of rules such as { allow: 10.0.0.0/8, match: orLonger }',
);

const groupRules = rules(groupPrefix);
const sourceRules = rules(prefix);

/** A group, or what one source sends to it. */
const wishes = list(keyed({ group, source: source.optional() }), 'a list of groups');

const INTERFACE_NAME = /^(?!\.{1,2}$)[^\s/:]{1,15}$/;
const isInterfaceName = (raw: unknown): boolean =>
  (typeof raw === 'string' || typeof raw === 'number') &&
  INTERFACE_NAME.test(String(raw)) &&
  utf8Length(String(raw)) <= 15;
const interfaceName = leaf(
  'an interface name of 1 to 15 bytes without blank, "/" and ":"',
  (raw) => (isInterfaceName(raw) ? String(raw) : undefined),
  eachOf,
);

/** Names that mean something else on the tool's command line. */
const RESERVED = ['igmp', 'manual', 'dvmrp', 'proxy'];
const instanceName = text(
  `a name of 1 to 32 lower-case letters, digits and "-", starting with a letter, and none of ${RESERVED.join(', ')}`,
  (raw) => (/^[a-z][a-z0-9-]{0,31}$/.test(raw) && !RESERVED.includes(raw) ? raw : undefined),
);

/** A Unix socket's path goes into 108 bytes with its end mark. */
export const MAX_SOCKET_PATH = 107;
const socketPath = text(`an absolute path of at most ${MAX_SOCKET_PATH} bytes that does not end in "/"`, (raw) =>
  raw.startsWith('/') && !raw.endsWith('/') && utf8Length(raw) <= MAX_SOCKET_PATH ? raw : undefined,
);

const table = leaf(`default or a whole number from 1 to ${MAX_TABLE}`, (raw) => {
  if (raw === 'default') return DEFAULT_TABLE;
  return typeof raw === 'number' && Number.isInteger(raw) && raw >= 1 && raw <= MAX_TABLE ? raw : undefined;
});

const unicastTable = leaf('main or a whole number from 1 to 4294967295', (raw) => {
  if (raw === 'main') return MAIN_TABLE;
  return typeof raw === 'number' && Number.isInteger(raw) && raw >= 1 && raw <= 0xffff_ffff ? raw : undefined;
});

export const igmpSchema = keyed(
  {
    version: oneOf(1, 2, 3).default(3),
    robustness: integer(1, 7).default(2),
    queryInterval: duration(1000, 31_744_000).default(125_000),
    queryResponseInterval: duration(100, 3_174_400).default(10_000),
    lastMemberQueryInterval: duration(100, 3_174_400).default(1000),
    lastMemberQueryCount: integer(1, 7).optional(),
    startupQueryInterval: duration(100, 31_744_000).optional(),
    startupQueryCount: integer(1, 10).optional(),
    requireRouterAlert: flag.default(false),
    requireTtl1: flag.default(true),
    fastLeave: flag.default(false),
    maxGroups: integer(0, 1_000_000, ' (0: no limit)').default(4096),
    maxSources: integer(0, 10_000_000, ' (0: no limit)').default(16_384),
    maxSourcesPerGroup: integer(1, 65_535).default(256),
    verifySourceSubnet: flag.default(true),
    ignoreV1: flag.default(false),
    ignoreV2: flag.default(false),
    strictQuerySource: flag.default(true),
    disableCompatibilityModes: flag.default(false),
    explicitTracking: flag.default(false),
    maxTrackedHosts: integer(1, 1_000_000).default(16_384),
    maxGroupsPerHost: integer(0, 1_000_000, ' (0: no limit)').default(0),
    maxQueriesPerSec: integer(0, 1_000_000, ' (0: no limit)').default(5000),
    groupFilter: groupRules,
    sourceFilter: sourceRules,
    staticGroups: wishes,
    joinGroups: wishes,
    pull: flag.default(false),
  },
  'true, false or ',
);

/** `igmp: true` and an empty `igmp:` mean all defaults, `igmp: false` the same as leaving it out. */
const igmpSwitch = z.preprocess((raw) => {
  if (raw === false || raw === undefined) return undefined;
  return raw === true || raw === null ? {} : raw;
}, igmpSchema.optional());

/** Bounds and defaults of DVMRP (dvmrp.md section 16). */
export const dvmrpInterfaceSchema = keyed({
  metric: integer(1, 31).default(1),
  advertisedOffset: integer(0, 31).default(0),
  probeInterval: duration(1000, 60_000).default(10_000),
  neighborTimeout: duration(3000, 600_000).default(35_000),
  forceLeaf: flag.default(false),
  maxNeighbors: integer(1, 1024).default(64),
  neighborFilter: sourceRules,
  filterIn: routeRules,
  filterOut: routeRules,
});

export const dvmrpSchema = keyed({
  preference: integer(1, 255).default(100),
  pruneLifetime: duration(120_000, 86_400_000).default(7_200_000),
  maxReceivedPrune: duration(300_000, 4_294_967_295_000).default(10_800_000),
  pruneRetransmit: flag.default(true),
  cacheLifetime: duration(60_000, 86_400_000).default(300_000),
  reportInterval: duration(10_000, 600_000).default(60_000),
  acceptCompat: flag.default(false),
  allowNonPruners: flag.default(false),
  maxRoutes: integer(1, 1_000_000).default(20_000),
  maxRoutesPerNeighbor: integer(1, 1_000_000).default(10_000),
  maxPrunes: integer(1, 1_000_000).default(65_536),
  maxPrunesPerNeighbor: integer(1, 1_000_000).default(16_384),
  neighbors2: oneOf('off', 'on-link', 'any').default('on-link'),
  originateDefault: leaf('true, false or a metric from 1 to 31', (raw) => {
    if (typeof raw === 'boolean') return raw ? 1 : 0;
    return typeof raw === 'number' && Number.isInteger(raw) && raw >= 1 && raw <= 31 ? raw : undefined;
  }).default(0),
  membersAreSenders: flag.default(true),
  pullGroups: list(group, 'a list of groups'),
});

export const interfaceSchema = keyed({
  owner: text('the name of a protocol instance', (raw) => raw).optional(),
  igmp: igmpSwitch,
  dvmrp: z.preprocess((raw) => (raw === null ? {} : raw), dvmrpInterfaceSchema.optional()),
  threshold: integer(1, 255).default(1),
  boundary: z.preprocess((raw) => raw ?? [], groupPrefixes),
});

/** One name, or several in the order in which they take over. */
const INPUTS = `an interface name of 1 to 15 bytes, or a list of up to ${MAX_INPUTS} of them`;
const inputs = leaf(
  (raw) => (typeof raw === 'string' ? (listMeant(raw) ?? INPUTS) : INPUTS),
  (raw) => {
    const names: readonly unknown[] = Array.isArray(raw) ? raw : [raw];
    const isRight = names.length >= 1 && names.length <= MAX_INPUTS && raw !== undefined;
    return isRight && names.every(isInterfaceName) ? names.map(String) : undefined;
  },
  (raw) => {
    const at = Array.isArray(raw) ? raw.findIndex((name) => !isInterfaceName(name)) : -1;
    return at < 0 ? undefined : `number ${at + 1} of the list is no interface name`;
  },
);

const NO_OUTPUT = /^(?:none|drop|block|discard|deny|)$/i;
const outputs = z.array(interfaceName, {
  error: ({ input }) => {
    if (typeof input === 'string' && NO_OUTPUT.test(input)) return '[]';
    return listMeant(input) ?? 'a list of interface names, or [] to block the group';
  },
});

const staticInstance = section({
  routes: list(
    keyed({
      source: sourceRange.optional(),
      group: groupRange,
      from: inputs,
      to: outputs,
      failoverAfter: duration(200, 60_000).optional(),
    }),
    'a list of routes',
  ),
  joins: list(keyed({ interface: interfaceName, group: joinRange, source: source.optional() }), 'a list of joins'),
});

export const upstreamSchema = keyed({
  interface: interfaceName,
  groups: groupRules,
  sources: list(prefix, 'a list of prefixes'),
  version: oneOf('auto', 1, 2, 3).default('auto'),
});

const UPSTREAMS = 'a list of at least one upstream';

export const proxySchema = keyed({
  upstreams: z.array(upstreamSchema, UPSTREAMS).nonempty(UPSTREAMS),
  requireQuerier: flag.default(true),
  leaveDelay: duration(0, 60_000).default(500),
  maxJoins: integer(1, 1_000_000).default(8192),
  wildcardGroups: list(group, 'a list of groups'),
});

export const fileSchema = section({
  table: table.default(DEFAULT_TABLE),
  log: section({ level: oneOf('error', 'warn', 'info', 'debug').default('info') }),
  control: section({ socket: socketPath.optional() }),
  restart: section({ window: duration(1000, 600_000).default(30_000) }),
  rpf: section({
    table: unicastTable.default(MAIN_TABLE),
    routes: list(keyed({ prefix, interface: interfaceName, neighbor: neighbor.optional() }), 'a list of routes'),
  }),
  mfe: section({
    expiry: oneOf('refresh', 'strict').default('refresh'),
    maxEntries: integer(64, 4_194_304).default(65_536),
  }),
  foreign: oneOf('leave', 'remove').default('leave'),
  interfaces: named(interfaceName, optionally(interfaceSchema), 'a mapping from interface names'),
  igmp: section({
    ssmRanges: groupPrefixes.default(SSM_RANGES),
    maxGroups: integer(0, 10_000_000, ' (0: no limit)').default(65_536),
    maxSources: integer(0, 10_000_000, ' (0: no limit)').default(65_536),
  }),
  pause: section({ scope: oneOf('agent', 'host', 'host-best-effort').default('agent') }),
  proxy: z.preprocess((raw) => raw ?? undefined, proxySchema.optional()),
  dvmrp: z.preprocess((raw) => (raw === null ? {} : raw), dvmrpSchema.optional()),
  static: named(instanceName, staticInstance, 'a mapping from instance names'),
});

export type FileValues = z.output<typeof fileSchema>;
export type IgmpValues = z.output<typeof igmpSchema>;
export type DvmrpValues = z.output<typeof dvmrpSchema>;
export type DvmrpInterfaceValues = z.output<typeof dvmrpInterfaceSchema>;
