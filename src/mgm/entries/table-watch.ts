/**
 * Vifs and modes of the kernel's table. Anybody with CAP_NET_ADMIN can delete a vif, put a second one on the same device (input
 * then counts for the highest number) or switch MRT_ASSERT off; who holds a copy of the socket can even give the table up. The
 * kernel tells of vifs only (RTNLGRP_IPV4_NETCONF), so the rest is looked at regularly: one short netlink request.
 */
import { KernelError } from '../../base/errors.js';
import { LogLimiter } from '../../base/log-limiter.js';
import type { Timer } from '../../port/clock.js';
import type { DumpedVif, Ifindex, TableState } from '../../port/kernel.js';
import type { Core } from '../core.js';
import { bitOf, type Forwarding } from './forwarding.js';
import type { Slices } from '../slices.js';
import type { Interface } from '../state.js';

/** After a notification: several changes are one. */
const SOON_MS = 20;
/** Lines about one thing: some at once, then one in ten seconds. */
const [LINES, LINES_PER_SEC] = [3, 0.1];

export class TableWatch {
  readonly #core: Core;
  readonly #forwarding: Forwarding;
  readonly #slices: Slices;
  readonly #limiter: LogLimiter;
  #timer: Timer | undefined;
  #isLooking = false;

  constructor(core: Core, forwarding: Forwarding, slices: Slices) {
    this.#core = core;
    this.#forwarding = forwarding;
    this.#slices = slices;
    const tell = (about: string, heldBack: number): void =>
      core.ports.log.warn(
        { evt: 'kernel.repaired', why: about.split(' ')[0], heldBack },
        `somebody else changed the table ${heldBack} more times in this way (${about}); set right again`,
      );
    this.#limiter = new LogLimiter(LINES, LINES_PER_SEC, { clock: core.ports.clock, tell });
  }

  start(): void {
    this.#core.ports.mroute.onVifChange(() => this.#lookAfter(SOON_MS));
    this.#lookAfter(this.#core.config.watchMs);
  }

  stop(): void {
    this.#limiter.stop();
    this.#cancelLook();
  }

  #cancelLook(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
  }

  /** `vifs` were read since `known` was what the manager had; what changed on the way is left for the next time. */
  compare(vifs: readonly DumpedVif[], known: ReadonlyMap<Ifindex, Interface>): void {
    const { interfaces, ports } = this.#core;
    const present = new Map(vifs.map((seen) => [seen.vif, seen]));
    const missing = [...known.values()].filter(
      (on) =>
        interfaces.get(on.ifindex) === on &&
        present.get(on.vif)?.ifindex !== on.ifindex &&
        ports.links.byIndex(on.ifindex) !== undefined,
    );
    if (missing.length > 0 && ports.mroute.reclaim())
      this.#tell('table', {}, 'gave up the multicast routing table; took it back');
    for (const on of missing) this.#restoreVif(on, present.has(on.vif));
    for (const seen of vifs) this.#dropDouble(seen, known.get(seen.ifindex));
  }

  #lookAfter(ms: number): void {
    this.#cancelLook();
    if (this.#core.stopped || this.#isLooking) return;
    this.#timer = this.#core.ports.clock.after(ms, () => void this.#look());
  }

  async #look(): Promise<void> {
    this.#timer = undefined;
    this.#isLooking = true;
    const known = new Map(this.#core.interfaces);
    const state = known.size > 0 ? await this.#core.ports.mroute.state() : undefined;
    this.#isLooking = false;
    if (this.#core.stopped) return;
    if (state instanceof KernelError) this.#core.kernelRefused(state);
    else if (state) {
      this.compare(state.vifs, known);
      this.#compareModes(state);
    }
    this.#lookAfter(this.#core.config.watchMs);
  }

  #compareModes({ asserts, pim }: TableState): void {
    if (asserts && pim === this.#core.isPimWanted) return;
    const error = this.#core.ports.mroute.setPim(this.#core.isPimWanted);
    if (error) return this.#core.kernelRefused(error);
    this.#core.count('reconcile.modes');
    this.#tell('mode', {}, `changed ${asserts ? 'MRT_PIM' : 'MRT_ASSERT'}; restored it`);
  }

  /** Entries drop outputs on vifs that do not exist (K-21): all that name it are written again. */
  #restoreVif(on: Interface, occupied: boolean): void {
    const { mroute } = this.#core.ports;
    if (occupied) mroute.delVif(on.vif);
    const error = mroute.addVif(on.vif, on.ifindex);
    // The device has just gone; its notification is on the way.
    if (error?.code === 'EADDRNOTAVAIL') return;
    if (error) return this.#core.kernelRefused(error);
    this.#slices.run(this.#rewrite(on));
    this.#core.count('reconcile.vifs');
    this.#tell('vif', { on }, `removed vif ${on.vif} (${on.name}); restored it`);
  }

  *#rewrite(on: Interface): Generator<void, void> {
    for (const entry of this.#core.entries) {
      if (entry.iif === on || entry.outputs & bitOf(on)) this.#forwarding.write(entry, true);
      yield;
    }
  }

  /** A second vif on a device of ours takes its input away. */
  #dropDouble({ vif, ifindex }: DumpedVif, on: Interface | undefined): void {
    if (!on || on.vif === vif || this.#core.interfaces.get(ifindex) !== on) return;
    const error = this.#core.ports.mroute.delVif(vif);
    if (error) return;
    this.#core.count('reconcile.vifs');
    this.#tell('vif', { on }, `added vif ${vif} for ${on.name}, which takes the input of vif ${on.vif}; removed it`);
  }

  #tell(why: 'table' | 'vif' | 'mode', { on }: { readonly on?: Interface }, what: string): void {
    this.#core.emit('kernel.repaired', () => ({ ...(on && { interface: on.name }), why }));
    const heldBack = this.#limiter.take(on ? `${why} ${on.vif}` : why, this.#core.nowMs);
    if (heldBack === undefined) return;
    const fields = { why, ...(on && { ifname: on.name, vif: on.vif }), heldBack };
    this.#core.ports.log.warn(
      { evt: 'kernel.repaired', ...fields },
      `another program ${what} (find out which program writes to the table)`,
    );
  }
}
