/**
 * Files that somebody else may have put where mgmd reads or writes as root: a link, a pipe that nobody writes, a device
 * without an end. They are opened without waiting and looked at before they are read, and what is read is bounded.
 */
import {
  closeSync,
  constants,
  fstatSync,
  lstatSync,
  openSync,
  readSync,
  renameSync,
  type Stats,
  statSync,
  unlinkSync,
  writeSync,
} from 'node:fs';
import { dirname } from 'node:path';
import { err, ok, type Result } from '../../base/result.js';
import type { Clock } from '../../port/clock.js';
import { abortableSleep } from '../process/sleep.js';

const { O_RDONLY, O_WRONLY, O_CREAT, O_EXCL, O_NOFOLLOW, O_NONBLOCK, O_NOCTTY } = constants;
const CHUNK = 65_536;
const PIPE_WAIT_MS = 10;
/** Writable for the group or for everybody. */
const OTHERS_WRITE = 0o022;
const STICKY = 0o1000;

/** A regular file of at most `maxBytes`; the error says why not, without the path. A link is followed. */
export function readRegular(path: string, maxBytes: number): Result<Buffer, string> {
  return read(path, maxBytes, 0, () => undefined);
}

/** What comes through a pipe, whole, within bounds of size and time; undefined when no pipe is there. Nothing waits. */
export async function readPipe(
  path: string,
  maxBytes: number,
  limits: PipeLimits,
): Promise<Result<Buffer, string> | undefined> {
  let fd: number | undefined;
  try {
    fd = openSync(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
    return fstatSync(fd).isFIFO() ? await readWhileWritten(fd, maxBytes, limits) : undefined;
  } catch {
    return undefined;
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

export interface PipeLimits {
  readonly withinMs: number;
  readonly clock: Clock;
}

async function readWhileWritten(fd: number, maxBytes: number, limits: PipeLimits): Promise<Result<Buffer, string>> {
  const { withinMs, clock } = limits;
  const dueMs = clock.nowMs() + withinMs;
  const chunks: Buffer[] = [];
  for (let bytes = 0; bytes <= maxBytes; ) {
    const chunk = readNow(fd);
    if (chunk?.length === 0) return bytes > 0 ? ok(Buffer.concat(chunks)) : err('nothing came through the pipe');
    if (!chunk && clock.nowMs() >= dueMs)
      return err(`whoever writes to the pipe did not end within ${withinMs / 1000} s`);
    if (chunk) chunks.push(chunk);
    else await abortableSleep(clock, PIPE_WAIT_MS, new AbortController().signal);
    bytes += chunk?.length ?? 0;
  }
  return err(sentenceOfSize(maxBytes));
}

/** Undefined: nothing yet. Empty: the end. */
function readNow(fd: number): Buffer | undefined {
  const chunk = Buffer.allocUnsafe(CHUNK);
  try {
    return chunk.subarray(0, readSync(fd, chunk));
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EAGAIN') return undefined;
    throw error;
  }
}

function sentenceOfSize(maxBytes: number): string {
  return `it is larger than ${maxBytes / 2 ** 20} MiB`;
}

/** Reads a file that only root or our own user may have written: no link, and nobody else can change it. */
export function readOwn(path: string, maxBytes: number): Result<Buffer, string> {
  const unsafe = unsafeFolder(path);
  if (unsafe !== undefined) return err(unsafe);
  return read(path, maxBytes, O_NOFOLLOW, whyNotOurs);
}

/** Replaces a file as a whole. The error says why it could not; the file is then as it was. */
export function replaceOwn(path: string, text: string): Result<undefined, string> {
  const unsafe = unsafeFolder(path);
  if (unsafe !== undefined) return err(unsafe);
  const beside = `${path}.new`;
  try {
    removeFile(beside);
    writeNew(beside, Buffer.from(text));
    renameSync(beside, path);
    return ok(undefined);
  } catch (error) {
    return err(reasonOf(error));
  }
}

/** "a directory", "a pipe" ...: what is at a path that is not what it should be. */
export function kindOf(stats: Stats): string {
  if (stats.isFile()) return 'a regular file';
  if (stats.isDirectory()) return 'a directory';
  if (stats.isFIFO()) return 'a pipe';
  if (stats.isSocket()) return 'a socket';
  if (stats.isSymbolicLink()) return 'a symbolic link';
  return 'a device';
}

function read(
  path: string,
  maxBytes: number,
  flags: number,
  refuses: (stats: Stats) => string | undefined,
): Result<Buffer, string> {
  let fd: number | undefined;
  try {
    // Without waiting: a pipe would, for somebody who writes.
    fd = openSync(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | flags);
    const stats = fstatSync(fd);
    if (!stats.isFile()) return err(`it is ${kindOf(stats)}, not a regular file`);
    const refusal = refuses(stats);
    if (refusal !== undefined) return err(refusal);
    return readUpTo(fd, maxBytes);
  } catch (error) {
    return err(reasonOf(error));
  } finally {
    if (fd !== undefined) closeSync(fd);
  }
}

/** Not by the size that the file claims: those of /proc claim none. */
function readUpTo(fd: number, maxBytes: number): Result<Buffer, string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for (;;) {
    const chunk = Buffer.allocUnsafe(CHUNK);
    const count = readSync(fd, chunk);
    if (count === 0) return ok(Buffer.concat(chunks));
    bytes += count;
    if (bytes > maxBytes) return err(sentenceOfSize(maxBytes));
    chunks.push(chunk.subarray(0, count));
  }
}

function writeNew(path: string, bytes: Buffer): void {
  const fd = openSync(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_NONBLOCK, 0o600);
  try {
    for (let at = 0; at < bytes.length; ) at += writeSync(fd, bytes, at);
  } catch (error) {
    unlinkSync(path);
    throw error;
  } finally {
    closeSync(fd);
  }
}

/** What a save that was interrupted left; a directory is nothing of ours and stays. */
function removeFile(path: string): void {
  try {
    unlinkSync(path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
  }
}

function unsafeFolder(path: string): string | undefined {
  const folder = dirname(path);
  try {
    const stats = statSync(folder);
    if (!isOurs(stats)) return `the directory ${folder} belongs to user ${stats.uid}`;
    // In one like /tmp nobody can replace what is ours.
    if ((stats.mode & OTHERS_WRITE) !== 0 && (stats.mode & STICKY) === 0)
      return `the directory ${folder} can be written by others; take that right away (chmod go-w)`;
    return undefined;
  } catch (error) {
    return `the directory ${folder}: ${reasonOf(error)}`;
  }
}

function whyNotOurs(stats: Stats): string | undefined {
  if (!isOurs(stats)) return `it belongs to user ${stats.uid}`;
  return (stats.mode & OTHERS_WRITE) === 0 ? undefined : 'it can be written by others';
}

function isOurs({ uid }: Stats): boolean {
  return uid === 0 || uid === process.geteuid?.();
}

/** ELOOP is what an open that follows no link answers to one. */
function reasonOf(error: unknown): string {
  if ((error as NodeJS.ErrnoException).code === 'ELOOP') return 'it is a symbolic link';
  const text = error instanceof Error ? error.message : String(error);
  // Node names the call and the path, which whoever shows this names itself: "ENOENT: no such file or directory, open '/a'".
  return text.replace(/, \w+(?: '[^']*')?(?: -> '[^']*')?$/, '');
}

/** Undefined where nothing is. A link is not followed. */
export function kindAt(path: string): string | undefined {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  return stats && kindOf(stats);
}
