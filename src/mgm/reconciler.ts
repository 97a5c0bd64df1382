/**
 * Compares what the manager holds with what the kernel holds, both ways, at intervals and when a notification does not
 * fit (F02, F03, F47). The kernel lets anybody with CAP_NET_ADMIN change the owner's table (facts A2), so this is not
 * paranoia. What changed while the dump was read is left for the next time.
 */
import { KernelError } from '../base/errors.js';
import { formatIp } from '../base/ip.js';
import type { Timer } from '../port/clock.js';
import type { DumpedMfc, DumpedVif, MfcChange, MrouteDump } from '../port/kernel.js';
import { type Core, flowName, keyFields } from './core.js';
import { bitOf, type Forwarding } from './forwarding.js';
import type { Entry, Interface } from './state.js';

/** Notifications of one burst lead to one comparison. */
const SUSPICION_DELAY_MS = 100;

export class Reconciler {
  readonly #core: Core;
  readonly #forwarding: Forwarding;
  readonly #isExpected: (entry: DumpedMfc) => boolean;
  readonly #reportFlow: (entry: DumpedMfc) => void;
  #timer: Timer | undefined;
  #suspicion: Timer | undefined;
  #running = false;
  #again = false;
  /** Entries somebody else wrote, by "source group", as the last dump showed them. */
  foreign: ReadonlyMap<string, DumpedMfc> = new Map();
  unresolved: readonly DumpedMfc[] = [];

  /** `isExpected`: an entry that is not ours yet, but nobody else's either. */
  constructor(
    core: Core,
    forwarding: Forwarding,
    reportFlow: (entry: DumpedMfc) => void,
    isExpected: (entry: DumpedMfc) => boolean,
  ) {
    this.#isExpected = isExpected;
    this.#core = core;
    this.#forwarding = forwarding;
    this.#reportFlow = reportFlow;
  }

  start(): void {
    this.#timer = this.#core.ports.clock.after(this.#core.config.reconcileMs, () => {
      this.start();
      void this.run();
    });
  }

  stop(): void {
    this.#timer?.cancel();
    this.#suspicion?.cancel();
  }

  /** A notification of the kernel. Ours arrive too; only what does not fit leads to a comparison. */
  noticed(change: MfcChange | undefined): void {
    if (change && this.#fits(change)) return;
    if (this.#suspicion || this.#core.stopped) return;
    this.#suspicion = this.#core.ports.clock.after(SUSPICION_DELAY_MS, () => {
      this.#suspicion = undefined;
      void this.run();
    });
  }

  async run(): Promise<void> {
    if (this.#running) {
      this.#again = true;
      return;
    }
    this.#running = true;
    const writesBefore = this.#core.writes;
    const removed = new Set<string>();
    this.#core.removedSince = removed;
    const dump = await this.#core.ports.mroute.dump();
    this.#core.removedSince = undefined;
    this.#running = false;
    if (this.#core.stopped) return;
    if (dump instanceof KernelError) this.#core.kernelRefused(dump);
    else this.#compare(dump, writesBefore, removed);
    if (!this.#again) return;
    this.#again = false;
    await this.run();
  }

  #fits({ kind, entry: seen }: MfcChange): boolean {
    const entry = this.#core.entries.get(seen.source, seen.group);
    if (seen.unresolved) return true;
    if (kind === 'deleted') return !entry || entry.writtenIif === -1;
    return entry !== undefined && this.#same(entry, seen);
  }

  #same(entry: Entry, seen: DumpedMfc): boolean {
    return seen.iif === entry.iif.ifindex && this.#outputsOf(seen) === entry.writtenOutputs;
  }

  #outputsOf(seen: DumpedMfc): number {
    let outputs = 0;
    for (const { ifindex } of seen.oifs) {
      const on = this.#core.interfaces.get(ifindex);
      if (!on) return -1;
      outputs |= bitOf(on);
    }
    return outputs >>> 0;
  }

  #compare(dump: MrouteDump, writesBefore: number, removed: ReadonlySet<string>): void {
    this.#core.count('reconcile.runs');
    this.#compareVifs(dump.vifs);
    const seenEntries = new Set<Entry>();
    const foreign = new Map<string, DumpedMfc>();
    for (const seen of dump.entries) {
      const entry = this.#core.entries.get(seen.source, seen.group);
      if (entry) seenEntries.add(entry);
      if (seen.unresolved) this.#reportFlow(seen);
      else if (!entry) {
        if (!removed.has(flowName(seen)) && !this.#isExpected(seen)) foreign.set(flowName(seen), seen);
      } else if (entry.writtenAt <= writesBefore && !this.#same(entry, seen)) this.#repair(entry, 'changed');
    }
    for (const entry of this.#core.entries) {
      if (!seenEntries.has(entry) && entry.writtenAt <= writesBefore) this.#repair(entry, 'missing');
    }
    this.unresolved = dump.entries.filter((seen) => seen.unresolved);
    this.#handleForeign(foreign);
  }

  #repair(entry: Entry, why: 'changed' | 'missing'): void {
    entry.writtenIif = -1;
    this.#forwarding.write(entry);
    this.#core.count(`reconcile.${why}`);
    this.#core.count('reconcile.repaired');
    this.#core.emit('kernel.repaired', () => ({ ...keyFields(entry), why }));
    this.#core.ports.log.warn(
      { evt: 'kernel.repaired', ...keyFields(entry), why },
      `somebody else ${why === 'missing' ? 'deleted' : 'changed'} the entry ${formatIp(entry.source)}, ${formatIp(entry.group)} in the kernel; written again`,
    );
  }

  #compareVifs(vifs: readonly DumpedVif[]): void {
    const present = new Map(vifs.map((seen) => [seen.vif, seen]));
    for (const on of this.#core.interfaces.values()) {
      if (present.get(on.vif)?.ifindex === on.ifindex || !this.#core.ports.links.byIndex(on.ifindex)) continue;
      this.#restoreVif(on, present.has(on.vif));
    }
  }

  /** Entries drop outputs on vifs that do not exist (K-21): all that name it are written again. */
  #restoreVif(on: Interface, occupied: boolean): void {
    if (occupied) this.#core.ports.mroute.delVif(on.vif);
    const error = this.#core.ports.mroute.addVif(on.vif, on.ifindex);
    if (error) return this.#core.kernelRefused(error);
    for (const entry of this.#core.entries) {
      if (entry.iif === on || entry.outputs & bitOf(on)) this.#forwarding.write(entry, true);
    }
    this.#core.count('reconcile.vifs');
    this.#core.emit('kernel.repaired', () => ({ interface: on.name, why: 'vif' }));
    this.#core.ports.log.warn(
      { evt: 'kernel.repaired', ifname: on.name, vif: on.vif },
      `somebody else removed vif ${on.vif} (${on.name}) in the kernel; added again`,
    );
  }

  #handleForeign(foreign: ReadonlyMap<string, DumpedMfc>): void {
    const known = this.foreign;
    const stays = new Map<string, DumpedMfc>();
    for (const [name, seen] of foreign) {
      if (!known.has(name)) this.#foreignAppeared(seen);
      if (this.#core.config.foreign === 'leave') stays.set(name, seen);
      else this.#removeForeign(seen);
    }
    this.foreign = stays;
  }

  #foreignAppeared(seen: DumpedMfc): void {
    const fields = { source: formatIp(seen.source), group: formatIp(seen.group) };
    this.#core.count('reconcile.foreign');
    this.#core.emit('kernel.foreign-change', () => fields);
    const fate = this.#core.config.foreign === 'leave' ? 'left alone' : 'removed';
    this.#core.ports.log.warn(
      { evt: 'kernel.foreign-change', ...fields },
      `somebody else added the entry ${fields.source}, ${fields.group} to the kernel's table; ${fate} ("foreign" in the configuration decides)`,
    );
  }

  #removeForeign(seen: DumpedMfc): void {
    const error = this.#core.ports.mroute.delMfc(seen.source, seen.group);
    if (error && error.code !== 'ENOENT') this.#core.kernelRefused(error);
    else this.#core.count('reconcile.removed');
  }
}
