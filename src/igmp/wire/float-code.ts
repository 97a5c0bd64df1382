/**
 * The 8-bit floating-point code of Max Resp Code and QQIC in IGMPv3 queries (RFC 9776 sections 4.1.1 and 4.1.7;
 * igmp.md section 3): values below 128 stand for themselves, others are 1.mmmm times a power of two.
 */

/** The largest value the code can carry. */
export const FLOAT_CODE_MAX = 31744;

/** `code`: 0..255. Returns 0..31744, in the unit of the field. */
export function decodeFloat(code: number): number {
  if (code < 128) return code;
  return ((code & 0x0f) | 0x10) << (((code >> 4) & 7) + 3);
}

/** The code of `value` (an integer >= 0), or of the next lower value that has one (RFC 9776 section 8.8). */
export function encodeFloat(value: number): number {
  if (value < 128) return value;
  if (value > FLOAT_CODE_MAX) return 0xff;
  let exponent = 0;
  while (value >> (exponent + 3) > 31) exponent++;
  return 0x80 | (exponent << 4) | ((value >> (exponent + 3)) & 0x0f);
}
