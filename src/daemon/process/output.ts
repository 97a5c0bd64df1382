/**
 * Where the log goes, when perhaps nobody reads it: a pipe that is full, a terminal that was stopped, a disk without space.
 * A write never waits. What does not fit is kept up to a bound; beyond it lines are lost, counted, and their number is
 * told in the log as soon as it takes lines again.
 */
import { constants, fstatSync, openSync } from 'node:fs';
import { loadAddon } from '../../kernel/addon.js';

const MAX_BYTES = 1024 * 1024;
const RETRY_MS = 50;

export interface OutputParts {
  /** Returns how many bytes were taken within `waitMs`, or a negative errno. */
  readonly write: (bytes: Uint8Array, waitMs: number) => number;
  readonly after: (delayMs: number, fire: () => void) => void;
  readonly nowMs: () => number;
}

export class Output {
  readonly #parts: OutputParts;
  /** Called when lines are taken again: how many were lost. */
  onLoss: (lines: number) => void = () => undefined;
  #waiting: Buffer[] = [];
  #bytes = 0;
  #lost = 0;
  #lostEver = 0;
  #retrying = false;

  constructor(parts: OutputParts) {
    this.#parts = parts;
  }

  /** Standard output, or another stream by its number. */
  static to(fd: number): Output {
    const { writeSome } = loadAddon();
    const own = ownDescription(fd);
    return new Output({
      write: (bytes, waitMs) => writeSome(own, bytes, waitMs),
      after: (delayMs, fire) => void setTimeout(fire, delayMs).unref(),
      nowMs: () => performance.now(),
    });
  }

  /** Lines that nobody will ever read, since the start. */
  get lostLines(): number {
    return this.#lostEver;
  }

  /** One line with its end mark. */
  write(line: string): void {
    const bytes = Buffer.from(line);
    if (!this.#hasRoom(bytes.length)) {
      this.#lost++;
      this.#lostEver++;
      return;
    }
    this.#tellLoss();
    this.#waiting.push(bytes);
    this.#bytes += bytes.length;
    if (!this.#retrying) this.#writeOn(0);
  }

  /** Before the process ends: waits for the reader, but no longer than this. */
  flush(withinMs: number): void {
    const dueMs = this.#parts.nowMs() + withinMs;
    for (let leftMs = withinMs; this.#bytes > 0 && leftMs > 0; leftMs = dueMs - this.#parts.nowMs())
      if (this.#writeSome(Math.ceil(leftMs)) <= 0) return;
  }

  /** Once lines are lost, half of the room has to be free again: else every second line is told as one loss. */
  #hasRoom(bytes: number): boolean {
    return this.#bytes + bytes <= (this.#lost > 0 ? MAX_BYTES / 2 : MAX_BYTES);
  }

  #tellLoss(): void {
    const lost = this.#lost;
    this.#lost = 0;
    if (lost > 0) this.onLoss(lost);
  }

  #writeOn(waitMs: number): void {
    while (this.#bytes > 0 && this.#writeSome(waitMs) > 0);
    this.#retrying = this.#bytes > 0;
    if (this.#retrying) this.#parts.after(RETRY_MS, () => this.#writeOn(0));
    else this.#tellLoss();
  }

  /** Whatever the error: a disk gets space, a pipe a reader again, and if not, then what is kept is bounded. */
  #writeSome(waitMs: number): number {
    const bytes = this.#waiting.length === 1 ? this.#waiting[0]! : Buffer.concat(this.#waiting);
    const taken = this.#parts.write(bytes, waitMs);
    this.#bytes -= Math.max(0, taken);
    this.#waiting = this.#bytes > 0 ? [taken > 0 ? bytes.subarray(taken) : bytes] : [];
    return taken;
  }
}

/**
 * A pipe or terminal may be open in other processes as well, and to be without waiting belongs to what they share. Opened once
 * more, it is ours alone. Where that is not possible the addon asks before each write.
 */
function ownDescription(fd: number): number {
  try {
    const stats = fstatSync(fd);
    if (!stats.isFIFO() && !stats.isCharacterDevice()) return fd;
    return openSync(`/proc/self/fd/${fd}`, constants.O_WRONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
  } catch {
    return fd;
  }
}
