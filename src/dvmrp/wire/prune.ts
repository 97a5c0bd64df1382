/** The Prune message (dvmrp.md section 10.1): no more of this group from this source network, for so long. */
import { readU32, writeU32 } from '../../base/bytes.js';
import { type IpAddress, ipv4, isMulticast, toU32 } from '../../base/ip.js';
import { err, ok, type Result } from '../../base/result.js';
import { CODE, type DecodeError, optionalMask, sealed, tooShort, writeHeader } from './header.js';

const SOURCE_AT = 8;
const GROUP_AT = 12;
const LIFETIME_AT = 16;
/** Length without a mask. */
export const PRUNE_LENGTH = 20;

/** Lifetimes up to this are not worth their state: mrouted ignores them, and so do we. */
export const SHORTEST_LIFETIME_MS = 5000;

export interface Prune {
  /** The host that sent the data; mrouted puts the network's address, which is 0.0.0.0 for the default route. */
  readonly source: IpAddress;
  readonly group: IpAddress;
  /** From seconds, 0..4294967295 of them. */
  readonly lifetimeMs: number;
  /** Of the source network; undefined when the message has none. Not checked for gaps. */
  readonly mask: IpAddress | undefined;
}

/** Decodes a checked Prune. What stands behind the mask is ignored. */
export function decodePrune(b: Uint8Array): Result<Prune, DecodeError> {
  if (b.length < PRUNE_LENGTH) return err(tooShort(b, PRUNE_LENGTH));
  const group = ipv4(readU32(b, GROUP_AT));
  if (!isMulticast(group)) return err({ kind: 'badGroup', group });
  const mask = optionalMask(b, PRUNE_LENGTH);
  return ok({
    source: ipv4(readU32(b, SOURCE_AT)),
    group,
    lifetimeMs: readU32(b, LIFETIME_AT) * 1000,
    mask: mask === undefined ? undefined : ipv4(mask),
  });
}

/** Writes a Prune, 20 bytes or with a mask 24; the lifetime is rounded down to seconds. Returns the length. */
export function encodePrune(out: Uint8Array, prune: Prune): number {
  writeHeader(out, CODE.prune);
  writeU32(out, SOURCE_AT, toU32(prune.source));
  writeU32(out, GROUP_AT, toU32(prune.group));
  writeU32(out, LIFETIME_AT, Math.min(Math.floor(prune.lifetimeMs / 1000), 0xffff_ffff));
  if (prune.mask === undefined) return sealed(out, PRUNE_LENGTH);
  writeU32(out, PRUNE_LENGTH, toU32(prune.mask));
  return sealed(out, PRUNE_LENGTH + 4);
}

/** How long a received prune holds: clamped to `maxMs`; undefined when it is too short to be kept (dvmrp.md section 10.2). */
export function acceptedLifetimeMs(lifetimeMs: number, maxMs: number): number | undefined {
  return lifetimeMs <= SHORTEST_LIFETIME_MS ? undefined : Math.min(lifetimeMs, maxMs);
}
