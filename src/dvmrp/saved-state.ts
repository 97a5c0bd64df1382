/**
 * What an earlier life of this router knew, so that a restart of the process is no restart of the router: its neighbours keep
 * it two-way, with the same generation id, and need not tell anything again. Written as plain JSON values, with times as
 * what is left of them; read as something a stranger may have written, in which whatever does not fit is left out.
 *
 * Not saved: what the configuration, the links or IGMP say anyway (own networks, the default route, local members), offers
 * that wait for the end of a hold-down (told again in time), neighbours that are refused.
 */
import { type Fields, fieldsOf } from '../base/fields.js';
import { type IpAddress, isMulticast, isUnicast, parseIp, parsePrefix, type Prefix } from '../base/ip.js';
import type { UpstreamState } from './trees/graft-state.js';
import type { NeighborState } from './neighbors/neighbor-fsm.js';
import { INFINITY } from './wire/report.js';

export const FORMAT = 1;

/** Times are those of this life's clock. */
export interface SavedNeighbor {
  readonly address: IpAddress;
  readonly state: Exclude<NeighborState, 'none' | 'refused'>;
  readonly generationId: number | undefined;
  readonly major: number;
  readonly minor: number;
  readonly capabilities: number;
  readonly sinceMs: number;
  readonly upSinceMs: number;
  readonly expiryMs: number;
}

export interface SavedLink {
  readonly name: string;
  readonly address: IpAddress;
  readonly generationId: number;
  readonly neighbors: readonly SavedNeighbor[];
}

/** A router by the name of the link it is on: numbers of interfaces may change. */
export interface SavedPeer {
  readonly link: string;
  readonly address: IpAddress;
}

export interface SavedDependent extends SavedPeer {
  readonly expiryMs: number;
}

export interface SavedOffer extends SavedPeer {
  readonly metric: number;
}

export interface SavedPrune extends SavedPeer {
  readonly host: IpAddress | undefined;
  readonly expiresMs: number;
}

/** What was asked of the upstream router. */
export interface SavedRequest {
  readonly state: Exclude<UpstreamState, 'none'>;
  readonly source: IpAddress;
  /** Infinite while grafting. */
  readonly expiresMs: number;
}

export interface SavedBranch {
  readonly group: IpAddress;
  readonly received: readonly SavedPrune[];
  readonly asked: SavedRequest | undefined;
}

export interface SavedRoute {
  readonly prefix: Prefix;
  /** Undefined: not learned from a neighbour. */
  readonly from: SavedPeer | undefined;
  /** As the neighbour told it, 1..31. */
  readonly metric: number;
  readonly held: boolean;
  readonly timerMs: number;
  readonly offers: readonly SavedOffer[];
  readonly dependents: readonly SavedDependent[];
  readonly branches: readonly SavedBranch[];
}

/** Where the round of full Reports was. */
export interface SavedRound {
  readonly part: number;
  readonly upTo: Prefix | undefined;
  readonly done: boolean;
  readonly dueMs: number;
}

export interface SavedState {
  /** Nothing has happened since: it is what the earlier life left, not what it noted some time before it crashed. */
  readonly leaving: boolean;
  readonly links: readonly SavedLink[];
  readonly routes: readonly SavedRoute[];
  readonly round: SavedRound | undefined;
  /** Parts that did not fit and were left out. */
  readonly odd: number;
}

/** `savedAtMs`: when it was saved, by this life's clock (before its start, perhaps negative). */
export function readState(value: unknown, savedAtMs: number): SavedState {
  return new Reader(savedAtMs).state(value);
}

/** Methods give undefined for what does not fit. */
class Reader {
  readonly #savedAtMs: number;
  #odd = 0;

  constructor(savedAtMs: number) {
    this.#savedAtMs = savedAtMs;
  }

  state(value: unknown): SavedState {
    const { format, leaving, links, routes, parts, round } = fieldsOf(value) ?? {};
    if (format !== FORMAT) return { leaving: false, links: [], routes: [], round: undefined, odd: 1 };
    const read = {
      leaving: leaving === true,
      links: this.#list(links, (one) => this.#link(one)),
      routes: [...this.#list(routes, (one) => this.#route(one)), ...this.#list(parts, (one) => this.#part(one)).flat()],
      round: this.#round(fieldsOf(round)),
    };
    return { ...read, odd: this.#odd };
  }

  #list<T>(value: unknown, read: (fields: Fields) => T | undefined): readonly T[] {
    if (!Array.isArray(value)) {
      if (value !== undefined) this.#odd++;
      return [];
    }
    return value.flatMap((one: unknown) => {
      const fields = fieldsOf(one);
      const item = fields && read(fields);
      if (item === undefined) this.#odd++;
      return item === undefined ? [] : [item];
    });
  }

  /** Routes that were written some time before the rest. */
  #part({ ageMs, text }: Fields): readonly SavedRoute[] | undefined {
    const routes = typeof text === 'string' ? listIn(text) : undefined;
    if (typeof ageMs !== 'number' || !(ageMs >= 0) || !routes) return undefined;
    const reader = new Reader(this.#savedAtMs - ageMs);
    const read = reader.#list(routes, (one) => reader.#route(one));
    this.#odd += reader.#odd;
    return read;
  }

  /** What is left of a time, as the moment when it ends. */
  #until(leftMs: unknown): number | undefined {
    return typeof leftMs === 'number' && Number.isFinite(leftMs) ? this.#savedAtMs + leftMs : undefined;
  }

  #link({ name, address, generationId, neighbors }: Fields): SavedLink | undefined {
    const own = addressOf(address);
    if (typeof name !== 'string' || own === undefined || !isU32(generationId)) return undefined;
    return { name, address: own, generationId, neighbors: this.#list(neighbors, (one) => this.#neighbor(one)) };
  }

  #neighbor(fields: Fields): SavedNeighbor | undefined {
    const { state, generationId, major, minor, capabilities } = fields;
    const address = addressOf(fields['address']);
    const expiryMs = this.#until(fields['expiresInMs']);
    const octets = isOctet(major) && isOctet(minor) && isOctet(capabilities);
    if (address === undefined || expiryMs === undefined || !octets || !isNeighborState(state)) return undefined;
    if (generationId !== undefined && !isU32(generationId)) return undefined;
    const sinceMs = this.#since(fields['sinceMs']);
    const upSinceMs = this.#since(fields['upSinceMs']);
    return { address, state, generationId, major, minor, capabilities, sinceMs, upSinceMs, expiryMs };
  }

  #since(ageMs: unknown): number {
    return this.#until(typeof ageMs === 'number' ? -ageMs : 0) ?? this.#savedAtMs;
  }

  #route(fields: Fields): SavedRoute | undefined {
    const prefix = prefixOf(fields['prefix']);
    const from = fields['from'] === undefined ? undefined : peerOf(fieldsOf(fields['from']) ?? {});
    const learned = fields['from'] !== undefined;
    const metric = learned ? metricOf(fields['metric']) : 1;
    const timerMs = learned ? this.#until(fields['expiresInMs']) : Number.POSITIVE_INFINITY;
    if (!prefix || (learned && !from) || metric === undefined || timerMs === undefined) return undefined;
    return {
      prefix,
      from,
      metric,
      held: fields['held'] === true,
      timerMs,
      offers: this.#list(fields['offers'], (one) => offerOf(one)),
      dependents: this.#list(fields['dependents'], (one) => this.#dependent(one)),
      branches: this.#list(fields['branches'], (one) => this.#branch(one)),
    };
  }

  #dependent(fields: Fields): SavedDependent | undefined {
    const peer = peerOf(fields);
    const expiryMs = this.#until(fields['expiresInMs']);
    return peer && expiryMs !== undefined ? { ...peer, expiryMs } : undefined;
  }

  #branch({ group, received, asked }: Fields): SavedBranch | undefined {
    const to = addressOf(group, isMulticast);
    if (to === undefined) return undefined;
    const [request] = asked === undefined ? [] : this.#list([asked], (one) => this.#request(one));
    return { group: to, received: this.#list(received, (one) => this.#prune(one)), asked: request };
  }

  #prune(fields: Fields): SavedPrune | undefined {
    const peer = peerOf(fields);
    const expiresMs = this.#until(fields['expiresInMs']);
    const host = addressOf(fields['host']);
    if (!peer || expiresMs === undefined || (fields['host'] !== undefined && host === undefined)) return undefined;
    return { ...peer, host, expiresMs };
  }

  #request({ state, source, expiresInMs }: Fields): SavedRequest | undefined {
    const from = addressOf(source);
    if (from === undefined) return undefined;
    if (state === 'grafting') return { state, source: from, expiresMs: Number.POSITIVE_INFINITY };
    const expiresMs = this.#until(expiresInMs);
    return state === 'pruned' && expiresMs !== undefined ? { state, source: from, expiresMs } : undefined;
  }

  #round(fields: Fields | undefined): SavedRound | undefined {
    if (!fields) return undefined;
    const { part, upTo, done } = fields;
    const dueMs = this.#until(fields['inMs']);
    const last = prefixOf(upTo);
    if (!isU32(part) || dueMs === undefined || (upTo !== undefined && !last)) {
      this.#odd++;
      return undefined;
    }
    return { part, upTo: last, done: done === true, dueMs };
  }
}

function listIn(text: string): readonly unknown[] | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return Array.isArray(value) ? value : undefined;
  } catch {
    return undefined;
  }
}

function addressOf(value: unknown, fits: (address: IpAddress) => boolean = isUnicast): IpAddress | undefined {
  const parsed = typeof value === 'string' ? parseIp(value) : undefined;
  return parsed?.ok && fits(parsed.value) ? parsed.value : undefined;
}

function prefixOf(value: unknown): Prefix | undefined {
  const parsed = typeof value === 'string' ? parsePrefix(value) : undefined;
  return parsed?.ok ? parsed.value : undefined;
}

function peerOf({ link, address }: Fields): SavedPeer | undefined {
  const at = addressOf(address);
  return typeof link === 'string' && at !== undefined ? { link, address: at } : undefined;
}

function offerOf(fields: Fields): SavedOffer | undefined {
  const peer = peerOf(fields);
  const metric = metricOf(fields['metric']);
  return peer && metric !== undefined ? { ...peer, metric } : undefined;
}

function metricOf(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isInteger(value) && value >= 1 && value < INFINITY ? value : undefined;
}

function isU32(value: unknown): value is number {
  return typeof value === 'number' && Number.isInteger(value) && value >= 0 && value <= 0xffff_ffff;
}

function isOctet(value: unknown): value is number {
  return isU32(value) && value <= 255;
}

function isNeighborState(value: unknown): value is SavedNeighbor['state'] {
  return value === 'one-way' || value === 'two-way' || value === 'compat';
}
