/** The configuration file as bytes: read within bounds, decoded, and parsed. */
import { TextDecoder } from 'node:util';
import { err, ok, type Result } from '../base/result.js';
import { formatComplaint, type ParsedConfig, parseConfig } from '../config/parse.js';
import { MAX_BYTES } from '../config/source.js';
import { readRegular } from './files.js';

const LINE_FEED = 0x0a;

/** The configuration, or the lines that say what is wrong with it. `defaultSocket` as in `parseConfig`. */
export function readConfigFile(file: string, defaultSocket: string | undefined): ParsedConfig | readonly string[] {
  const read = readRegular(file, MAX_BYTES);
  if (!read.ok) return [`mgmd: cannot read the configuration ${file}: ${read.error}; name another with --config FILE`];
  const text = decode(read.value);
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
