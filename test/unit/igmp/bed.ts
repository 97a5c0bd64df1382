/** A whole IGMP module between fakes: a clock, a wire that reads what is sent, links, and a manager that writes down its calls. */
import { formatIp, ip, isAny, parsePrefix } from '../../../src/base/ip.js';
import type { IgmpInterfaceConfig } from '../../../src/config/types.js';
import { IgmpModule } from '../../../src/igmp/module.js';
import type {
  ClientCallbacks,
  Handle,
  MaskedKey,
  MgmClient,
  MgmStatus,
  ProtocolOnInterface,
  SavedProtocolState,
} from '../../../src/mgm/client.js';
import { JOIN, PROTOCOL } from '../../../src/mgm/client.js';
import type { Ifindex, IgmpPacket, IgmpPort, Link, LinkChange, LinkPort, RoutePort } from '../../../src/port/kernel.js';
import type { Events } from '../../../src/port/events.js';
import { FakeAddressWatch } from '../../support/fake-address-watch.js';
import { FakeClock } from '../../support/fake-clock.js';
import { FakeMembership } from '../../support/fake-membership.js';
import { toHex } from '../../support/packet-builder.js';
import { RecordingLog } from '../../support/recording-log.js';

export const ETH1 = 1 as Ifindex;
export const ETH2 = 2 as Ifindex;

/** Sources of the tests, by their letter in the specification's tables. */
const LETTERS = 'abcdefgh';
export function src(letter: string): string {
  return `192.0.2.${LETTERS.indexOf(letter) + 1}`;
}
function letterOf(address: string): string {
  return address.startsWith('192.0.2.') ? (LETTERS[Number(address.slice(8)) - 1] ?? address) : address;
}

export const DEFAULTS: IgmpInterfaceConfig = {
  version: 3,
  robustness: 2,
  queryIntervalMs: 125_000,
  queryResponseIntervalMs: 10_000,
  lastMemberQueryIntervalMs: 1000,
  lastMemberQueryCount: 2,
  startupQueryIntervalMs: 31_250,
  startupQueryCount: 2,
  requireRouterAlert: false,
  requireTtl1: true,
  fastLeave: false,
  maxGroups: 0,
  maxSources: 0,
  maxSourcesPerGroup: 256,
  verifySourceSubnet: true,
  ignoreV1: false,
  ignoreV2: false,
  strictQuerySource: true,
  disableCompatibilityModes: false,
  explicitTracking: false,
  maxTrackedHosts: 16_384,
  maxGroupsPerHost: 0,
  maxQueriesPerSec: 0,
  groupFilter: [],
  sourceFilter: [],
  staticGroups: [],
  joinGroups: [],
  pull: false,
  boundary: [],
  ssmRanges: [prefix('232.0.0.0/8')],
};

export function prefix(text: string) {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

export function link(ifindex: Ifindex, address?: string, change: Partial<Link> = {}): Link {
  const addresses =
    address === undefined
      ? []
      : [{ address: ip(address), prefixLength: 24, secondary: false, scope: 'global' as const, peer: undefined }];
  return {
    ifindex,
    name: `eth${ifindex}`,
    up: true,
    running: true,
    loopback: false,
    pointToPoint: false,
    multicast: true,
    mtu: 1500,
    port: undefined,
    altNames: [],
    addresses,
    ...change,
  };
}

export class FakeLinks implements LinkPort {
  readonly #links = new Map<Ifindex, Link>();
  readonly #handlers = new Set<(change: LinkChange) => void>();

  constructor(...links: readonly Link[]) {
    for (const l of links) this.#links.set(l.ifindex, l);
  }

  links(): readonly Link[] {
    return [...this.#links.values()];
  }

  byIndex(ifindex: Ifindex): Link | undefined {
    return this.#links.get(ifindex);
  }

  byName(name: string): Link | undefined {
    return this.links().find((l) => l.name === name);
  }

  onChange(handler: (change: LinkChange) => void): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  change(to: Link): void {
    const before = this.#links.get(to.ifindex);
    this.#links.set(to.ifindex, to);
    for (const handler of this.#handlers) handler({ kind: 'changed', link: to, ...(before && { before }) });
  }

  remove(ifindex: Ifindex): void {
    const gone = this.#links.get(ifindex)!;
    this.#links.delete(ifindex);
    for (const handler of this.#handlers) handler({ kind: 'removed', link: gone });
  }

  get handlers(): number {
    return this.#handlers.size;
  }
}

/** A manager that accepts everything and writes it down: "add (*,239.1.2.3)", on eth2 "eth2 add ...". */
export class RecordingMgm implements Partial<MgmClient> {
  readonly calls: string[] = [];
  /** What IGMP said of its role, by ifindex. */
  readonly queriers = new Map<Ifindex, boolean>();
  callbacks: ClientCallbacks = {};
  /** Who owns interfaces beside IGMP. */
  owner: number | undefined;
  answer: MgmStatus = { code: 'NO_ERROR' };

  register({ callbacks }: { callbacks: ClientCallbacks }): MgmStatus & { handle: Handle } {
    this.callbacks = callbacks;
    return { code: 'NO_ERROR', handle: 7 as Handle };
  }

  deregister(): MgmStatus {
    this.calls.push('deregister');
    return { code: 'NO_ERROR' };
  }

  takeInterface(_: Handle, ifindex: Ifindex): MgmStatus | Promise<MgmStatus> {
    return this.#note(ifindex, 'take');
  }

  releaseInterface(_: Handle, ifindex: Ifindex): MgmStatus {
    return this.#note(ifindex, 'release');
  }

  getProtocolOnInterface(): ProtocolOnInterface {
    return { code: 'NO_ERROR', protocolId: this.owner ?? PROTOCOL.igmp };
  }

  addMembership(_: Handle, key: MaskedKey, ifindex: Ifindex, flags: number): MgmStatus {
    return this.#note(ifindex, `${flags === JOIN ? 'add' : 'touch'} ${keyText(key)}`);
  }

  deleteMembership(_: Handle, key: MaskedKey, ifindex: Ifindex, flags: number): MgmStatus {
    return this.#note(ifindex, `${flags === JOIN ? 'delete' : 'touch'} ${keyText(key)}`);
  }

  adviseSource(_: Handle, key: MaskedKey, ifindex: Ifindex, refused: boolean): MgmStatus {
    return this.#note(ifindex, `${refused ? 'refuse' : 'allow'} ${keyText(key)}`);
  }

  adviseQuerier(_: Handle, ifindex: Ifindex, querier: boolean): MgmStatus {
    this.queriers.set(ifindex, querier);
    return { code: 'NO_ERROR' };
  }

  resyncDone(_: Handle, ifindex: Ifindex): MgmStatus {
    return this.#note(ifindex, 'resyncDone');
  }

  /** What was called since the last time. */
  drain(): string[] {
    return this.calls.splice(0);
  }

  #note(ifindex: Ifindex, call: string): MgmStatus {
    this.calls.push(ifindex === ETH1 ? call : `eth${ifindex} ${call}`);
    return this.answer;
  }
}

function keyText({ source, group }: MaskedKey): string {
  return `(${isAny(source) ? '*' : letterOf(formatIp(source))},${formatIp(group)})`;
}

export interface Sent {
  readonly atMs: number;
  readonly ifindex: number;
  readonly source: string;
  readonly destination: string;
  readonly hex: string;
  /** "general", "Q(239.1.2.3) S=0", "Q(232.1.2.3,{a,b}) S=1". */
  readonly text: string;
}

export class FakeWire implements IgmpPort {
  readonly sent: Sent[] = [];
  #handler: (packet: IgmpPacket) => void = () => undefined;
  types: readonly number[] = [];
  readonly #clock: FakeClock;

  constructor(clock: FakeClock) {
    this.#clock = clock;
  }

  subscribe(types: readonly number[], handler: (packet: IgmpPacket) => void): void {
    this.types = types;
    this.#handler = handler;
  }

  send(
    ifindex: Ifindex,
    source: IgmpPacket['source'],
    destination: IgmpPacket['source'],
    payload: Uint8Array,
  ): undefined {
    this.sent.push({
      atMs: this.#clock.nowMs(),
      ifindex,
      source: formatIp(source),
      destination: formatIp(destination),
      hex: toHex(payload),
      text: describe(payload),
    });
  }

  deliver(packet: IgmpPacket): void {
    this.#handler(packet);
  }
}

/** Reads a sent query with its own eyes. */
function describe(payload: Uint8Array): string {
  const view = new DataView(payload.slice().buffer);
  const address = (at: number) => [0, 1, 2, 3].map((n) => view.getUint8(at + n)).join('.');
  if (view.getUint32(4) === 0) return 'general';
  const group = address(4);
  if (payload.length === 8) return `Q(${group}) v2`;
  const count = view.getUint16(10);
  const sources = Array.from({ length: count }, (_, n) => letterOf(address(12 + 4 * n)));
  return `Q(${group}${count > 0 ? `,{${sources.join(',')}}` : ''}) S=${(view.getUint8(8) >> 3) & 1}`;
}

export interface Delivery {
  readonly from?: string;
  readonly to?: string;
  readonly ttl?: number;
  readonly routerAlert?: boolean;
  readonly on?: Ifindex;
}

export interface BedOptions {
  readonly config?: Partial<IgmpInterfaceConfig>;
  /** Beside it, by interface name. */
  readonly configs?: Readonly<Record<string, Partial<IgmpInterfaceConfig>>>;
  readonly maxGroups?: number;
  readonly maxSources?: number;
  readonly savedState?: SavedProtocolState;
  readonly predecessorKnewAll?: boolean;
  readonly links?: readonly Link[];
  /** What the look-up of a route finds. */
  readonly routes?: Pick<RoutePort, 'lookup'>;
  /** False: the test takes the interfaces itself. */
  readonly take?: boolean;
}

export class Bed {
  readonly clock = new FakeClock(0);
  readonly wire = new FakeWire(this.clock);
  readonly mgm = new RecordingMgm();
  readonly log = new RecordingLog();
  readonly addressWatch = new FakeAddressWatch((ifindex) => this.links.byIndex(ifindex) !== undefined);
  readonly membership = new FakeMembership((ifindex) => this.links.byIndex(ifindex) !== undefined);
  /** What `mgmctl monitor` would show. */
  readonly events: (Readonly<Record<string, unknown>> & { readonly evt: string })[] = [];
  readonly links: FakeLinks;
  readonly module: IgmpModule;

  constructor(options: BedOptions = {}) {
    const {
      config = {},
      configs = {},
      links = [link(ETH1, '10.0.0.2')],
      take = true,
      maxGroups = 0,
      maxSources = 0,
      savedState,
      predecessorKnewAll = false,
      routes,
    } = options;
    this.links = new FakeLinks(...links);
    const interfaces = new Map(links.map((l) => [l.name, { ...DEFAULTS, ...config, ...configs[l.name] }]));
    const { wire: igmp, clock, log } = this;
    const mgm = this.mgm as unknown as MgmClient;
    const { membership, addressWatch, links: linkPort } = this;
    const events: Events = { emit: (evt, fields) => void this.events.push({ evt, ...fields() }) };
    this.module = new IgmpModule({
      mgm,
      igmp,
      membership,
      addressWatch,
      links: linkPort,
      ...(routes && { routes }),
      clock,
      log,
      events,
      interfaces,
      maxGroups,
      maxSources,
      savedState,
      predecessorKnewAll,
    });
    this.module.start();
    if (take) for (const l of links) void this.module.take(l.ifindex);
    this.mgm.drain();
  }

  /** A message from the host 10.0.0.9 unless said otherwise. */
  hear(
    payload: Uint8Array,
    { from = '10.0.0.9', to = '224.0.0.22', ttl = 1, routerAlert = true, on = ETH1 }: Delivery = {},
  ) {
    this.wire.deliver({ ifindex: on, source: ip(from), destination: ip(to), ttl, routerAlert, payload });
  }

  /** A General Query or another one of a router. */
  hearQuery(payload: Uint8Array, from = '10.0.0.1', to = '224.0.0.1'): void {
    this.hear(payload, { from, to });
  }

  /** "INCLUDE(a:270,b:2)", "EXCLUDE({a:2},{b}) 270" or "none"; timers in seconds. */
  state(group: string): string {
    const row = this.module.groups().find((g) => g.group === group);
    if (!row) return 'none';
    const wanted = row.sources.filter((s) => s.wanted).map((s) => `${letterOf(s.source)}:${s.expiresInMs! / 1000}`);
    const refused = row.sources.filter((s) => !s.wanted).map((s) => letterOf(s.source));
    if (row.mode === 'include') return `INCLUDE(${wanted.sort().join(',')})`;
    return `EXCLUDE({${wanted.sort().join(',')}},{${refused.sort().join(',')}}) ${row.expiresInMs! / 1000}`;
  }

  /** Specific queries since the last time, "12 Q(...)" with the second they were sent at. */
  asked(): string[] {
    const texts = this.wire.sent.filter((s) => s.text !== 'general').map((s) => `${s.atMs / 1000} ${s.text}`);
    this.wire.sent.length = 0;
    return texts;
  }

  /** The seconds General Queries were sent at, so far. */
  generalQueriesAt(): number[] {
    return this.wire.sent.filter((s) => s.text === 'general').map((s) => s.atMs / 1000);
  }

  /** Goes to the second `sec` after the start. */
  goTo(sec: number): void {
    this.clock.advance(sec * 1000 - this.clock.nowMs());
  }

  dropped(reason: string, on: Ifindex = ETH1): number {
    const row = this.module.counters().find((c) => c.ifindex === on)!;
    return (row.dropped as Record<string, number>)[reason]!;
  }

  role(): string {
    return this.module.interfaces()[0]!.role;
  }
}
