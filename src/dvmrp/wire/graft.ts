/** The Graft and Graft-Ack messages (dvmrp.md section 11.1): a prune is taken back, and the upstream says it has heard. */
import { readU32, writeU32 } from '../../base/bytes.js';
import { type IpAddress, ipv4, isMulticast, toU32 } from '../../base/ip.js';
import { err, ok, type Result } from '../../base/result.js';
import { type CODE, type DecodeError, optionalMask, sealed, tooShort, writeHeader } from './header.js';

const SOURCE_AT = 8;
const GROUP_AT = 12;
/** Length without a mask. */
export const GRAFT_LENGTH = 16;

export interface Graft {
  readonly source: IpAddress;
  readonly group: IpAddress;
  /** Of the source network; undefined when the message has none. An acknowledgement repeats what the graft had. */
  readonly mask: IpAddress | undefined;
}

/** Decodes a checked Graft or Graft-Ack. What stands behind the mask is ignored. */
export function decodeGraft(b: Uint8Array): Result<Graft, DecodeError> {
  if (b.length < GRAFT_LENGTH) return err(tooShort(b, GRAFT_LENGTH));
  const group = ipv4(readU32(b, GROUP_AT));
  if (!isMulticast(group)) return err({ kind: 'badGroup', group });
  const mask = optionalMask(b, GRAFT_LENGTH);
  return ok({ source: ipv4(readU32(b, SOURCE_AT)), group, mask: mask === undefined ? undefined : ipv4(mask) });
}

/** Writes a Graft or Graft-Ack, 16 bytes or with a mask 20. Returns the length. */
export function encodeGraft(
  out: Uint8Array,
  code: typeof CODE.graft | typeof CODE.graftAck,
  { source, group, mask }: Graft,
): number {
  writeHeader(out, code);
  writeU32(out, SOURCE_AT, toU32(source));
  writeU32(out, GROUP_AT, toU32(group));
  if (mask === undefined) return sealed(out, GRAFT_LENGTH);
  writeU32(out, GRAFT_LENGTH, toU32(mask));
  return sealed(out, GRAFT_LENGTH + 4);
}
