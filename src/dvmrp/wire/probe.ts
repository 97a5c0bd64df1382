/** The Probe message (dvmrp.md section 4): who is here, since when, and whom it hears. */
import { readU32, writeU32 } from '../../base/bytes.js';
import { type IpAddress, ipv4, toU32 } from '../../base/ip.js';
import { err, ok, type Result } from '../../base/result.js';
import { CODE, type DecodeError, HEADER_LENGTH, OWN_CAPABILITIES, sealed, tooShort, writeHeader } from './header.js';

/** Length of a Probe that lists nobody. */
export const PROBE_LENGTH = 12;

export interface Probe {
  /** Host-order number. Compared for inequality only: mrouted writes it in the byte order of its machine. */
  readonly generationId: number;
  /** Offset of the listed addresses, to be read in place. */
  readonly neighborsAt: number;
  readonly neighborCount: number;
}

/** Decodes the body of a checked Probe of a version that has one (versions.ts). */
export function decodeProbe(b: Uint8Array): Result<Probe, DecodeError> {
  if (b.length < PROBE_LENGTH) return err(tooShort(b, PROBE_LENGTH));
  if (b.length % 4 !== 0) return err({ kind: 'malformed', at: b.length & ~3 });
  const neighborCount = (b.length - PROBE_LENGTH) / 4;
  return ok({ generationId: readU32(b, HEADER_LENGTH), neighborsAt: PROBE_LENGTH, neighborCount });
}

/** Whether the sender of the Probe hears `address`. */
export function listsNeighbor(b: Uint8Array, probe: Probe, address: IpAddress): boolean {
  const wanted = toU32(address);
  for (let n = 0; n < probe.neighborCount; n++) if (readU32(b, probe.neighborsAt + 4 * n) === wanted) return true;
  return false;
}

/** The nth address a Probe lists. */
export function probeNeighbor(b: Uint8Array, probe: Probe, n: number): IpAddress {
  return ipv4(readU32(b, probe.neighborsAt + 4 * n));
}

/** Writes a Probe of ours to `out`, which must hold 12 bytes and 4 per neighbour. Returns the length. */
export function encodeProbe(out: Uint8Array, generationId: number, heard: Iterable<IpAddress>): number {
  writeHeader(out, CODE.probe, OWN_CAPABILITIES);
  writeU32(out, HEADER_LENGTH, generationId);
  let at = PROBE_LENGTH;
  for (const address of heard) {
    writeU32(out, at, toU32(address));
    at += 4;
  }
  return sealed(out, at);
}
