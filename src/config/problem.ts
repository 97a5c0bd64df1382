/** A complaint about a place of the file, and how places and ranges are named in it. */
import { formatIp, formatPrefix, type IpAddress, type Prefix } from '../base/ip.js';
import type { Path } from './source.js';

export interface Problem {
  readonly path: Path;
  /** Whether the place meant is the value at `path` or its last key. */
  readonly at: 'value' | 'key';
  readonly message: string;
}

/** `static.static.routes[0].to`; the whole file has no name. */
export function nameOf(path: Path): string {
  const text = path.map((part) => (typeof part === 'number' ? `[${part}]` : `.${part}`)).join('');
  return text === '' ? 'the file' : text.slice(1);
}

/** "(10.0.0.1, 239.1.1.1)", "(*, 239.1.0.0/16)". */
export function pairOf({
  source,
  group,
}: {
  readonly source?: IpAddress | Prefix | undefined;
  readonly group: Prefix;
}): string {
  const from = typeof source === 'object' ? rangeText(source) : source === undefined ? '*' : formatIp(source);
  return `(${from}, ${rangeText(group)})`;
}

/** One address without its length. */
export function rangeText(range: Prefix): string {
  return range.length === 32 ? formatIp(range.network) : formatPrefix(range);
}
