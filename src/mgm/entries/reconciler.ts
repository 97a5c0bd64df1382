/**
 * Compares what the manager holds with what the kernel holds, both ways, at intervals and when a notification does not
 * fit (F02, F03, F47). The kernel lets anybody with CAP_NET_ADMIN change the owner's table (linux.md A2), so this is not
 * paranoia. What changed while the dump was read is left for the next time.
 */
import { KernelError } from '../../base/errors.js';
import { formatIp } from '../../base/ip.js';
import { LogLimiter } from '../../base/log-limiter.js';
import type { Timer } from '../../port/clock.js';
import type { DumpedMfc, Ifindex, MfcChange, MrouteDump, Vif } from '../../port/kernel.js';
import { type Core, flowName, keyFields } from '../core.js';
import type { Forwarding } from './forwarding.js';
import { ForeignEntries, MOST_SHOWN } from './foreign-entries.js';
import type { Slices } from '../slices.js';
import type { TableWatch } from './table-watch.js';
import type { Entry, Interface } from '../state.js';

/** Notifications of one burst lead to one comparison. Each that follows soon after another waits twice as long. */
const SUSPICION_DELAY_MS = 100;
const LONGEST_DELAY_MS = 10_000;
/** An entry that differs again right after a repair is left alone for this long, then twice as long each time. */
const REPAIR_PAUSE_MS = 1000;
const LONGEST_PAUSE_MS = 600_000;
/** Lines of a kind: some at once, then one in ten seconds (F54). */
const [LINES, LINES_PER_SEC] = [10, 0.1];

/** What became of the repairs of an entry. */
interface Repairs {
  pauseMs: number;
  untilMs: number;
}

/** What was known when the dump was asked for. */
interface Before {
  readonly writesBefore: number;
  readonly removed: ReadonlySet<string>;
  readonly known: ReadonlyMap<Ifindex, Interface>;
}

export interface ReconcilerParts {
  /** Answers an unresolved flow. */
  readonly reportFlow: (entry: DumpedMfc) => void;
  /** An entry that is not ours yet, but nobody else's either. */
  readonly isExpected: (entry: DumpedMfc) => boolean;
  readonly slices: Slices;
  readonly watch: TableWatch;
  /** The vif of an interface that nobody is on yet. */
  readonly reservedVif: (ifindex: Ifindex) => Vif | undefined;
}

export class Reconciler {
  readonly #core: Core;
  readonly #forwarding: Forwarding;
  readonly #parts: ReconcilerParts;
  readonly #limiter: LogLimiter;
  #timer: Timer | undefined;
  #suspicion: Timer | undefined;
  #suspicionDelayMs = SUSPICION_DELAY_MS;
  #suspectedAtMs = Number.NEGATIVE_INFINITY;
  /** Entries repaired a while ago at most. */
  readonly #repairs = new Map<Entry, Repairs>();
  #running = false;
  #again = false;
  /** Entries somebody else wrote, as the last dump showed them. */
  foreign = new ForeignEntries();
  unresolved: readonly DumpedMfc[] = [];

  constructor(core: Core, forwarding: Forwarding, parts: ReconcilerParts) {
    this.#core = core;
    this.#forwarding = forwarding;
    this.#parts = parts;
    const { clock } = core.ports;
    const tell = (reason: string, heldBack: number): void => this.#summarize(reason, heldBack);
    this.#limiter = new LogLimiter(LINES, LINES_PER_SEC, { clock, tell });
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
    this.#limiter.stop();
  }

  #summarize(why: string, heldBack: number): void {
    const { log } = this.#core.ports;
    if (why === 'foreign')
      log.warn(
        { evt: 'kernel.foreign-change', heldBack },
        `somebody else added ${heldBack} more entries to the kernel's table; ${this.#fateOfForeign}`,
      );
    else
      log.warn(
        { evt: 'kernel.repaired', why, heldBack },
        `somebody else ${why === 'missing' ? 'deleted' : 'changed'} ${heldBack} more entries in the kernel; written again`,
      );
  }

  get #fateOfForeign(): string {
    return `${this.#core.config.foreign === 'leave' ? 'left alone' : 'removed'} ("foreign" in the configuration decides)`;
  }

  /** A notification of the kernel. Ours arrive too; only what does not fit leads to a comparison. */
  noticed(change: MfcChange | undefined): void {
    if (change && this.#fits(change)) return;
    if (this.#suspicion || this.#core.stopped) return;
    const { nowMs } = this.#core;
    const again = nowMs - this.#suspectedAtMs < LONGEST_DELAY_MS;
    this.#suspicionDelayMs = again ? Math.min(2 * this.#suspicionDelayMs, LONGEST_DELAY_MS) : SUSPICION_DELAY_MS;
    this.#suspectedAtMs = nowMs + this.#suspicionDelayMs;
    this.#suspicion = this.#core.ports.clock.after(this.#suspicionDelayMs, () => {
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
    const known = new Map(this.#core.interfaces);
    this.#core.removedSince = removed;
    const dump = await this.#core.ports.mroute.dump();
    if (dump instanceof KernelError) this.#core.kernelRefused(dump);
    else if (!this.#core.stopped)
      await this.#parts.slices.done(this.#comparison(dump, { writesBefore, removed, known }));
    this.#core.removedSince = undefined;
    this.#running = false;
    if (this.#core.stopped || !this.#again) return;
    this.#again = false;
    await this.run();
  }

  #fits({ kind, entry: seen }: MfcChange): boolean {
    const entry = this.#core.entries.get(seen.source, seen.group);
    if (seen.unresolved) return true;
    if (kind === 'deleted') return !entry || entry.writtenIif === -1;
    return entry !== undefined && (this.#same(entry, seen) || this.#isPaused(entry));
  }

  #isPaused(entry: Entry): boolean {
    const repairs = this.#repairs.get(entry);
    return repairs !== undefined && repairs.untilMs > this.#core.nowMs;
  }

  /** Entries that name a vif which has just been given up are about to be written. */
  #same(entry: Entry, seen: DumpedMfc): boolean {
    if (entry.iif.closed) return true;
    const outputs = (entry.writtenOutputs & ~this.#core.closingVifs) >>> 0;
    return seen.iif === entry.iif.ifindex && this.#outputsOf(seen) === outputs;
  }

  #outputsOf(seen: DumpedMfc): number {
    let outputs = 0;
    for (const { ifindex } of seen.oifs) {
      const vif = this.#core.interfaces.get(ifindex)?.vif ?? this.#parts.reservedVif(ifindex);
      if (vif === undefined) return -1;
      outputs |= 1 << vif;
    }
    return outputs >>> 0;
  }

  /** One row a step: a table may be large. What is removed meanwhile is in `removed`. */
  *#comparison(dump: MrouteDump, { writesBefore, removed, known }: Before): Generator<void, void> {
    this.#core.count('reconcile.runs');
    this.#forgetRepairs();
    this.#parts.watch.compare(dump.vifs, known);
    const seenEntries = new Set<Entry>();
    const foreign = new ForeignEntries(this.foreign);
    const unresolved: DumpedMfc[] = [];
    for (const seen of dump.entries) {
      const entry = this.#core.entries.get(seen.source, seen.group);
      if (entry) seenEntries.add(entry);
      if (seen.unresolved) {
        if (unresolved.length < MOST_SHOWN) unresolved.push(seen);
        this.#parts.reportFlow(seen);
      } else if (entry) this.#compareEntry(entry, seen, writesBefore);
      else if (!removed.has(flowName(seen)) && !this.#parts.isExpected(seen)) this.#handleForeign(foreign, seen);
      yield;
    }
    for (const entry of this.#core.entries) {
      if (!seenEntries.has(entry) && entry.writtenAt <= writesBefore) this.#repair(entry, 'missing');
      yield;
    }
    this.unresolved = unresolved;
    this.foreign = foreign;
  }

  #compareEntry(entry: Entry, seen: DumpedMfc, writesBefore: number): void {
    entry.isStatic ||= seen.static;
    if (entry.writtenAt <= writesBefore && !this.#same(entry, seen)) this.#repair(entry, 'changed');
  }

  /** An entry that was not repaired again for twice its pause is as good as new. */
  #forgetRepairs(): void {
    for (const [entry, { pauseMs, untilMs }] of this.#repairs)
      if (entry.deleted || untilMs + pauseMs <= this.#core.nowMs) this.#repairs.delete(entry);
  }

  /** Never over and over: somebody may write it as often as we do, or the kernel show something else whatever we write. */
  #repair(entry: Entry, why: 'changed' | 'missing'): void {
    if (this.#isPaused(entry)) return;
    const known = this.#repairs.get(entry);
    const pauseMs = known ? Math.min(2 * known.pauseMs, LONGEST_PAUSE_MS) : REPAIR_PAUSE_MS;
    this.#repairs.set(entry, { pauseMs, untilMs: this.#core.nowMs + pauseMs });
    entry.writtenIif = -1;
    this.#forwarding.write(entry);
    this.#core.count(`reconcile.${why}`);
    this.#core.count('reconcile.repaired');
    this.#core.emit('kernel.repaired', () => ({ ...keyFields(entry), why }));
    const heldBack = this.#limiter.take(why, this.#core.nowMs);
    if (heldBack === undefined) return;
    this.#core.ports.log.warn(
      { evt: 'kernel.repaired', ...keyFields(entry), why, heldBack },
      `somebody else ${why === 'missing' ? 'deleted' : 'changed'} the entry ${formatIp(entry.source)}, ${formatIp(entry.group)} in the kernel; written again`,
    );
  }

  #handleForeign(foreign: ForeignEntries, seen: DumpedMfc): void {
    const isNew = foreign.add(seen);
    if (isNew) this.#foreignAppeared(seen);
    if (this.#core.config.foreign === 'leave') return;
    foreign.drop(seen);
    this.#removeForeign(seen);
  }

  #foreignAppeared(seen: DumpedMfc): void {
    const fields = { source: formatIp(seen.source), group: formatIp(seen.group) };
    this.#core.count('reconcile.foreign');
    this.#core.emit('kernel.foreign-change', () => fields);
    const heldBack = this.#limiter.take('foreign', this.#core.nowMs);
    if (heldBack === undefined) return;
    this.#core.ports.log.warn(
      { evt: 'kernel.foreign-change', ...fields, heldBack },
      `somebody else added the entry ${fields.source}, ${fields.group} to the kernel's table; ${this.#fateOfForeign}`,
    );
  }

  #removeForeign(seen: DumpedMfc): void {
    const error = this.#core.ports.mroute.delMfc(seen.source, seen.group);
    if (error && error.code !== 'ENOENT') this.#core.kernelRefused(error);
    else this.#core.count('reconcile.removed');
  }
}
