/**
 * The membership changes that an IGMP message announces (RFC 1112, RFC 2236 section 2, RFC 3376 section 4.2). Written apart
 * from src/igmp on purpose: the laboratory judges the daemon and must not share its mistakes.
 */
import { readU16, readU32 } from '../../base/bytes.js';
import { formatIp, ipv4 } from '../../base/ip.js';
import type { ReportChange } from './messages.js';

export interface Announced {
  readonly group: string;
  readonly change: ReportChange;
}

/** By record type of a version 3 report: MODE_IS_* answer a query, the others follow a change (RFC 3376 section 4.2.12). */
const RECORD: Readonly<Record<number, ReportChange>> = {
  1: 'state',
  2: 'state',
  3: 'leave',
  4: 'join',
  5: 'join',
  6: 'leave',
};

/** `b` is the IP payload. Anything but a report or a leave, or one that is cut off, announces nothing (more). */
export function announced(b: Uint8Array): readonly Announced[] {
  if (b.length < 8) return [];
  const group = formatIp(ipv4(readU32(b, 4)));
  switch (b[0]) {
    case 0x12:
    case 0x16:
      return [{ group, change: 'join' }];
    case 0x17:
      return [{ group, change: 'leave' }];
    case 0x22:
      return records(b);
    default:
      return [];
  }
}

function records(b: Uint8Array): readonly Announced[] {
  const found: Announced[] = [];
  let at = 8;
  for (let left = readU16(b, 6); left > 0 && at + 8 <= b.length; left--) {
    const change = RECORD[b[at]!];
    if (change) found.push({ group: formatIp(ipv4(readU32(b, at + 4))), change });
    at += 8 + 4 * readU16(b, at + 2) + 4 * b[at + 1]!;
  }
  return found;
}
