/**
 * What only this process knows and a successor wants to know: who was put where by operators, what protocols need to go on
 * as if nothing had been. One small file in the runtime directory, replaced as a whole. It is a help, never a condition:
 * whatever is wrong with it costs a line in the log, and the kernel is believed before it.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { type Fields, fieldsOf } from '../../base/fields.js';
import type { Log } from '../../port/log.js';
import { readOwn, replaceOwn } from './files.js';

const FORMAT = 1;
/** A restart takes seconds; whatever is older belongs to another life. */
const OLDEST_MS = 600_000;
/** Ten times what 50,000 routes take. */
const MAX_BYTES = 64 * 1024 * 1024;

export interface SavedAssignment {
  readonly name: string;
  /** What the configuration said when an operator changed it. */
  readonly configured: SavedJob;
  readonly now: SavedJob;
}

export interface SavedJob {
  readonly owner: string | null;
  readonly igmp: boolean;
}

export interface SavedJoin {
  readonly interface: string;
  readonly group: string;
  /** Null: any. */
  readonly source: string | null;
}

export interface SavedState {
  readonly table: number;
  readonly assignments: readonly SavedAssignment[];
  readonly joins: readonly SavedJoin[];
  /** By the protocol's name, as it saved it. */
  readonly protocols: Readonly<Record<string, unknown>>;
  /** The next process follows at once; otherwise this one may have gone on for a while. */
  readonly leaving: boolean;
  /** What is left of the restart window; 0: it is over. */
  readonly windowLeftMs: number;
  /** Interfaces that clients of the control socket own, who may come back late. Undefined: not known. */
  readonly guests: readonly string[] | undefined;
}

/** What was loaded, and how long ago it was saved. */
export interface LoadedState extends SavedState {
  readonly ageMs: number;
}

interface Envelope extends SavedState {
  readonly format: number;
  readonly life: string;
  readonly savedAtMs: number;
}

export class StateFile {
  readonly path: string;
  readonly #log: Log;
  /** Read once: a save must not fail for want of a descriptor to read it with. */
  readonly #life = lifeOf();
  #refused = false;

  constructor(path: string, log: Log) {
    this.path = path;
    this.#log = log;
  }

  /** False when it could not be written, which is logged once in a row. */
  save(state: SavedState): boolean {
    const envelope: Envelope = { format: FORMAT, life: this.#life, savedAtMs: monotonicMs(), ...state };
    const written = replaceOwn(this.path, JSON.stringify(envelope));
    if (!written.ok && !this.#refused) this.#sayThatItFailed(written.error);
    if (written.ok && this.#refused) this.#sayThatItWorks();
    this.#refused = !written.ok;
    return written.ok;
  }

  /** Undefined, with the reason in the log, when it is not to be believed. */
  load(table: number): LoadedState | undefined {
    const read = readState(this.path, table);
    if (typeof read !== 'string') return read;
    this.#log.warn(
      { evt: 'daemon.state.ignored', path: this.path, why: read },
      `the state of the predecessor is ignored: ${read}; owners are those of the configuration`,
    );
    return undefined;
  }

  #sayThatItWorks(): void {
    this.#log.info(
      { evt: 'daemon.state.written', path: this.path },
      `${this.path} is written again, with all that a successor should know`,
    );
  }

  #sayThatItFailed(why: string): void {
    this.#log.warn(
      { evt: 'daemon.state.unwritten', path: this.path, why },
      `what a successor should know cannot be written: ${why}; forwarding goes on, but changes made by mgmctl would not survive a restart`,
    );
  }
}

/** The state, or the sentence that says why not. */
function readState(path: string, table: number): LoadedState | string {
  let value: Fields | undefined;
  try {
    const text = readOwn(path, MAX_BYTES);
    if (!text.ok) return `${path}: ${text.error}`;
    value = fieldsOf(JSON.parse(text.value.toString('utf8')));
  } catch (error) {
    return `${path}: ${error instanceof Error ? error.message : String(error)}`;
  }
  if (!value) return `${path} holds no object`;
  if (value['format'] !== FORMAT)
    return `${path} has the format ${String(value['format'])}, and ${FORMAT} is understood`;
  if (value['life'] !== lifeOf()) return `${path} is of another boot or network namespace`;
  const ageMs = monotonicMs() - Number(value['savedAtMs']);
  if (!(ageMs >= 0 && ageMs <= OLDEST_MS)) return `${path} is ${Math.round(ageMs / 1000)} s old`;
  if (value['table'] !== table) return `${path} is of table ${String(value['table'])}`;
  const { assignments, joins } = value;
  const protocols = fieldsOf(value['protocols']);
  if (!isListOf(assignments, isAssignment)) return `${path}: "assignments" is malformed`;
  if (!isListOf(joins, isJoin)) return `${path}: "joins" is malformed`;
  if (!protocols) return `${path}: "protocols" is malformed`;
  const { leaving, windowLeftMs, guests } = value;
  return {
    table,
    assignments,
    joins,
    protocols,
    ageMs,
    leaving: leaving === true,
    windowLeftMs: typeof windowLeftMs === 'number' ? Math.max(0, windowLeftMs - ageMs) : 0,
    guests: isListOf(guests, isText) ? guests : undefined,
  };
}

function isListOf<T>(value: unknown, fits: (one: unknown) => one is T): value is readonly T[] {
  return Array.isArray(value) && value.every(fits);
}

function isAssignment(value: unknown): value is SavedAssignment {
  const { name, configured, now } = fieldsOf(value) ?? {};
  return typeof name === 'string' && isJob(configured) && isJob(now);
}

function isJob(value: unknown): value is SavedJob {
  const { owner, igmp } = fieldsOf(value) ?? {};
  return typeof igmp === 'boolean' && isTextOrNull(owner);
}

function isJoin(value: unknown): value is SavedJoin {
  const { interface: name, group, source } = fieldsOf(value) ?? {};
  return typeof name === 'string' && typeof group === 'string' && isTextOrNull(source);
}

function isText(value: unknown): value is string {
  return typeof value === 'string';
}

function isTextOrNull(value: unknown): value is string | null {
  return value === null || typeof value === 'string';
}

/** This boot and this network namespace; the kernel's monotonic clock means nothing beyond the first. */
function lifeOf(): string {
  return `${readFileSync('/proc/sys/kernel/random/boot_id', 'utf8').trim()} ${readlinkSync('/proc/self/ns/net')}`;
}

/** CLOCK_MONOTONIC, which a successor shares. */
function monotonicMs(): number {
  return Number(process.hrtime.bigint() / 1_000_000n);
}
