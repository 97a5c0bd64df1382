/** The static module alone: a manager that only records, links and memberships that only remember. */
import type { Answer } from '../../../src/base/answer.js';
import { KernelError } from '../../../src/base/errors.js';
import { formatIp, type IpAddress, ip, parsePrefix, type Prefix } from '../../../src/base/ip.js';
import type { StaticConfig, StaticRoute } from '../../../src/config/types.js';
import type {
  Handle,
  Mfe,
  MfeStats,
  MgmClient,
  MgmStatus,
  Registration,
  SavedProtocolState,
} from '../../../src/mgm/client.js';
import type {
  Ifindex,
  Link,
  LinkChange,
  LinkPort,
  MembershipFilter,
  MembershipPort,
} from '../../../src/port/kernel.js';
import type { Events } from '../../../src/port/events.js';
import { StaticModule } from '../../../src/static/module.js';
import { FakeClock } from '../../support/fake-clock.js';
import { RecordingLog } from '../../support/recording-log.js';

export const OK: MgmStatus = { code: 'NO_ERROR' };

export function link(ifindex: number, name: string): Link {
  return {
    ifindex: ifindex as Ifindex,
    name,
    up: true,
    running: true,
    loopback: false,
    pointToPoint: false,
    multicast: true,
    mtu: 1500,
    port: undefined,
    altNames: [],
    addresses: [],
  };
}

export class FakeLinks implements LinkPort {
  readonly handlers = new Set<(change: LinkChange) => void>();
  constructor(public all: Link[]) {}
  links = () => this.all;
  byIndex = (ifindex: Ifindex) => this.all.find((one) => one.ifindex === ifindex);
  byName = (name: string) => this.all.find((one) => one.name === name);
  onChange(handler: (change: LinkChange) => void): () => void {
    this.handlers.add(handler);
    return () => this.handlers.delete(handler);
  }
  replace(before: Link, now: Link): void {
    this.all = this.all.map((one) => (one === before ? now : one));
    this.tell({ kind: 'changed', link: now, before });
  }
  remove(gone: Link): void {
    this.all = this.all.filter((one) => one !== gone);
    this.tell({ kind: 'removed', link: gone });
  }
  add(link: Link): void {
    this.all = [...this.all, link];
    this.tell({ kind: 'added', link });
  }
  tell(change: LinkChange): void {
    for (const handler of this.handlers) handler(change);
  }
}

export class FakeMembership implements Pick<MembershipPort, 'set'> {
  readonly calls: string[] = [];
  refuse = false;
  set(holder: string, ifindex: Ifindex, group: IpAddress, filter: MembershipFilter | undefined) {
    const wish = filter ? `${filter.mode} [${filter.sources.map(formatIp).join()}]` : 'nothing';
    this.calls.push(`${holder} ${ifindex} ${formatIp(group)} ${wish}`);
    return this.refuse ? new KernelError('IP_ADD_MEMBERSHIP', 'recv', 105, 'ENOBUFS', 'Raise the limit.') : undefined;
  }
}

/** Writes down every call; answers what `answer` says, `OK` by default. */
export class RecordingMgm {
  readonly calls: string[] = [];
  registration: Registration | undefined;
  /** What `getMfe` and `getMfeStats` tell, by "source group". */
  readonly iifs = new Map<string, Ifindex>();
  readonly counters = new Map<string, Pick<MfeStats, 'inPackets' | 'differentIfPackets'>>();
  answer: (call: string) => Answer<MgmStatus> = () => OK;

  client(): MgmClient {
    const mgm: Partial<MgmClient> = {
      register: (registration) => {
        this.registration = registration;
        return { ...OK, handle: 7 as Handle };
      },
      deregister: () => this.#now('deregister'),
      takeInterface: (_handle, ifindex) => this.#call(`take ${ifindex}`),
      releaseInterface: (_handle, ifindex) => this.#call(`release ${ifindex}`),
      addMembership: (_handle, { source, group }, ifindex, flags) =>
        this.#call(`add ${formatIp(source)} ${formatIp(group)} ${ifindex} ${flags}`),
      deleteMembership: (_handle, { source, group }, ifindex, flags) =>
        this.#call(`delete ${formatIp(source)} ${formatIp(group)} ${ifindex} ${flags}`),
      resyncDone: (_handle, ifindex) => this.#now(`resyncDone ${ifindex}`),
      getMfe: ({ source, group }) => {
        const iif = this.iifs.get(`${formatIp(source)} ${formatIp(group)}`);
        return iif === undefined ? { code: 'ERROR_NOT_FOUND' } : { ...OK, mfe: { iif } as Mfe };
      },
      getMfeStats: ({ source, group }) => {
        const stats = this.counters.get(`${formatIp(source)} ${formatIp(group)}`);
        return stats ? { ...OK, stats: stats as MfeStats } : { code: 'ERROR_NOT_FOUND' };
      },
      setMfe: (_handle, { source, group }, { iif }) => this.#now(`set ${formatIp(source)} ${formatIp(group)} ${iif}`),
    };
    return mgm as MgmClient;
  }

  #call(call: string): Answer<MgmStatus> {
    this.calls.push(call);
    return this.answer(call);
  }

  #now(call: string): MgmStatus {
    this.calls.push(call);
    return OK;
  }
}

export const SEND = link(2, 'send');
export const RECV = link(3, 'recv');

/** "239.1.1.1" or "239.1.0.0/16". */
export function range(text: string): Prefix {
  const parsed = parsePrefix(text.includes('/') ? text : `${text}/32`);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

interface RouteText {
  readonly source?: string;
  readonly group: string;
  readonly from?: readonly string[];
  readonly to?: readonly string[];
}

export function route({ source, group, from = ['send'], to = ['recv'] }: RouteText): StaticRoute {
  const sources = source === undefined ? undefined : range(source);
  return { source: sources, group: range(group), iifs: from, oifs: to, failoverMs: 1000 };
}

export const CONFIG: StaticConfig = {
  name: 'static2',
  componentId: 2,
  routes: [route({ group: '239.1.1.1' }), route({ source: '10.1.0.2', group: '232.1.1.1' })],
  joins: [
    { interface: 'send', group: range('239.1.1.1'), source: undefined },
    { interface: 'send', group: range('232.1.1.1'), source: ip('10.1.0.2') },
  ],
};

export function bed(config: StaticConfig = CONFIG, savedState?: SavedProtocolState) {
  const mgm = new RecordingMgm();
  const links = new FakeLinks([SEND, RECV]);
  const membership = new FakeMembership();
  const clock = new FakeClock();
  const log = new RecordingLog();
  const told: object[] = [];
  const events: Events = { emit: (evt, fields) => void told.push({ evt, ...fields() }) };
  const port = membership as unknown as MembershipPort;
  const module = new StaticModule({
    mgm: mgm.client(),
    links,
    membership: port,
    clock,
    log,
    events,
    config,
    savedState,
  });
  return { mgm, links, membership, clock, log, told, module };
}

/** Registered, and the calls of the start forgotten. */
export function started(config: StaticConfig = CONFIG, savedState?: SavedProtocolState) {
  const all = bed(config, savedState);
  all.module.start();
  all.mgm.calls.length = 0;
  all.membership.calls.length = 0;
  return { ...all, callbacks: all.mgm.registration!.callbacks };
}
