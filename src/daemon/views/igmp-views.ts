/** What `mgmctl show igmp ...` can show: what IGMP and the proxy tell of themselves, beside what the bridge of a LAN knows. */
import { formatIp } from '../../base/ip.js';
import { linkName } from '../../base/link-name.js';
import type { Row } from '../../control/messages.js';
import type { View } from '../../control/operator.js';
import type { BridgePort, BridgeState, Ifindex, LinkPort } from '../../port/kernel.js';

interface Named {
  readonly ifindex: number;
  readonly name: string;
}

type Rows = () => Iterable<Named>;
/** Undefined: something without a row. */
type FewRows = () => Iterable<Named | undefined>;

/** As IgmpModule tells it; timers are milliseconds from now. */
export interface IgmpTold {
  interfaces: Rows;
  eachGroup: Rows;
  eachSource: FewRows;
  eachHost: FewRows;
  queriers: Rows;
  counters: Rows;
}

/** As ProxyModule tells it. */
export interface ProxyTold {
  eachGroup(): Iterable<object | undefined>;
  eachUpstream(): Promise<Iterable<object | undefined>>;
  counters(): Readonly<Record<string, number>>;
}

export interface IgmpViewsParts {
  readonly igmp: IgmpTold;
  readonly proxy?: ProxyTold | undefined;
  readonly links: LinkPort;
  readonly bridges?: BridgePort | undefined;
}

type NamedView = readonly [name: string, view: View];

export function igmpViews({ igmp, proxy, links, bridges }: IgmpViewsParts): readonly NamedView[] {
  const bridgeOf = (ifindex: number) => {
    const state = bridges?.state(ifindex as Ifindex);
    return state ? bridgeRow(state, links) : null;
  };
  const withBridge = (rows: Rows): Rows =>
    function* () {
      for (const row of rows()) yield { ...row, bridge: bridgeOf(row.ifindex) };
    };
  const interfaces = view(
    withBridge(() => igmp.interfaces()),
    INTERFACE_COLUMNS,
  );
  return [
    ['igmp', interfaces],
    ['igmp.interfaces', interfaces],
    ['igmp.groups', view(() => igmp.eachGroup(), GROUP_COLUMNS)],
    ['igmp.sources', view(() => igmp.eachSource(), SOURCE_COLUMNS)],
    ['igmp.hosts', view(() => igmp.eachHost(), HOST_COLUMNS)],
    [
      'igmp.querier',
      view(
        withBridge(() => igmp.queriers()),
        QUERIER_COLUMNS,
      ),
    ],
    ['igmp.statistics', view(() => igmp.counters(), ['interface', 'received[]', 'sent[]', 'dropped[]'])],
    ...(proxy ? proxyViews(proxy) : []),
  ];
}

const INTERFACE_COLUMNS = [
  'interface',
  'version',
  'role',
  'address',
  'querier',
  'nextQueryInMs',
  'groups',
  'memberships',
  'bridge.snooping',
  'bridge.routerPorts',
  'problem',
];
const GROUP_COLUMNS = ['interface', 'group', 'mode', 'sources', 'compatibility', 'lastReporter', 'expiresInMs', 'upMs'];
const SOURCE_COLUMNS = ['interface', 'group', 'mode', 'source', 'wanted', 'expiresInMs'];
const HOST_COLUMNS = ['interface', 'group', 'host', 'mode', 'sources', 'expiresInMs'];
const QUERIER_COLUMNS = [
  'interface',
  'role',
  'querier',
  'version',
  'nextQueryInMs',
  'otherQuerierExpiresInMs',
  'robustness',
  'queryIntervalMs',
  'bridge.bridgeQuerier',
];

function proxyViews(proxy: ProxyTold): readonly NamedView[] {
  const shown = (rows: () => Iterable<object | undefined>): View => ({
    rows: () => rows() as Iterable<Row | undefined>,
  });
  return [
    ['igmp.proxy', shown(() => proxy.eachGroup())],
    ['igmp.proxy.upstreams', { rows: async () => (await proxy.eachUpstream()) as Iterable<Row | undefined> }],
    ['igmp.proxy.counters', shown(() => Object.entries(proxy.counters()).map(([name, value]) => ({ name, value })))],
  ];
}

/** Modules say `name`; every view says `interface`, and says it first. */
function view(rows: FewRows, columns?: readonly string[]): View {
  return {
    *rows() {
      for (const row of rows()) yield row && withInterface(row);
    },
    ...(columns && { columns }),
  };
}

function withInterface({ name, ...row }: Named): Row {
  return { interface: name, ...row };
}

const ROUTER_SETTINGS = ['never', 'learn', 'always'] as const;

function bridgeRow(state: BridgeState, links: LinkPort): Row {
  const nameOf = (ifindex: Ifindex) => linkName(links, ifindex);
  const { querier } = state;
  const port = querier?.port === undefined ? null : nameOf(querier.port);
  const address = querier ? formatIp(querier.address) : null;
  return {
    name: nameOf(state.ifindex),
    snooping: state.snooping,
    igmpVersion: state.igmpVersion,
    querierEnabled: state.querierEnabled,
    querier: address,
    /** Null beside a querier: it is this host. */
    querierPort: port,
    /** The two in one, for people. */
    bridgeQuerier: port === null ? address : `${address} on ${port}`,
    multicastRouter: ROUTER_SETTINGS[state.multicastRouter] ?? state.multicastRouter,
    routerPorts: state.routerPorts.map(nameOf),
    groups: state.groups.length,
  };
}
