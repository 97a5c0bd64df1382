/** What `mgmctl show` can show: the manager's snapshot beside what should be, and what the modules tell of themselves. */
import { formatIp } from '../../base/ip.js';
import { linkName } from '../../base/link-name.js';
import type { Counters } from '../../control/counters.js';
import type { Row } from '../../control/messages.js';
import type { View } from '../../control/operator.js';
import type { DvmrpViews } from '../../dvmrp/view.js';
import type { InterfaceView, ManagerSnapshot } from '../../mgm/snapshot.js';
import type { Clock } from '../../port/clock.js';
import type { HostGroupPort, Ifindex, LinkPort, MembershipPort } from '../../port/kernel.js';
import type { StaticModule } from '../../static/module.js';
import type { Assignment, Assignments } from '../assignments.js';
import { dvmrpViews } from './dvmrp-views.js';
import { igmpViews, type IgmpViewsParts } from './igmp-views.js';
import { staticViews } from './static-views.js';

export interface ViewsParts extends IgmpViewsParts {
  readonly snapshot: ManagerSnapshot;
  readonly assignments: Assignments;
  readonly dvmrp: DvmrpViews | undefined;
  readonly statics: readonly StaticModule[];
  readonly membership: MembershipPort;
  readonly hostGroups?: HostGroupPort | undefined;
  /** Beside those of the manager. */
  readonly counters: Counters;
  readonly lostLines: () => number;
  readonly clock: Clock;
}

export function viewsOf(parts: ViewsParts): ReadonlyMap<string, View> {
  return new Map([
    ...managerViews(parts),
    ...igmpViews(parts),
    ...dvmrpViews(parts.dvmrp),
    ...staticViews(parts.statics),
  ]);
}

function managerViews(parts: ViewsParts): readonly [string, View][] {
  const { snapshot, assignments, links, membership, hostGroups, counters, lostLines, clock } = parts;
  const interfaces = () => interfaceRows(snapshot.interfaces(), assignments.list(), links);
  return [
    ['interfaces', { columns: INTERFACE_COLUMNS, rows: interfaces }],
    ['owners', { columns: OWNER_COLUMNS, rows: interfaces }],
    ['groups', view(() => snapshot.eachMembership(), ['group', 'source', 'interface', 'client', 'stale'])],
    ['mfc', view(() => snapshot.eachMfc(), MFC_COLUMNS)],
    ['clients', view(() => snapshot.clients(), CLIENT_COLUMNS)],
    ['rib', view(() => snapshot.eachRoute())],
    ['counters', view(() => counterRows({ ...snapshot.counters(), ...counters.all(), 'log.lost': lostLines() }))],
    ['joins', view(() => joinRows(membership, links))],
    ['host-groups', { rows: hostGroupRows(hostGroups, links, clock) }],
  ];
}

/** A list of the kernel's is shown for so long. */
const HOST_GROUPS_MS = 2000;
const INTERFACE_COLUMNS = [
  'name',
  'ifindex',
  'vif',
  'status',
  'owner',
  'igmp',
  'memberships',
  'counters.packetsIn',
  'counters.packetsOut',
];
const OWNER_COLUMNS = ['name', 'owner', 'igmp', 'status', 'wantedOwner', 'wantedIgmp', 'problem'];
const MFC_COLUMNS = [
  'source',
  'group',
  'iif',
  'iifOwner',
  'oifs',
  'state',
  'packets',
  'wrongIf',
  'upTime',
  'expiresIn',
];
const CLIENT_COLUMNS = ['name', 'interfaces', 'memberships', 'calls', 'callbacks', 'failures'];

/** Rows are plain objects already; this only says so. */
function view(rows: () => Iterable<object>, columns?: readonly string[]): View {
  return { rows: () => rows() as Iterable<Row>, ...(columns && { columns }) };
}

/** Interfaces that the manager has, then configured ones that it has not: absent, or refused. */
function interfaceRows(
  present: readonly InterfaceView[],
  wanted: readonly Assignment[],
  links: LinkPort,
): readonly Row[] {
  const wishes = new Map(wanted.map((wish) => [wish.name, wish]));
  const shown = new Set(present.map(({ name }) => name));
  const missing = wanted.filter(({ name, owner, igmp }) => !shown.has(name) && (owner !== undefined || igmp));
  return [
    ...present.map((row) => ({ ...row, ...wishOf(wishes.get(row.name)), status: statusOf(row) })),
    ...missing.map((wish) => missingRow(wish, links.byName(wish.name)?.ifindex ?? null)),
  ];
}

function missingRow(wish: Assignment, ifindex: number | null): Row {
  const status = ifindex === null ? 'absent' : 'refused';
  const nothing = { vif: null, owner: null, igmp: false, paused: false, memberships: 0, stale: 0, counters: null };
  return { ifindex, name: wish.name, state: status, phase: 'steady', ...nothing, ...wishOf(wish), status };
}

function wishOf(wish: Assignment | undefined): Row {
  return { wantedOwner: wish?.owner ?? null, wantedIgmp: wish?.igmp ?? false, problem: wish?.problem ?? null };
}

function statusOf({ phase, paused }: InterfaceView): string {
  if (paused || phase === 'T') return 'changing owner';
  return phase === 'R' ? 'resync' : 'steady';
}

function counterRows(counters: Readonly<Record<string, number>>): readonly Row[] {
  return Object.entries(counters).map(([name, value]) => ({ name, value }));
}

/** Everything this host has joined, by whatever program. Read from the kernel at most every few seconds, whoever asks. */
function hostGroupRows(hostGroups: HostGroupPort | undefined, links: LinkPort, clock: Clock): View['rows'] {
  let last: { readonly atMs: number; readonly groups: ReturnType<HostGroupPort['listLater']> } | undefined;
  const nameOf = (ifindex: Ifindex) => linkName(links, ifindex);
  return async () => {
    const nowMs = clock.nowMs();
    if (hostGroups && !(last && nowMs - last.atMs < HOST_GROUPS_MS))
      last = { atMs: nowMs, groups: hostGroups.listLater() };
    const groups = (await last?.groups) ?? [];
    return mapped(groups, ({ ifindex, group }) => ({ interface: nameOf(ifindex), group: formatIp(group) }));
  };
}

function joinRows(membership: MembershipPort, links: LinkPort): Iterable<Row> {
  return mapped(membership.wishes(), ({ holder, ifindex, group, filter, held, problem }) => ({
    interface: linkName(links, ifindex),
    group: formatIp(group),
    mode: filter.mode,
    sources: filter.sources.map(formatIp),
    by: holder,
    held,
    problem: problem ?? null,
  }));
}

function* mapped<T>(all: Iterable<T>, rowOf: (one: T) => Row): Generator<Row, void> {
  for (const one of all) yield rowOf(one);
}
