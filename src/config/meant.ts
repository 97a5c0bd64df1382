/** "How to write what was meant": ranges and lists as other programs write them, in the form that this file takes. */
import { formatPrefix, type IpAddress, ipv4, maskOf, networkOf, parseIp, type Prefix, toU32 } from '../base/ip.js';
import { rangeText } from './problem.js';

/** Prefixes that a hint lists; for more it names the one that covers them. */
const MAX_LISTED = 8;
const ANY = /^(?:any|all|\*|0\.0\.0\.0)$/i;

/** What is written for a range of addresses that is no prefix; undefined when nobody can tell. `oneEach`: for several ranges. */
export function rangeMeant(raw: unknown, oneEach: string): string | undefined {
  if (Array.isArray(raw)) return oneEach;
  if (typeof raw !== 'string') return undefined;
  const text = raw.trim();
  const prefix = maskedPrefix(text) ?? shortPrefix(text) ?? wildcardPrefix(text);
  if (prefix) return rangeText(prefix);
  if (/[,;]/.test(text)) return oneEach;
  return dashed(text, oneEach);
}

/** "any" and "*": a key that is left out, or every group. */
export function isAnyWord(raw: unknown): boolean {
  return typeof raw === 'string' && ANY.test(raw.trim());
}

/** "b" or "a, b" as a list. */
export function listMeant(raw: unknown): string | undefined {
  if (typeof raw !== 'string' && typeof raw !== 'number') return undefined;
  const names = String(raw)
    .split(/[\s,;]+/)
    .filter((name) => name !== '');
  return names.length > 0 && names.length <= MAX_LISTED ? `[${names.join(', ')}]` : undefined;
}

/** "239.1.0.0/255.255.0.0", "239.1.0.0 255.255.0.0", and the same with a wildcard mask, 0.0.255.255. */
function maskedPrefix(text: string): Prefix | undefined {
  const [, address = '', mask = ''] = /^([\d.]+)(?:\s*\/\s*|\s+(?:netmask\s+|mask\s+)?)([\d.]+)$/.exec(text) ?? [];
  const bits = addressOf(mask);
  if (bits === undefined) return undefined;
  const length = lengthOf(toU32(bits)) ?? lengthOf(~toU32(bits) >>> 0);
  return length === undefined ? undefined : prefixOf(address, length);
}

function lengthOf(mask: number): number | undefined {
  const length = Math.clz32(~mask);
  return toU32(maskOf(length)) === mask ? length : undefined;
}

/** "239.1/16", and a prefix with bits behind its length. */
function shortPrefix(text: string): Prefix | undefined {
  const [, address = '', length = ''] = /^(\d+(?:\.\d+){0,3})\s*\/\s*(\d{1,2})$/.exec(text) ?? [];
  const padded = `${address}${'.0'.repeat(Math.max(0, 4 - address.split('.').length))}`;
  return address !== '' && Number(length) <= 32 ? prefixOf(padded, Number(length)) : undefined;
}

/** "239.1.*", "239.1.x.x". */
function wildcardPrefix(text: string): Prefix | undefined {
  const [, known] = /^((?:\d+\.){1,3})(?:[*x]\.){0,2}[*x]$/i.exec(text) ?? [];
  if (known === undefined) return undefined;
  const parts = known.split('.').length - 1;
  return prefixOf(`${known}${'0.'.repeat(4 - parts)}`.slice(0, -1), 8 * parts);
}

/** "239.1.1.1-239.1.1.9", "239.1.1.1 - 9". */
function dashed(text: string, oneEach: string): string | undefined {
  const [, from = '', to = ''] = /^([\d.]+)\s*(?:-|–|\.\.|to)\s*([\d.]+)$/.exec(text) ?? [];
  const first = addressOf(from);
  const last = addressOf(/^\d+$/.test(to) ? from.replace(/\d+$/, to) : to);
  if (first === undefined || last === undefined || toU32(last) < toU32(first)) return undefined;
  const prefixes = prefixesOf(toU32(first), toU32(last));
  if (prefixes.length === 1) return rangeText(prefixes[0]!);
  if (prefixes.length <= MAX_LISTED) return `${oneEach} of ${prefixes.map(rangeText).join(', ')}`;
  return `${formatPrefix(covering(first, last))}, which covers it`;
}

/** The fewest prefixes that are exactly the range. */
function prefixesOf(first: number, last: number): readonly Prefix[] {
  const found: Prefix[] = [];
  for (let at = first; at <= last; ) {
    let size = 1;
    while (at % (2 * size) === 0 && at + 2 * size - 1 <= last) size *= 2;
    found.push({ network: ipv4(at), length: 32 - Math.log2(size) });
    at += size;
  }
  return found;
}

function covering(first: IpAddress, last: IpAddress): Prefix {
  let length = 32;
  while (networkOf(first, length) !== networkOf(last, length)) length--;
  return { network: networkOf(first, length), length };
}

function prefixOf(address: string, length: number): Prefix | undefined {
  const parsed = addressOf(address);
  return parsed === undefined ? undefined : { network: networkOf(parsed, length), length };
}

function addressOf(text: string): IpAddress | undefined {
  const parsed = parseIp(text);
  return parsed.ok ? parsed.value : undefined;
}
