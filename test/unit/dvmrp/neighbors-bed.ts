/** The neighbours of one interface, with everything they have done written down as words. */
import { expect } from 'vitest';
import { formatIp, ip } from '../../../src/base/ip.js';
import { decodeHeader } from '../../../src/dvmrp/wire/header.js';
import type { Neighbor } from '../../../src/dvmrp/neighbors/neighbor.js';
import { type NeighborConfig, type NeighborOutput, Neighbors } from '../../../src/dvmrp/neighbors/neighbors.js';
import { decodeProbe, probeNeighbor } from '../../../src/dvmrp/wire/probe.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import * as built from '../../support/dvmrp-builder.js';

export const OWN = '10.9.0.1';
export const N = '10.9.0.2';
const IF = 3 as Ifindex;
const DEFAULTS: NeighborConfig = {
  probeIntervalMs: 10_000,
  neighborTimeoutMs: 35_000,
  acceptCompat: false,
  allowNonPruners: false,
  forceLeaf: false,
  maxNeighbors: 64,
  neighborFilter: [],
};

/** One interface whose effects are written down as words. */
export class Bed {
  readonly said: string[] = [];
  readonly neighbors: Neighbors;
  elsewhere: string | undefined;
  nowMs = 0;

  constructor(config: Partial<NeighborConfig> = {}) {
    const word =
      (verb: string) =>
      ({ address }: Neighbor): void =>
        void this.said.push(`${verb} ${formatIp(address)}`);
    const output: NeighborOutput = {
      sendProbe: () => void this.said.push(`probe [${this.listed().join()}]`),
      neighborUp: word('up'),
      sendTable: word('table to'),
      neighborRestarted: word('restarted'),
      loseRoutes: word('lose routes of'),
      reelectForwarders: word('re-elect without'),
      flushEntries: word('flush entries from'),
      dropGrafts: word('drop grafts to'),
      dropDependencies: word('drop dependencies of'),
      leafChanged: (isLeaf) => void this.said.push(isLeaf ? 'leaf' : 'not a leaf'),
      neighborDown: word('down'),
      neighborRefused: ({ address }, why) => void this.said.push(`refused ${formatIp(address)}: ${why}`),
      dropped: (reason, source) => void this.said.push(`dropped ${reason} ${formatIp(source)}`),
      isElsewhere: (address) => address === (this.elsewhere === undefined ? undefined : ip(this.elsewhere)),
    };
    this.neighbors = new Neighbors(IF, { ...DEFAULTS, ...config }, output);
    this.neighbors.start(0, ip(OWN), 1000);
  }

  /** What a Probe of ours lists now. */
  listed(): string[] {
    const out = new Uint8Array(600);
    const message = out.subarray(0, this.neighbors.writeProbe(out));
    const probe = decodeProbe(message);
    if (!decodeHeader(message).ok || !probe.ok) throw new Error('our own Probe does not decode');
    return Array.from({ length: probe.value.neighborCount }, (_, n) =>
      formatIp(probeNeighbor(message, probe.value, n)),
    );
  }

  probe(heard: readonly string[], { from = N, generationId = 7, ...header }: ProbeOptions = {}): void {
    const message = built.probe(generationId, heard, header);
    const decoded = decodeHeader(message);
    if (!decoded.ok) throw new Error(decoded.error.kind);
    this.neighbors.heardProbe(this.nowMs, ip(from), decoded.value, message);
  }

  report(from = N, version = '3.255'): boolean {
    const decoded = decodeHeader(built.report([['10.1.0.0/16', 1]], { version }));
    if (!decoded.ok) throw new Error(decoded.error.kind);
    return this.neighbors.heardReport(this.nowMs, ip(from), decoded.value) !== undefined;
  }

  /** Moves time on, running what is due in order. */
  advance(ms: number): void {
    const untilMs = this.nowMs + ms;
    for (let dueMs = this.neighbors.nextDeadlineMs; dueMs <= untilMs; dueMs = this.neighbors.nextDeadlineMs) {
      this.nowMs = Math.max(this.nowMs, dueMs);
      this.neighbors.timeout(this.nowMs);
    }
    this.nowMs = untilMs;
  }

  state(from = N): string {
    return this.neighbors.get(ip(from))?.state ?? 'none';
  }

  /** What was said since the last time. */
  heard(): string[] {
    return this.said.splice(0);
  }
}

interface ProbeOptions extends built.BuiltHeader {
  readonly from?: string;
  readonly generationId?: number;
}

/** A neighbour that is two-way; what was said until then is forgotten. */
export function twoWay(config: Partial<NeighborConfig> = {}): Bed {
  const bed = new Bed(config);
  bed.probe([OWN]);
  expect(bed.state()).toBe('two-way');
  bed.heard();
  return bed;
}

export const LOSS = [
  `lose routes of ${N}`,
  `re-elect without ${N}`,
  `flush entries from ${N}`,
  `drop grafts to ${N}`,
  `drop dependencies of ${N}`,
  'leaf',
  `down ${N}`,
];
