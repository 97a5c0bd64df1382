/** Asking the kernel by netlink: at once, for a start or a single look-up, or bit by bit, for tables that may be long. */
import type { KernelError } from '../../base/errors.js';
import { err, ok, type Result } from '../../base/result.js';
import type { Addon, NativeNetlink } from '../addon.js';
import { EINTR, kernelError } from '../errno.js';
import { type NetlinkMessage, setSequence, viewOf, walkAnswer } from './netlink.js';

/** Reads a message in place during the call. */
export type VisitMessage = (view: DataView, message: NetlinkMessage) => void;

/** Turns a message, read in place, into a row; undefined for one that is none. */
export type DecodeMessage<T> = (view: DataView, message: NetlinkMessage) => T | undefined;

export interface Collected<T> {
  readonly rows: readonly T[];
  /** 0, or why the rows are not complete. */
  readonly errno: number;
}

/** A dump of a table that changes all the time is begun again this often; then what came is taken. */
const ATTEMPTS = 4;

export function openNetlink(addon: Addon, purpose: string): Result<NativeNetlink, KernelError> {
  const native = addon.openNetlink();
  return typeof native === 'number' ? err(kernelError('opening a netlink socket', purpose, native)) : ok(native);
}

/** A socket for questions that are answered before the call returns (the kernel answers them in microseconds). */
export class NetlinkQuestions {
  readonly #native: NativeNetlink;
  /** Changes from question to question: the answer to one that timed out is not taken for that of the next. */
  #sequence = 0;

  private constructor(native: NativeNetlink) {
    this.#native = native;
  }

  static open(addon: Addon, purpose: string): Result<NetlinkQuestions, KernelError> {
    const native = openNetlink(addon, purpose);
    return native.ok ? ok(new NetlinkQuestions(native.value)) : native;
  }

  /** Asks one question. `request` gets its sequence number written into it. */
  ask<T>(request: Uint8Array, decode: DecodeMessage<T>): Collected<T> {
    this.#sequence = (this.#sequence + 1) >>> 0;
    setSequence(request, this.#sequence);
    const answer = this.#native.request(request);
    if (typeof answer === 'number') return { rows: [], errno: answer };
    const rows: T[] = [];
    const view = viewOf(answer);
    const end = walkAnswer(view, answer.length, this.#sequence, (message) => keep(rows, decode(view, message)));
    return { rows, errno: end.errno };
  }

  /** Asks for a dump, again when the kernel says that the table changed on the way. */
  dump<T>(request: Uint8Array, decode: DecodeMessage<T>): Collected<T> {
    for (let left = ATTEMPTS; ; left--) {
      const collected = this.ask(request, decode);
      if (collected.errno !== EINTR) return collected;
      if (left === 1) return { rows: collected.rows, errno: 0 };
    }
  }

  close(): void {
    this.#native.close();
  }
}

/** A dump without blocking: on a socket of its own, which is closed when the answer is complete. */
export async function dumpLater<T>(addon: Addon, request: Uint8Array, decode: DecodeMessage<T>): Promise<Collected<T>> {
  for (let left = ATTEMPTS; ; left--) {
    const collected = await dumpOnce(addon, request, decode);
    if (collected.errno !== EINTR) return collected;
    if (left === 1) return { rows: collected.rows, errno: 0 };
  }
}

function dumpOnce<T>(addon: Addon, request: Uint8Array, decode: DecodeMessage<T>): Promise<Collected<T>> {
  return new Promise((resolve) => {
    const rows: T[] = [];
    const native = addon.openNetlink();
    if (typeof native === 'number') return resolve({ rows, errno: native });
    const finish = (errno: number) => {
      native.close();
      resolve({ rows, errno });
    };
    setSequence(request, 1);
    const view = viewOf(native.slab);
    let interrupted = 0;
    const started = native.start((length, readErrno) => {
      const end = walkAnswer(view, length, 1, (message) => keep(rows, decode(view, message)));
      if (end.errno === EINTR) interrupted = EINTR;
      const failed = readErrno || (end.errno === EINTR ? 0 : end.errno);
      if (end.done || failed !== 0) finish(failed || interrupted);
    });
    const refused = started || native.send(request);
    if (refused !== 0) finish(refused);
  });
}

function keep<T>(rows: T[], row: T | undefined): void {
  if (row !== undefined) rows.push(row);
}
