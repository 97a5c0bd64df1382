/** What every part of the manager shares: ports, configuration, tables, counters and events. Decides nothing. */
import { formatIp, type IpAddress, isAny, type Prefix } from '../base/ip.js';
import { LogLimiter } from '../base/log-limiter.js';
import type { Clock } from '../port/clock.js';
import type { Events, MonitorEvt } from '../port/events.js';
import type { Ifindex, LinkPort, MembershipPort, MroutePort, RoutePort, Vif } from '../port/kernel.js';
import type { Log } from '../port/log.js';
import type { Handle, MembershipKey } from './client.js';
import type { MembershipLimits } from './clients/membership-budget.js';
import type { RpfOverride } from './entries/rpf.js';
import type { ManagerEvent } from './snapshot.js';
import type { Client, Interface } from './state.js';
import { EntryTable, MembershipTable } from './tables.js';
import { VifTable } from './ownership/vif-table.js';

export interface ManagerConfig {
  /** Refresh a positive entry that carries traffic in place, or delete every entry at its end (D-MFE-1). */
  readonly mfeExpiry: 'refresh' | 'strict';
  /** How many forwarding entries there may be (D-MFE-7). */
  readonly maxEntries: number;
  /** How many memberships clients may hold; absent: as `membership-budget.ts` says. */
  readonly maxMemberships?: MembershipLimits;
  /** What to do about entries that somebody else wrote (F02). */
  readonly foreign: 'leave' | 'remove';
  readonly rpfRoutes: readonly RpfOverride[];
  /** TTL threshold of an interface by name, 1..255 (D-LIN-4). */
  readonly thresholdOf: (name: string) => number;
  /** Groups that do not pass an interface in either direction (RFC 2365: administrative scopes), by its name. */
  readonly boundaryOf?: (name: string) => readonly Prefix[];
  /** Time between comparisons with the kernel's tables. */
  readonly reconcileMs: number;
  /** Time between looks at its vifs and modes. */
  readonly watchMs: number;
}

export interface ManagerPorts {
  readonly clock: Clock;
  readonly log: Log;
  readonly mroute: MroutePort;
  readonly membership: MembershipPort;
  readonly links: LinkPort;
  readonly routes: RoutePort;
}

export class Core implements Events {
  /** Every interface in state G, P or PG, or on its way there. */
  readonly interfaces = new Map<Ifindex, Interface>();
  readonly byVif: (Interface | undefined)[] = [];
  /** Bits of vifs that are gone from the kernel while entries may still name them. */
  closingVifs = 0;
  readonly vifs = new VifTable();
  readonly clients = new Map<Handle, Client>();
  readonly memberships = new MembershipTable();
  readonly entries = new EntryTable();
  readonly counters = new Map<string, number>();
  /** Grows with each kernel write of an entry; tells the reconciler what changed while it was reading. */
  writes = 0;
  /** While the reconciler reads a dump: what was removed since it asked, by `flowName`. */
  removedSince: Set<string> | undefined;
  stopped = false;
  /** Who needs wrong-interface messages also for interfaces that are no outputs (MRT_PIM, D-LIN-7). */
  readonly #pimWanted = new Set<'owner' | 'multipath'>();
  readonly #handlers = new Set<(event: ManagerEvent) => void>();
  readonly #kernelLog: LogLimiter;

  constructor(
    readonly ports: ManagerPorts,
    readonly config: ManagerConfig,
  ) {
    const tell = (_: string, heldBack: number): void =>
      ports.log.warn({ evt: 'kernel.refused', heldBack }, `the kernel refused ${heldBack} more system calls`);
    this.#kernelLog = new LogLimiter(10, 0.1, { clock: ports.clock, tell });
  }

  /** No timer is left behind. */
  stop(): void {
    this.#kernelLog.stop();
  }

  get nowMs(): number {
    return this.ports.clock.nowMs();
  }

  count(name: string, by = 1): void {
    this.counters.set(name, (this.counters.get(name) ?? 0) + by);
  }

  interfaceOfVif(vif: Vif): Interface | undefined {
    return this.byVif[vif];
  }

  onEvent(handler: (event: ManagerEvent) => void): () => void {
    this.#handlers.add(handler);
    return () => this.#handlers.delete(handler);
  }

  /** `fields` is only called when somebody listens: ten thousand joins must not build ten thousand objects for nobody. */
  emit(evt: MonitorEvt, fields: () => Readonly<Record<string, unknown>>): void {
    if (this.#handlers.size === 0) return;
    const event: ManagerEvent = { ...fields(), evt, atMs: this.nowMs };
    for (const handler of this.#handlers) handler(event);
  }

  wantPim(who: 'owner' | 'multipath', wanted: boolean): void {
    const before = this.#pimWanted.size;
    if (wanted) this.#pimWanted.add(who);
    else this.#pimWanted.delete(who);
    if (before > 0 === this.#pimWanted.size > 0) return;
    const error = this.ports.mroute.setPim(wanted);
    if (error) this.kernelRefused(error);
  }

  get isPimWanted(): boolean {
    return this.#pimWanted.size > 0;
  }

  /** A refused system call: counted, shown, and logged within bounds. */
  kernelRefused(error: Error): void {
    this.count('kernel.refused');
    this.emit('kernel.refused', () => ({ message: error.message }));
    const heldBack = this.#kernelLog.take('', this.nowMs);
    if (heldBack !== undefined) this.ports.log.warn({ evt: 'kernel.refused', heldBack }, error.message);
  }
}

/** A flow as a key of maps and sets, "10.0.0.1 239.1.1.1". */
export function flowName({ source, group }: MembershipKey): string {
  return `${formatIp(source)} ${formatIp(group)}`;
}

/** "*" for a wildcard. */
export function keyText(address: IpAddress): string {
  return isAny(address) ? '*' : formatIp(address);
}

export function keyFields(key: MembershipKey): { source: string; group: string } {
  return { source: keyText(key.source), group: keyText(key.group) };
}
