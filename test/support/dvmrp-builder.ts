/**
 * DVMRP messages for tests, put together from text and lists. Shares no code with src/dvmrp: one mistake must not hide in
 * both. Addresses are dotted text, prefixes "10.1.0.0/24", metrics and lifetimes as they stand in the packet.
 */
import { withChecksum } from './packet-builder.js';

export interface BuiltHeader {
  readonly capabilities?: number;
  /** "3.255" */
  readonly version?: string;
}

export function dvmrp(code: number, body: readonly number[], header: BuiltHeader = {}): Uint8Array {
  const { capabilities = 0, version = '3.255' } = header;
  const [major = 3, minor = 255] = version.split('.').map(Number);
  return withChecksum([0x13, code, 0, 0, 0, capabilities, minor, major, ...body]);
}

export function probe(generationId: number, heard: readonly string[] = [], header: BuiltHeader = {}): Uint8Array {
  return dvmrp(1, [...long(generationId), ...heard.flatMap(octets)], { capabilities: 0x2e, ...header });
}

/** [prefix, metric] pairs of one mask each; equal neighbours in the list share a list of the message. */
export function report(routes: readonly (readonly [string, number])[], header: BuiltHeader = {}): Uint8Array {
  const lists: { readonly maskOctets: number[]; readonly pairs: number[][] }[] = [];
  let open = '';
  for (const [prefix, metric] of routes) {
    const [network = '', lengthText = ''] = prefix.split('/');
    if (lengthText !== open) lists.push({ maskOctets: maskText(Number(lengthText)).slice(1), pairs: [] });
    open = lengthText;
    const width = Math.max(1, Math.ceil(Number(lengthText) / 8));
    lists.at(-1)!.pairs.push([...octets(network).slice(0, width), metric]);
  }
  const body = lists.flatMap(({ maskOctets, pairs }) => {
    const last = pairs.at(-1)!;
    last.push(last.pop()! + 128);
    return [...maskOctets, ...pairs.flat()];
  });
  return dvmrp(2, body, header);
}

export function prune(source: string, group: string, lifetimeSec: number, mask?: string): Uint8Array {
  return dvmrp(7, [...octets(source), ...octets(group), ...long(lifetimeSec), ...(mask ? octets(mask) : [])]);
}

export function graft(source: string, group: string, mask?: string): Uint8Array {
  return dvmrp(8, [...octets(source), ...octets(group), ...(mask ? octets(mask) : [])]);
}

export function graftAck(source: string, group: string, mask?: string): Uint8Array {
  return dvmrp(9, [...octets(source), ...octets(group), ...(mask ? octets(mask) : [])]);
}

export function octets(address: string): number[] {
  return address.split('.').map(Number);
}

function maskText(length: number): number[] {
  // the default route goes with the shortest mask
  const bits = '1'.repeat(length).padEnd(32, '0');
  return [0, 8, 16, 24].map((at) => Number.parseInt(bits.slice(at, at + 8), 2));
}

function long(value: number): number[] {
  return [24, 16, 8, 0].map((shift) => Math.floor(value / 2 ** shift) % 256);
}
