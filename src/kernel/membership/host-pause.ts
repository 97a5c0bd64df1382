/**
 * `pause.scope: host` (ADR 7): while an interface is paused, no process of the host changes its memberships. The gate, a
 * program in the kernel, refuses their joins and leaves with EAGAIN; the pins hide that a socket was closed or a process died.
 * mgmd's own calls are kept back by the membership gate already, and let out between the two steps of the end.
 * When this process dies, the kernel drops both.
 */
import { ip, type IpAddress, toU32 } from '../../base/ip.js';
import type { Ifindex, LinkPort } from '../../port/kernel.js';
import type { Log } from '../../port/log.js';
import type { NativePauseGate } from '../addon.js';
import { errnoName } from '../errno.js';
import type { HostMembership } from './host-memberships.js';
import type { OpenMembershipPool } from './membership-lanes.js';
import { type OwnMemberships, Pins } from './pins.js';

export interface HostPauseParts {
  /** Undefined: pins alone. */
  readonly gate: NativePauseGate | undefined;
  /** Opens sockets for pins, which the gate lets through. */
  readonly openPool: OpenMembershipPool;
  /** How many sources the filter of one membership holds. */
  readonly mostSources?: () => number;
  readonly links: Pick<LinkPort, 'byIndex'>;
  readonly memberships: (ifindex: Ifindex) => readonly HostMembership[] | undefined;
  /** The interface by which the kernel's routes lead to a group. */
  readonly routeTo: (group: IpAddress) => Ifindex | undefined;
  readonly log: Log;
}

interface Paused {
  /** What calls may name the interface by, beside its ifindex: its addresses, and NOTHING when routes lead there. */
  readonly names: readonly number[];
  readonly pins: Pins;
}

/** The key of calls that name no interface. */
const NOTHING = 0;

/** One group for each /8 of 224.0.0.0/4: where a route that is not narrower leads. */
const PROBES: readonly IpAddress[] = Array.from({ length: 16 }, (_, i) => ip(`${224 + i}.255.255.1`));

export class HostPause {
  readonly #parts: HostPauseParts;
  readonly #paused = new Map<Ifindex, Paused>();

  constructor(parts: HostPauseParts) {
    this.#parts = parts;
  }

  /** The gate first: what is listed then can only become less until it is pinned, and the pins look for that. */
  begin(ifindex: Ifindex, own: OwnMemberships): void {
    const { openPool, memberships, mostSources, log } = this.#parts;
    const pins = new Pins(ifindex, openPool, mostSources?.());
    const paused = { names: this.#namesOf(ifindex), pins };
    this.#paused.set(ifindex, paused);
    this.#closeGate(ifindex, paused);
    const refused = pins.place(() => memberships(ifindex), own);
    if (!refused) return;
    const code = errnoName(refused.errno);
    const { groups = 'all' } = refused;
    log.warn(
      { evt: 'pause.pin.refused', ifindex, groups, code },
      `${groups} groups on the interface with index ${ifindex} could not be pinned (${code}): what others give up there in the pause goes out at once`,
    );
  }

  /** Others may join and leave again; what is pinned stays. */
  openGate(ifindex: Ifindex): void {
    const { gate } = this.#parts;
    const paused = this.#paused.get(ifindex);
    if (!gate || !paused) return;
    gate.allow(ifindex, NOTHING);
    const others = [...this.#paused].filter(([other]) => other !== ifindex).flatMap(([, { names }]) => names);
    for (const name of paused.names) if (!others.includes(name)) gate.allow(0, name);
  }

  /** To be called after `openGate`: what the pins held back goes out. */
  end(ifindex: Ifindex): void {
    this.#paused.get(ifindex)?.pins.release();
    this.#paused.delete(ifindex);
  }

  /** The interface was deleted, and its memberships with it. */
  gone(ifindex: Ifindex): void {
    this.openGate(ifindex);
    this.#paused.get(ifindex)?.pins.close();
    this.#paused.delete(ifindex);
  }

  close(): void {
    this.#parts.gate?.close();
    for (const { pins } of this.#paused.values()) pins.release();
    this.#paused.clear();
  }

  #closeGate(ifindex: Ifindex, { names }: Paused): void {
    const { gate, log } = this.#parts;
    if (!gate) return;
    const errnos = [gate.refuse(ifindex, NOTHING), ...names.map((name) => gate.refuse(0, name))];
    const errno = errnos.find((one) => one !== 0);
    if (errno === undefined) return;
    const code = errnoName(errno);
    log.warn(
      { evt: 'pause.gate.refused', ifindex, code },
      `the gate could not be closed for the interface with index ${ifindex} (${code}): others may join and leave there in the pause`,
    );
  }

  #namesOf(ifindex: Ifindex): readonly number[] {
    const { gate, links, routeTo } = this.#parts;
    if (!gate) return [];
    const addresses = links.byIndex(ifindex)?.addresses.map(({ address }) => toU32(address)) ?? [];
    return PROBES.some((group) => routeTo(group) === ifindex) ? [...addresses, NOTHING] : addresses;
  }
}
