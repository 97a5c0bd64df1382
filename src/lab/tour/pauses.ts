/**
 * The ledger of the pauses: what was seen of the router's memberships while an interface changed its owner. Pure; times are
 * milliseconds of the machine's monotonic clock, onto which the daemon's clock is mapped by its events.
 */
import type { ManagerEvent } from '../../mgm/snapshot.js';
import type { ReportSeen } from '../traffic/messages.js';
import { ROUTER_ADDRESS, type RouterInterface } from '../machines/plan.js';

export interface Pause {
  readonly interface: RouterInterface;
  /** By the daemon's clock. */
  readonly disabledAtMs: number;
  enabledAtMs: number | undefined;
  /** Membership system calls the daemon had made when the pause began, and how many more a later reading showed. */
  readonly callsBefore: number;
  callsInside: number;
  /** How many readings were made inside. */
  readings: number;
  /** What the manager let IGMP add or delete on the interface. */
  readonly changesInside: string[];
}

interface Report {
  readonly group: string;
  readonly change: string;
  readonly interface: RouterInterface;
  /** The first time this change was seen; the kernel repeats every report within a second. */
  readonly atMs: number;
}

const LANS = Object.entries(ROUTER_ADDRESS) as readonly [RouterInterface, string][];

export class PauseLedger {
  readonly #pauses: Pause[] = [];
  readonly #reports = new Map<string, Report>();
  #calls = 0;
  /** Daemon clock + offset = machine clock; the smallest difference seen is the one with the least delay in it. */
  #offsetMs = Number.POSITIVE_INFINITY;

  /** `arrivedMs`: when the event reached us. Events and readings come in the daemon's order. */
  event(event: ManagerEvent, arrivedMs: number): void {
    this.#offsetMs = Math.min(this.#offsetMs, arrivedMs - event.atMs);
    const name = event['interface'] as RouterInterface;
    const open = this.open(name);
    switch (event.evt) {
      case 'igmp.disabled':
        this.#pauses.push(newPause(name, event.atMs, this.#calls));
        break;
      case 'igmp.enabled':
        if (open) open.enabledAtMs = event.atMs;
        break;
      case 'membership.added':
      case 'membership.deleted':
        if (event['client'] === 'igmp') open?.changesInside.push(`${event.evt} ${String(event['group'])}`);
        break;
      default: // of no interest to a pause
    }
  }

  /** A reading of the daemon's counters: membership system calls made so far, on all interfaces. */
  reading(calls: number): void {
    this.#calls = calls;
    for (const pause of this.#pauses) {
      if (pause.enabledAtMs !== undefined) continue;
      pause.readings++;
      pause.callsInside = Math.max(pause.callsInside, calls - pause.callsBefore);
    }
  }

  report({ from, group, change, atMs }: ReportSeen): void {
    const lan = LANS.find(([, address]) => address === from);
    if (change === 'state' || !lan) return;
    const key = `${from} ${group} ${change}`;
    if (!this.#reports.has(key)) this.#reports.set(key, { group, change, atMs, interface: lan[0] });
  }

  /** A time of the daemon's clock by the machine's. */
  machineMs(daemonMs: number): number {
    return daemonMs + this.#offsetMs;
  }

  open(name: RouterInterface): Pause | undefined {
    return this.#pauses.find((pause) => pause.interface === name && pause.enabledAtMs === undefined);
  }

  /** The pauses that are over. */
  closed(): readonly Pause[] {
    return this.#pauses.filter((pause) => pause.enabledAtMs !== undefined);
  }

  /** How long the pauses were, ascending, in milliseconds. */
  lengthsMs(): readonly number[] {
    return this.closed()
      .map((pause) => pause.enabledAtMs! - pause.disabledAtMs)
      .sort((a, b) => a - b);
  }

  /** Whether the router has announced this on the LAN. */
  reported(group: string, change: 'join' | 'leave'): boolean {
    return [...this.#reports.values()].some((report) => report.group === group && report.change === change);
  }

  /** Everything that crossed a pause, as sentences. */
  crossings(): readonly string[] {
    return this.#pauses.flatMap((pause, n) => [
      ...this.#callsCrossing(pause, n + 1),
      ...pause.changesInside.map(
        (what) => `pause ${n + 1} (${pause.interface}): IGMP changed the manager's groups: ${what}`,
      ),
      ...this.#reportsCrossing(pause, n + 1),
    ]);
  }

  #callsCrossing(pause: Pause, n: number): readonly string[] {
    if (pause.callsInside === 0) return [];
    return [`pause ${n} (${pause.interface}): the daemon made ${pause.callsInside} membership calls`];
  }

  #reportsCrossing(pause: Pause, n: number): readonly string[] {
    const from = this.machineMs(pause.disabledAtMs);
    const to = this.machineMs(pause.enabledAtMs ?? Number.POSITIVE_INFINITY);
    return [...this.#reports.values()]
      .filter((report) => report.interface === pause.interface && report.atMs >= from && report.atMs < to)
      .map(({ change, group, atMs }) => {
        const into = (atMs - from).toFixed(1);
        return `pause ${n} (${pause.interface}): the router reported a ${change} of ${group}, ${into} ms into the pause`;
      });
  }
}

function newPause(name: RouterInterface, disabledAtMs: number, callsBefore: number): Pause {
  return {
    interface: name,
    disabledAtMs,
    enabledAtMs: undefined,
    callsBefore,
    callsInside: 0,
    readings: 0,
    changesInside: [],
  };
}
