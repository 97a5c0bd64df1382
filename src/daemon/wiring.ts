/**
 * Every object of a daemon and who knows whom. A new protocol is one line in `#protocolsOf`. Nothing here is global, so
 * several daemons fit in one process; tests bring a kernel of their own.
 */
import type { Socket } from 'node:net';
import { KernelError } from '../base/errors.js';
import type { Prefix } from '../base/ip.js';
import { defaultIgmpConfig } from '../config/check.js';
import type { Config, DvmrpConfig, IgmpInterfaceConfig, PauseScope, RpfRoute } from '../config/types.js';
import { Counters } from '../control/counters.js';
import { type ControlProblem, ControlServer } from '../control/server.js';
import { DvmrpModule } from '../dvmrp/module.js';
import type { LinkConfig } from '../dvmrp/link.js';
import { IgmpModule } from '../igmp/module.js';
import type { AdoptionResult } from '../mgm/entries/adoption.js';
import type { MgmStatus, Protocol, SavedProtocolState } from '../mgm/client.js';
import { Manager } from '../mgm/manager.js';
import type { Clock } from '../port/clock.js';
import type {
  AddressWatchPort,
  BridgePort,
  HostGroupPort,
  HostIgmpPort,
  IgmpPort,
  LinkPort,
  MembershipPort,
  MroutePort,
  RoutePort,
} from '../port/kernel.js';
import type { Log } from '../port/log.js';
import { ProxyModule } from '../proxy/module.js';
import { StaticModule } from '../static/module.js';
import { Assignments } from './assignments.js';
import { HostJoins } from './host-joins.js';
import { DaemonOperator } from './operator.js';
import type { LogThreshold } from './pino-log.js';
import type { LoadedState, SavedState } from './state/state-file.js';
import { viewsOf } from './views/views.js';

/** The kernel as a daemon needs it. */
export interface KernelPorts {
  readonly mroute: MroutePort;
  readonly membership: MembershipPort;
  readonly igmp: IgmpPort;
  readonly links: LinkPort;
  readonly routes: RoutePort;
  readonly hostGroups?: HostGroupPort;
  readonly hostIgmp?: HostIgmpPort;
  readonly bridges?: BridgePort;
  readonly addressWatch?: AddressWatchPort;
  /** Whose membership calls wait in a pause; 'agent' when it does not say. */
  readonly pauseScope?: PauseScope;
  /** Begins to deliver, when everybody listens. Throws when it cannot. */
  start?(): void;
}

export interface DaemonParts {
  readonly config: Config;
  readonly kernel: KernelPorts;
  readonly clock: Clock;
  readonly log: Log;
  readonly threshold: LogThreshold;
  readonly version: string;
  readonly control: {
    readonly peerUid: (socket: Socket) => number | undefined;
    readonly groupId?: number | undefined;
    readonly replaces?: boolean;
  };
  /** Lines of the log that were lost since the process started. */
  readonly lostLines?: () => number;
  /** What a predecessor wanted its successor to know. */
  readonly saved?: LoadedState | undefined;
  /** Something changed that a successor should know: `state` says it. */
  readonly changed?: () => void;
}

/** The kernel's table is a predecessor's (D-RST-1); at the end of the restart window what came of it. */
export interface WarmStart {
  readonly windowMs: number;
  /** In which hosts answer one query: no window of a process that has to ask is shorter. */
  readonly answerMs: number;
  readonly ended: (result: AdoptionResult) => void;
}

/** The restart window where everything is known: joins that belong to it are made by then. */
const SETTLED_MS = 2000;

/** How often the manager compares its table with the kernel's (F02, F47). */
const RECONCILE_MS = 60_000;
/** How soon it notices vifs and modes that somebody else changed. */
const WATCH_MS = 500;

export class Daemon {
  readonly manager: Manager;
  readonly operator: DaemonOperator;
  readonly #parts: DaemonParts;
  readonly #protocols: ReadonlyMap<string, Protocol>;
  readonly #assignments: Assignments;
  readonly #joins: HostJoins;
  readonly #counters = new Counters();
  #control: ControlServer | undefined;
  #inherited = { entries: 0, vifs: 0 };

  constructor(parts: DaemonParts) {
    const { config, kernel, clock, log, threshold, version } = parts;
    this.#parts = parts;
    this.manager = new Manager({ clock, log: log.child({ mod: 'mgm' }), ...kernel, config: managerConfig(config) });
    const igmpConfigs = igmpConfigsOf(config);
    const igmp = new IgmpModule({
      mgm: this.manager,
      events: this.manager.events,
      clock,
      log,
      ...kernel,
      interfaces: igmpConfigs,
      maxGroups: config.igmp.maxGroups,
      maxSources: config.igmp.maxSources,
      savedState: savedStateOf(parts.saved, 'igmp'),
      predecessorKnewAll: parts.saved?.leaving === true && parts.saved.windowLeftMs === 0,
    });
    const proxy = this.#proxyOf(config);
    const dvmrp = this.#dvmrp();
    const statics = this.#statics();
    this.#protocols = protocolsOf([igmp, proxy, dvmrp, ...statics]);
    const { links, membership } = kernel;
    const { interfaces } = config;
    const { saved, changed = () => undefined, lostLines = () => 0 } = parts;
    this.#assignments = new Assignments({
      links,
      membership,
      clock,
      log,
      protocols: this.#protocols,
      interfaces,
      saved: saved?.assignments,
      changed,
      told: () => this.manager.told(),
    });
    const { ssmRanges } = config.igmp;
    const counters = this.#counters;
    this.#joins = new HostJoins({ links, membership, clock, log, counters, ssmRanges, saved: saved?.joins, changed });
    const snapshot = this.manager.snapshot();
    const assignments = this.#assignments;
    const prepareIgmp = (name: string) => {
      if (!igmpConfigs.has(name)) igmpConfigs.set(name, defaultIgmpConfig(config.igmp, boundaryOf(config, name)));
    };
    for (const { name, igmp: on } of this.#assignments.list()) if (on) prepareIgmp(name);
    this.operator = new DaemonOperator({
      config,
      pauseScope: kernel.pauseScope ?? 'agent',
      version,
      clock,
      threshold,
      links,
      manager: this.manager,
      protocols: this.#protocols,
      assignments,
      joins: this.#joins,
      views: viewsOf({
        ...kernel,
        snapshot,
        assignments,
        igmp,
        proxy,
        dvmrp: dvmrp?.views,
        statics,
        counters,
        lostLines,
        clock,
      }),
      prepareIgmp,
    });
  }

  /** Resolves when everything configured has been taken and the control socket accepts (F50); with the problem when it does not. */
  async start(warm?: WarmStart): Promise<ControlProblem | undefined> {
    const { kernel, config, clock, log, version, control } = this.#parts;
    this.manager.start();
    if (warm) await this.#adopt(warm);
    for (const protocol of this.#protocols.values()) mustWork(`starting ${protocol.name}`, protocol.start());
    this.#joins.start();
    await this.#assignments.start();
    await this.manager.takeUp();
    if (warm) this.#settleWindow(warm);
    // Not before: what waits in a predecessor's socket is about interfaces that somebody must be on.
    kernel.start?.();
    await this.manager.reconcile();
    const common = { operator: this.operator, clock, log, counters: this.#counters, version };
    const server = await ControlServer.listen({ path: config.control.socket, ...common, ...control });
    if (!server.ok) return server.error;
    this.#control = server.value;
    return undefined;
  }

  /** Releases every interface, leaves every group, empties the kernel's table. Harmless after a start that failed. */
  async stop(): Promise<void> {
    await this.#control?.close();
    this.#assignments.stop();
    this.#joins.stop();
    // IGMP first: an owner that releases then has nobody to make wait.
    for (const protocol of this.#protocols.values()) await protocol.stop();
    await this.manager.stop();
  }

  /** Before `state`, so that it takes no time. */
  async prepareState(): Promise<void> {
    for (const protocol of this.#protocols.values()) await protocol.prepareState?.();
  }

  /** What a successor could not know otherwise. */
  state(leaving: boolean): SavedState {
    const { windowLeftMs } = this.manager;
    return {
      leaving,
      windowLeftMs,
      guests: this.#guests(windowLeftMs > 0),
      table: this.#parts.config.table,
      assignments: this.#assignments.saved(),
      joins: this.#joins.saved(),
      protocols: Object.fromEntries(
        [...this.#protocols].flatMap(([name, protocol]) =>
          protocol.saveState ? [[name, protocol.saveState(leaving)]] : [],
        ),
      ),
    };
  }

  /** Interfaces of clients that this process did not make; with those of its predecessor that may still come back. */
  #guests(withLate: boolean): readonly string[] {
    const interfaces = this.manager.snapshot().interfaces();
    const now = interfaces.filter(({ owner }) => owner !== null && !this.#protocols.has(owner)).map(({ name }) => name);
    return [...new Set([...now, ...((withLate && this.#parts.saved?.guests) || [])])];
  }

  /** Whether somebody who is not there yet may take the interface: a client of before, or a protocol that was refused. */
  #isLate(name: string): boolean {
    const { saved } = this.#parts;
    if (!saved?.guests || saved.guests.includes(name)) return true;
    return this.#assignments.list().some((one) => one.name === name && one.problem !== undefined);
  }

  /** The window of a predecessor goes on where it was; where nobody is waited for it is short. */
  #settleWindow({ windowMs, answerMs }: WarmStart): void {
    const { saved } = this.#parts;
    if (saved && saved.windowLeftMs > 0)
      this.manager.endWindowWithin(Math.max(saved.windowLeftMs, saved.leaving ? 0 : answerMs));
    const owners = new Set(this.#assignments.list().flatMap(({ owner, igmp }) => [owner, igmp ? 'igmp' : undefined]));
    const waits = [...this.#protocols].some(([name, one]) => owners.has(name) && one.hasSaidAll?.() !== true);
    const isSettled = !waits && saved?.guests?.length === 0 && !this.#assignments.list().some(({ problem }) => problem);
    if (isSettled) this.manager.endWindowWithin(SETTLED_MS);
    const { entries, vifs } = this.#inherited;
    const leftMs = Math.min(windowMs, this.manager.windowLeftMs);
    const what = isSettled
      ? 'what hosts want is known'
      : `hosts have ${Math.round(leftMs / 1000)} s to say again what they want`;
    this.#parts.log.info(
      { evt: 'daemon.warm-start', entries, vifs },
      `mgmd goes on with ${vifs} interfaces and ${entries} flows of a predecessor; ${what}`,
    );
  }

  /** The line for `systemctl status`. */
  summary(): string {
    const { groups, flows } = this.manager.snapshot().totals();
    const owned = this.#assignments.list().map(({ name, owner, igmp }) => {
      const jobs = [owner, igmp ? 'igmp' : undefined].filter((job) => job !== undefined);
      return `${name}: ${jobs.join('+') || 'nobody'}`;
    });
    return `${owned.join(', ') || 'no interface is configured'}; ${groups} groups, ${flows} flows`;
  }

  /** Ends without taking anything out of the kernel: a successor goes on with it. */
  async leave(): Promise<void> {
    await this.#control?.close();
  }

  async #adopt({ windowMs, ended }: WarmStart): Promise<void> {
    const dump = await this.#parts.kernel.mroute.dump();
    if (dump instanceof KernelError) throw dump;
    this.#inherited = { entries: dump.entries.length, vifs: dump.vifs.length };
    await this.manager.adopt({ dump, windowMs, ended, isLate: (name) => this.#isLate(name) });
  }

  #proxyOf({ proxy, igmp }: Config): ProxyModule | undefined {
    const { kernel, clock, log } = this.#parts;
    const { manager: mgm } = this;
    const { ssmRanges } = igmp;
    return proxy && new ProxyModule({ mgm, clock, log, ...kernel, events: mgm.events, config: proxy, ssmRanges });
  }

  #dvmrp(): DvmrpModule | undefined {
    const { config: all, kernel, clock, log } = this.#parts;
    const config = all.dvmrp;
    if (!config) return undefined;
    const mgm = this.manager;
    const random = { next: Math.random };
    const linkConfigOf = (name: string) => dvmrpLinkOf(all, config, name);
    const savedState = savedStateOf(this.#parts.saved, 'dvmrp');
    return new DvmrpModule({
      mgm,
      clock,
      log,
      ...kernel,
      random,
      events: mgm.events,
      config,
      linkConfigOf,
      savedState,
    });
  }

  #statics(): readonly StaticModule[] {
    const { config, kernel, clock, log } = this.#parts;
    const mgm = this.manager;
    return config.statics.map((one) => {
      const savedState = savedStateOf(this.#parts.saved, one.name);
      return new StaticModule({ mgm, clock, log, ...kernel, events: mgm.events, config: one, savedState });
    });
  }
}

function protocolsOf(modules: readonly (Protocol | undefined)[]): ReadonlyMap<string, Protocol> {
  return new Map(modules.flatMap((one) => (one ? [[one.name, one] as const] : [])));
}

function savedStateOf(saved: LoadedState | undefined, protocol: string): SavedProtocolState | undefined {
  return saved && Object.hasOwn(saved.protocols, protocol)
    ? { state: saved.protocols[protocol], ageMs: saved.ageMs }
    : undefined;
}

function managerConfig(config: Config) {
  const thresholds = new Map(config.interfaces.map(({ name, threshold }) => [name, threshold]));
  return {
    mfeExpiry: config.mfe.expiry,
    maxEntries: config.mfe.maxEntries,
    foreign: config.foreign,
    rpfRoutes: [...config.rpf.routes, ...upstreamSources(config)],
    thresholdOf: (name: string) => thresholds.get(name) ?? 1,
    boundaryOf: (name: string) => boundaryOf(config, name),
    reconcileMs: RECONCILE_MS,
    watchMs: WATCH_MS,
  };
}

/** Sources that the routing table would look for elsewhere ("altnet"). */
function upstreamSources({ proxy }: Config): readonly RpfRoute[] {
  return (proxy?.upstreams ?? []).flatMap(({ interface: name, sources }) =>
    sources.map((prefix) => ({ prefix, interface: name, neighbor: undefined })),
  );
}

function boundaryOf({ interfaces }: Config, name: string): readonly Prefix[] {
  return interfaces.find((one) => one.name === name)?.boundary ?? [];
}

function dvmrpLinkOf({ interfaces }: Config, { interfaceDefaults }: DvmrpConfig, name: string): LinkConfig {
  const known = interfaces.find((one) => one.name === name);
  const { threshold = 1, boundary = [], dvmrp = interfaceDefaults } = known ?? {};
  return { name, threshold, boundary, dvmrp };
}

function igmpConfigsOf({ interfaces }: Config): Map<string, IgmpInterfaceConfig> {
  return new Map(interfaces.flatMap(({ name, igmp }) => (igmp ? [[name, igmp] as const] : [])));
}

function mustWork(what: string, { code, detail, message }: MgmStatus): void {
  if (code !== 'NO_ERROR') throw new Error(`${what}: ${code} ${detail ?? ''} ${message ?? ''}`);
}
