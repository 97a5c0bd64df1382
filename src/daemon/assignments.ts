/**
 * Who should be on which interface, by NAME: at first what the configuration says, then what operators changed. Applied
 * when an interface appears, however often (F07, F08): first the owner, then IGMP, so that IGMP's memberships reach the
 * owner as local joins and nobody is told to wait (manager.md section 4.6).
 */
import { LogLimiter } from '../base/log-limiter.js';
import { linkName } from '../base/link-name.js';
import type { InterfaceConfig } from '../config/types.js';
import type { MgmStatus, Protocol } from '../mgm/client.js';
import type { Ifindex, Link, LinkChange, LinkPort, MembershipPort } from '../port/kernel.js';
import type { Clock, Timer } from '../port/clock.js';
import type { Log } from '../port/log.js';
import { flagProblem, portProblem, vrfAdvice } from './link-problems.js';
import type { SavedAssignment, SavedJob } from './state/state-file.js';

export interface AssignmentsParts {
  readonly links: LinkPort;
  readonly membership: MembershipPort;
  readonly clock: Clock;
  readonly log: Log;
  /** By name; IGMP is the one called 'igmp'. */
  readonly protocols: ReadonlyMap<string, Protocol>;
  readonly interfaces: readonly InterfaceConfig[];
  /** What operators changed before this process began. */
  readonly saved?: readonly SavedAssignment[] | undefined;
  /** An operator changed something that a successor should know. */
  readonly changed?: () => void;
  /** Resolves when protocols have heard what was decided before; absent: they hear it at once. */
  readonly told?: () => Promise<void>;
}

export interface Assignment {
  readonly name: string;
  readonly owner: string | undefined;
  readonly igmp: boolean;
  /** Why it is not as it should be; undefined when it is, or when the interface is absent. */
  readonly problem: string | undefined;
}

interface Intended {
  owner: string | undefined;
  igmp: boolean;
  problem: string | undefined;
}

const IGMP = 'igmp';
const FLAPS_BURST = 4;
const FLAPS_PER_SECOND = 0.1;
const NOTHING: SavedJob = { owner: null, igmp: false };

export class Assignments {
  readonly #parts: AssignmentsParts;
  readonly #configured: ReadonlyMap<string, SavedJob>;
  readonly #intended = new Map<string, Intended>();
  #unsubscribe: () => void = () => undefined;
  /** Lines about interfaces that go up and down, by name. */
  readonly #flaps = new LogLimiter(FLAPS_BURST, FLAPS_PER_SECOND);
  /** Names of interfaces without the MULTICAST flag. */
  readonly #withoutFlag = new Set<string>();
  #retry: Timer | undefined;
  /** Where somebody is being asked; true: something has changed since. */
  readonly #settling = new Map<Ifindex, boolean>();
  /** Where somebody was asked to take it. */
  readonly #tried = new Set<Ifindex>();

  constructor(parts: AssignmentsParts) {
    this.#parts = parts;
    this.#configured = new Map(
      parts.interfaces.map(({ name, owner = null, igmp }) => [name, { owner, igmp: igmp !== undefined }]),
    );
    for (const [name, job] of this.#configured) this.#intended.set(name, intendedBy(job));
    for (const saved of parts.saved ?? []) this.#restore(saved);
  }

  /** Applies to every interface there is; resolves when each has been tried. */
  async start(): Promise<void> {
    const { links, log } = this.#parts;
    this.#unsubscribe = links.onChange((change) => void this.#linkChanged(change));
    for (const { name } of this.list()) {
      const link = links.byName(name);
      if (link) await this.#settle(link);
    }
    const absent = this.absent();
    const aliases = absent.flatMap((name) => this.#aliasOf(name));
    if (absent.length > 0)
      log.warn(
        { evt: 'interface.absent', names: absent },
        `configured but not there: ${absent.join(', ')}; each is served as soon as it appears${aliases.join('')}`,
      );
  }

  stop(): void {
    this.#unsubscribe();
    this.#retry?.cancel();
  }

  list(): readonly Assignment[] {
    return [...this.#intended].map(([name, intended]) => ({ name, ...intended }));
  }

  /** What operators changed, for a successor. */
  saved(): readonly SavedAssignment[] {
    return this.list().flatMap(({ name, owner = null, igmp }) => {
      const configured = this.#configured.get(name) ?? NOTHING;
      const now = { owner, igmp };
      return isSame(configured, now) ? [] : [{ name, configured, now }];
    });
  }

  /** An alternative name is for people; the configuration is by the kernel's own. */
  #aliasOf(name: string): readonly string[] {
    const link = this.#parts.links.links().find(({ altNames }) => altNames.includes(name));
    return link ? [`; ${name} is an alternative name of ${link.name}: write ${link.name}`] : [];
  }

  /** Names of those that have a job and do not exist. */
  absent(): readonly string[] {
    const { links } = this.#parts;
    const jobs = this.list().filter(({ owner, igmp }) => owner !== undefined || igmp);
    return jobs.map(({ name }) => name).filter((name) => !links.byName(name));
  }

  async take(link: Link, protocol: Protocol): Promise<MgmStatus> {
    const message = portProblem(link, this.#nameOf);
    if (message !== undefined) return { code: 'ERROR_CAN_NOT_COMPLETE', detail: 'noSuchInterface', message };
    this.#tried.add(link.ifindex);
    const status = await protocol.take(link.ifindex);
    if (status.code === 'NO_ERROR') this.#remember(link.name, protocol.name, true);
    return status;
  }

  async release(link: Link, protocol: Protocol): Promise<MgmStatus> {
    const status = await protocol.release(link.ifindex);
    if (status.code !== 'NO_ERROR') return status;
    this.#remember(link.name, protocol.name, false);
    this.#retrySoon(); // there is room for one that was refused
    return status;
  }

  /** An interface was handed over; `to` is its owner from now on, also when it comes again. */
  handedOver(name: string, to: string): void {
    this.#remember(name, to, true);
  }

  #remember(name: string, protocol: string, on: boolean): void {
    const intended = this.#intended.get(name) ?? { owner: undefined, igmp: false, problem: undefined };
    this.#intended.set(name, intended);
    intended.problem = undefined;
    if (protocol === IGMP) intended.igmp = on;
    else intended.owner = on ? protocol : undefined;
    this.#parts.changed?.();
  }

  /** Where the configuration says something new, it wins. */
  #restore({ name, configured, now }: SavedAssignment): void {
    if (isSame(configured, this.#configured.get(name) ?? NOTHING)) {
      this.#intended.set(name, intendedBy(now));
      return;
    }
    this.#parts.log.info(
      { evt: 'daemon.state.superseded', ifname: name },
      `${name}: the configuration has changed, so it decides and not what mgmctl said before`,
    );
  }

  async #linkChanged({ kind, link, before, renamed }: LinkChange): Promise<void> {
    if (kind === 'added') return this.#appeared(link, renamed);
    if (kind === 'removed') return this.#gone(link, renamed);
    if (before) await this.#changed(link, before);
  }

  /** What was before it with the same ifindex is not to be mixed up with it. */
  async #appeared(link: Link, oldName?: string): Promise<void> {
    if (this.#parts.told) await this.#parts.told();
    const intended = this.#jobOn(link);
    if (!intended || !this.#isThere(link)) return;
    const how = oldName === undefined ? 'has appeared' : `is the new name of ${oldName}`;
    this.#parts.log.info(
      { evt: 'interface.appeared', ifname: link.name, ifindex: link.ifindex },
      `${link.name} ${how}; ${jobOf(intended)}`,
    );
    await this.#settle(link);
  }

  /** The manager has forgotten it already; its host memberships are dead whether it was owned or not. */
  #gone(link: Link, newName: string | undefined): void {
    const { ifindex, name } = link;
    this.#parts.membership.interfaceGone(ifindex);
    this.#tried.delete(ifindex);
    this.#withoutFlag.delete(name);
    const intended = this.#intended.get(name);
    if (intended) intended.problem = undefined;
    if (this.#jobOn(link)) {
      const why =
        newName === undefined
          ? 'is gone'
          : `was renamed to ${newName}; what is configured for ${name} does not move with it`;
      this.#parts.log.warn(
        { evt: 'interface.lost', ifname: name, ifindex, renamed: newName },
        `${name} ${why}; ${name} is served again as soon as there is an interface of that name`,
      );
    }
    this.#retrySoon();
  }

  async #changed(link: Link, before: Link): Promise<void> {
    const intended = this.#jobOn(link);
    if (!intended) return;
    if (link.up !== before.up || link.running !== before.running) this.#tellState(link);
    const [isPort, wasPort] = [portProblem(link, this.#nameOf), portProblem(before, this.#nameOf)];
    if (isPort !== wasPort || link.multicast !== before.multicast) await this.#settle(link);
  }

  /** One after the other for each interface: answers come late, and it may be something else by then. */
  async #settle({ ifindex }: Link): Promise<void> {
    if (this.#settling.has(ifindex)) return void this.#settling.set(ifindex, true);
    do {
      this.#settling.set(ifindex, false);
      const link = this.#parts.links.byIndex(ifindex);
      if (link) await this.#apply(link);
    } while (this.#settling.get(ifindex));
    this.#settling.delete(ifindex);
  }

  /** It is a port of something that takes its packets. */
  async #giveUp(link: Link, intended: Intended, problem: string): Promise<void> {
    this.#refuse(link, intended, problem);
    if (!this.#tried.delete(link.ifindex)) return;
    const { protocols } = this.#parts;
    if (intended.igmp) await protocols.get(IGMP)?.release(link.ifindex);
    if (intended.owner !== undefined) await protocols.get(intended.owner)?.release(link.ifindex);
    this.#retrySoon();
  }

  #refuse({ name, ifindex }: Link, intended: Intended, problem: string): void {
    if (intended.problem === problem) return;
    intended.problem = problem;
    this.#parts.log.error(
      { evt: 'interface.enslaved', ifname: name, ifindex },
      `${problem}; ${name} is served again when it is no port any more`,
    );
  }

  #tellState({ name, ifindex, up, running }: Link): void {
    const heldBack = this.#flaps.take(name, this.#parts.clock.nowMs());
    if (heldBack === undefined) return;
    const state = running ? 'up' : up ? 'without carrier' : 'down';
    this.#parts.log.info({ evt: 'interface.changed', ifname: name, ifindex, state, heldBack }, `${name} is ${state}`);
  }

  async #apply(link: Link): Promise<void> {
    const intended = this.#intended.get(link.name);
    if (!intended) return;
    const port = portProblem(link, this.#nameOf);
    if (port !== undefined) return this.#giveUp(link, intended, port);
    intended.problem = flagProblem(link);
    this.#tellFlag(link, intended.problem);
    this.#warnOfVrf(link);
    if (intended.owner !== undefined) await this.#takeFor(link, intended, intended.owner);
    if (intended.igmp) await this.#takeFor(link, intended, IGMP);
  }

  async #takeFor(link: Link, intended: Intended, name: string): Promise<void> {
    if (!this.#isThere(link)) return;
    const protocol = this.#parts.protocols.get(name);
    this.#tried.add(link.ifindex);
    const status: MgmStatus = protocol
      ? await protocol.take(link.ifindex)
      : { code: 'ERROR_NOT_FOUND', detail: 'noSuchClient', message: `no protocol named ${name} is running` };
    if (status.code === 'NO_ERROR' || status.detail === 'alreadyTaken' || !this.#isThere(link)) return;
    const why = status.message ?? status.detail ?? status.code;
    intended.problem = `${name}: ${why}`;
    this.#parts.log.error(
      { evt: 'interface.refused', ifname: link.name, client: name, code: status.code, detail: status.detail },
      `${name} is not on ${link.name}, as configured: ${why}; it is tried again when an interface is released or goes away`,
    );
  }

  /** Under that name; it may have got another one while somebody was asked. */
  #isThere({ ifindex, name }: Link): boolean {
    return this.#parts.links.byIndex(ifindex)?.name === name;
  }

  #jobOn({ name }: Link): Intended | undefined {
    const intended = this.#intended.get(name);
    return intended && (intended.owner !== undefined || intended.igmp) ? intended : undefined;
  }

  readonly #nameOf = (ifindex: Ifindex): string => linkName(this.#parts.links, ifindex);

  /** Told when it goes and when it comes back. */
  #tellFlag({ name: ifname }: Link, problem: string | undefined): void {
    const { log, clock } = this.#parts;
    if ((problem !== undefined) === this.#withoutFlag.has(ifname)) return;
    if (problem === undefined) this.#withoutFlag.delete(ifname);
    else this.#withoutFlag.add(ifname);
    const heldBack = this.#flaps.take(`${ifname} multicast`, clock.nowMs());
    if (heldBack === undefined) return;
    if (problem !== undefined) return log.warn({ evt: 'interface.multicast.off', ifname, heldBack }, problem);
    log.info({ evt: 'interface.multicast.on', ifname, heldBack }, `${ifname} has the MULTICAST flag again`);
  }

  #warnOfVrf(link: Link): void {
    const { clock, log } = this.#parts;
    const why = vrfAdvice(link, this.#nameOf);
    if (why === undefined || this.#flaps.take(`${link.name} vrf`, clock.nowMs(), 1) === undefined) return;
    log.warn({ evt: 'interface.vrf', ifname: link.name }, why);
  }

  /** In a later turn, when everybody has heard of the change that made room. */
  #retrySoon(): void {
    if (this.list().every(({ problem }) => problem === undefined)) return;
    this.#retry ??= this.#parts.clock.after(0, () => {
      this.#retry = undefined;
      void this.#retryRefused();
    });
  }

  async #retryRefused(): Promise<void> {
    for (const { name, problem } of this.list()) {
      const link = this.#parts.links.byName(name);
      if (problem !== undefined && link) await this.#settle(link);
    }
  }
}

function intendedBy({ owner, igmp }: SavedJob): Intended {
  return { owner: owner ?? undefined, igmp, problem: undefined };
}

function isSame(one: SavedJob, other: SavedJob): boolean {
  return one.owner === other.owner && one.igmp === other.igmp;
}

function jobOf({ owner, igmp }: Intended): string {
  const names = [owner, igmp ? 'IGMP' : undefined].filter((name) => name !== undefined);
  return `${names.join(' and ')} ${names.length > 1 ? 'take' : 'takes'} it`;
}
