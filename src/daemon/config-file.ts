/** The configuration file as bytes: read within bounds, decoded, and parsed. For a check it may also come through a pipe. */
import { TextDecoder } from 'node:util';
import { err, ok, type Result } from '../base/result.js';
import { formatComplaint, type ParsedConfig, parseConfig } from '../config/parse.js';
import { MAX_BYTES } from '../config/source.js';
import type { Clock } from '../port/clock.js';
import { readPipe, readRegular } from './state/files.js';

const LINE_FEED = 0x0a;
/** What a program that makes the configuration may take. */
const PIPE_LIMIT_MS = 10_000;

/** The configuration, or the lines that say what is wrong with it. `defaultSocket` as in `parseConfig`. */
export function readConfigFile(file: string, defaultSocket: string | undefined): ParsedConfig | readonly string[] {
  const read = readRegular(pathOf(file), MAX_BYTES);
  return read.ok ? parsedBytes(read.value, file, defaultSocket) : cannotRead(file, read.error);
}

/** The same for `--check`, which reads once: also from standard input ("-") and from other pipes. */
export async function checkConfigFile(
  file: string,
  defaultSocket: string | undefined,
  clock: Clock,
): Promise<ParsedConfig | readonly string[]> {
  const piped = await readPipe(pathOf(file), MAX_BYTES, { withinMs: PIPE_LIMIT_MS, clock });
  if (!piped) return readConfigFile(file, defaultSocket);
  return piped.ok ? parsedBytes(piped.value, file, defaultSocket) : cannotRead(file, piped.error);
}

function pathOf(file: string): string {
  return file === '-' ? '/dev/stdin' : file;
}

/** What is said when it cannot be read for the reason that `readRegular` gave. */
export function cannotRead(file: string, why: string): readonly string[] {
  return [`cannot read the configuration ${file}: ${why}; ${adviceFor(why)}`];
}

function adviceFor(why: string): string {
  if (why.startsWith('it is a pipe'))
    return 'mgmd could not read it again at a reload; write it to a file, or check it with --check';
  if (why.startsWith('EMFILE')) return 'raise LimitNOFILE of the service, then reload again';
  if (why.startsWith('ENFILE')) return 'raise fs.file-max, then reload again';
  return 'put it back, or start with --config FILE';
}

function parsedBytes(bytes: Buffer, file: string, defaultSocket: string | undefined): ParsedConfig | readonly string[] {
  const text = decode(bytes);
  if (!text.ok) return [`${file}:${text.error}`];
  const parsed = parseConfig(text.value, file, defaultSocket);
  return parsed.ok ? parsed.value : parsed.error.map(formatComplaint);
}

/** The error is "line:column: why". */
function decode(bytes: Buffer): Result<string, string> {
  const strict = new TextDecoder('utf-8', { fatal: true });
  try {
    return ok(strict.decode(bytes));
  } catch {
    if (bytes[0] === 0xff || bytes[0] === 0xfe) return err('1:1: not UTF-8; it looks like UTF-16, save it as UTF-8');
    return err(`${placeOfFault(bytes)}: not UTF-8; save the file as UTF-8`);
  }
}

function placeOfFault(bytes: Buffer): string {
  let line = 1;
  for (let start = 0; start <= bytes.length; line++) {
    const feed = bytes.indexOf(LINE_FEED, start);
    const end = feed < 0 ? bytes.length : feed;
    const column = columnOfFault(bytes.subarray(start, end));
    if (column !== undefined) return `${line}:${column}`;
    start = end + 1;
  }
  return '1:1';
}

/** From 1; undefined when the line is good. */
function columnOfFault(line: Buffer): number | undefined {
  try {
    new TextDecoder('utf-8', { fatal: true }).decode(line);
    return undefined;
  } catch {
    return line.toString('utf8').indexOf('\ufffd') + 1;
  }
}
