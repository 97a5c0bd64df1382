/** The daemon's side of the control socket: interface and protocol names become calls, refusals become advice. */
import { type Answer, whenAnswered } from '../base/answer.js';
import type { IpAddress } from '../base/ip.js';
import { linkName } from '../base/link-name.js';
import type { Config, LogLevel, PauseScope } from '../config/types.js';
import type { DaemonStatus } from '../control/messages.js';
import type { Operator, Outcome, View } from '../control/operator.js';
import type { MgmDetail, MgmStatus, Protocol } from '../mgm/client.js';
import type { Manager } from '../mgm/manager.js';
import type { HandoverView, ManagerEvent } from '../mgm/snapshot.js';
import type { Clock } from '../port/clock.js';
import type { Ifindex, Link, LinkPort } from '../port/kernel.js';
import type { Assignments } from './assignments.js';
import type { HostJoins } from './host-joins.js';
import { portProblem } from './link-problems.js';
import { LOG_LEVELS, type LogThreshold } from './pino-log.js';

export interface OperatorParts {
  readonly config: Config;
  readonly version: string;
  /** In force. */
  readonly pauseScope: PauseScope;
  readonly clock: Clock;
  readonly threshold: LogThreshold;
  readonly links: LinkPort;
  readonly manager: Manager;
  readonly protocols: ReadonlyMap<string, Protocol>;
  readonly assignments: Assignments;
  readonly joins: HostJoins;
  readonly views: ReadonlyMap<string, View>;
  /** IGMP is about to be put on an interface that the configuration may not know. */
  readonly prepareIgmp: (name: string) => void;
}

export class DaemonOperator implements Operator {
  readonly views: ReadonlyMap<string, View>;
  readonly #parts: OperatorParts;
  readonly #startedMs: number;

  constructor(parts: OperatorParts) {
    this.#parts = parts;
    this.views = parts.views;
    this.#startedMs = parts.clock.nowMs();
  }

  status(): DaemonStatus {
    const { config, version, clock, threshold, pauseScope, protocols, assignments } = this.#parts;
    return {
      version,
      pid: process.pid,
      upTime: (clock.nowMs() - this.#startedMs) / 1000,
      table: config.table,
      configFile: config.file,
      logLevel: threshold.level,
      pauseScope,
      protocols: [...protocols.keys()],
      absent: assignments.absent(),
    };
  }

  take(interfaceName: string, client: string): Answer<Outcome> {
    const link = this.#parts.links.byName(interfaceName);
    const protocol = this.#parts.protocols.get(client);
    if (!link) return this.#noSuchInterface(interfaceName);
    if (!protocol) return this.#noSuchProtocol(client);
    if (client === 'igmp') {
      if (this.#isUpstream(interfaceName)) return upstreamStaysHost(interfaceName);
      this.#parts.prepareIgmp(interfaceName);
    }
    const taken = this.#parts.assignments.take(link, protocol);
    return whenAnswered(taken, (status) => this.#withAdvice(status, interfaceName, client));
  }

  release(interfaceName: string, client: string | undefined): Answer<Outcome> {
    const link = this.#parts.links.byName(interfaceName);
    if (!link) return this.#noSuchInterface(interfaceName);
    const on = this.#parts.manager.getProtocolOnInterface(link.ifindex);
    const ownedBy = on.name === 'igmp' ? undefined : on.name;
    const name = client ?? ownedBy;
    if (name === undefined) return nobodyOwns(link, on.igmp === true);
    const protocol = this.#parts.protocols.get(name);
    if (!protocol) return this.#noSuchProtocol(name);
    return whenAnswered(this.#parts.assignments.release(link, protocol), (status): Outcome => {
      if (status.code === 'NO_ERROR') return { ...status, message: `took ${interfaceName} away from ${name}` };
      return { ...status, message: notThere(status, name, interfaceName, ownedBy) };
    });
  }

  handover(interfaceName: string, from: string, to: string, dryRun: boolean): Answer<HandoverView> {
    const link = this.#parts.links.byName(interfaceName);
    if (!link) return { ...nothingMoved(interfaceName, from, to), ...this.#noSuchInterface(interfaceName) };
    return whenAnswered(this.#parts.manager.handover(link.ifindex, from, to, dryRun), (view) => {
      if (view.done) this.#parts.assignments.handedOver(interfaceName, to);
      const refused = view.code === 'ERROR_NOT_FOUND' && view.detail === 'noSuchClient';
      return refused ? { ...view, message: `${view.message}; there is ${this.#protocolNames()}` } : view;
    });
  }

  join(interfaceName: string, group: IpAddress, source: IpAddress | undefined): Outcome {
    const link = this.#parts.links.byName(interfaceName);
    if (!link) return this.#noSuchInterface(interfaceName);
    const nameOf = (ifindex: Ifindex) => linkName(this.#parts.links, ifindex);
    const problem = portProblem(link, nameOf);
    return problem === undefined ? this.#parts.joins.join(link, group, source) : refusal('noSuchInterface', problem);
  }

  leave(interfaceName: string, group: IpAddress, source: IpAddress | undefined): Outcome {
    const link = this.#parts.links.byName(interfaceName);
    return link ? this.#parts.joins.leave(link, group, source) : this.#noSuchInterface(interfaceName);
  }

  setLogLevel(level: string): Outcome {
    const known = LOG_LEVELS.find((word): word is LogLevel => word === level);
    if (!known) return refusal('badType', `must be one of ${LOG_LEVELS.join(', ')} (got "${level}")`);
    this.#parts.threshold.level = known;
    return { code: 'NO_ERROR' };
  }

  onEvent(handler: (event: ManagerEvent) => void): () => void {
    return this.#parts.manager.snapshot().onEvent(handler);
  }

  #isUpstream(name: string): boolean {
    return this.#parts.config.proxy?.upstreams.some((upstream) => upstream.interface === name) === true;
  }

  #noSuchInterface(name: string) {
    const { links, assignments } = this.#parts;
    if (assignments.absent().includes(name))
      return refusal('noSuchInterface', `${name} does not exist now; it is served as configured as soon as it appears`);
    const there = links.links().filter(({ loopback }) => !loopback);
    const names =
      there
        .slice(0, 8)
        .map((link) => link.name)
        .join(', ') + (there.length > 8 ? ', …' : '');
    return refusal('noSuchInterface', `there is no interface ${name}; there is ${names || 'none but loopback'}`);
  }

  #noSuchProtocol(client: string): Outcome {
    return refusal('noSuchClient', `there is no protocol "${client}"; there is ${this.#protocolNames()}`);
  }

  #protocolNames(): string {
    return [...this.#parts.protocols.keys()].join(', ');
  }

  /** "Why" is the manager's; "what to do" is known here. */
  #withAdvice(status: MgmStatus, name: string, client: string): Outcome {
    const why = status.message ?? status.detail ?? status.code;
    const owner = this.#ownerOf(name);
    if (status.detail === 'ownedByOther')
      return {
        ...status,
        message: `${owner} owns it; "mgmctl handover ${name} --from ${owner} --to ${client}" moves it`,
      };
    if (status.detail === 'alreadyTaken') return { ...status, message: `${client} is on ${name} already` };
    if (status.detail === 'noVif') return { ...status, message: `${why}; release another interface first` };
    return status;
  }

  #ownerOf(name: string): string | undefined {
    const link = this.#parts.links.byName(name);
    return link && this.#parts.manager.getProtocolOnInterface(link.ifindex).name;
  }
}

/** Codes as the manager's specification maps them. */
function refusal(detail: MgmDetail, message: string) {
  const code = detail === 'noSuchClient' ? 'ERROR_NOT_FOUND' : 'ERROR_INVALID_PARAMETER';
  return { code, detail, message } as const;
}

/** RFC 4605 section 4.1: no query ever leaves by an upstream. */
function upstreamStaysHost(name: string): Outcome {
  const why = `${name} is an upstream of the proxy, which is a host there and must not ask others`;
  return refusal('notOwner', `${why}; take it out of "proxy.upstreams" first`);
}

function nobodyOwns({ name }: Link, igmp: boolean): Outcome {
  const hint = igmp ? `; IGMP alone is on it, "mgmctl release ${name} --by igmp" takes it away` : '';
  return refusal('notOwner', `no protocol owns ${name}${hint}`);
}

function notThere(status: MgmStatus, client: string, name: string, owner: string | undefined): string {
  const { code, detail, message } = status;
  if (detail !== 'notOwner' && detail !== 'noSuchInterface') return message ?? detail ?? code;
  return `${client} is not on ${name}; ${owner === undefined ? 'nobody owns it' : `${owner} owns it`}`;
}

function nothingMoved(name: string, from: string, to: string): HandoverView {
  const counts = { igmp: false, memberships: 0, entriesAsIif: 0, entriesAsOif: 0 };
  return { interface: name, from, to, ...counts, done: false, code: 'NO_ERROR' };
}
