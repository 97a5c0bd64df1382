/**
 * How a group record changes a group: tables 7.1 and 7.2 of igmp.md (RFC 9776 sections 6.4.1 and 6.4.2) as data, and the
 * one function that applies a row. A (INCLUDE) and X (EXCLUDE) are the wanted sources, Y the refused ones.
 */
import type { IpAddress } from '../../base/ip.js';
import type { SourceReader } from './admission.js';
import type { Group, MembershipChanges, Mode, Source } from './group.js';
import { WAITING } from '../queries/group-queries.js';
import { RECORD, type RecordType, readSource } from '../wire/packet.js';

/**
 * What happens to a source of one class.
 * - keep:    nothing; of a source without a record: none is made
 * - refresh: its timer is set to GMI
 * - refuse:  a record with timer 0 (it enters Y)
 * - ask:     Q(G,S); a source without a record first gets one with the timer the group has
 * - drop:    its record is deleted
 */
export type Cell = 'keep' | 'refresh' | 'refuse' | 'ask' | 'drop';

export interface Row {
  readonly next: Mode;
  /** Sources in the record: those wanted, those refused, those without a record. */
  readonly listedWanted: Cell;
  readonly listedRefused: Cell;
  readonly listedNew: Cell;
  /** Sources not in the record. */
  readonly otherWanted: Cell;
  readonly otherRefused: Cell;
  /** The group timer, set after everything else. */
  readonly timer: 'keep' | 'refresh';
  readonly askGroup: boolean;
}

function row(
  next: Mode,
  [listedWanted, listedRefused, listedNew]: readonly [Cell, Cell, Cell],
  [otherWanted, otherRefused]: readonly [Cell, Cell],
  timer: 'keep' | 'refresh',
  askGroup = false,
): Row {
  return { next, listedWanted, listedRefused, listedNew, otherWanted, otherRefused, timer, askGroup };
}

/** One line per row of the RFC's tables. INCLUDE has no refused sources, so those cells say 'keep' there. */
export const TABLE: { readonly [M in Mode]: { readonly [T in RecordType]: Row } } = {
  //                         state after   in the record: wanted, refused, new     not in it: wanted, refused   group timer
  include: {
    [RECORD.isIn]: row('include', ['refresh', 'keep', 'refresh'], ['keep', 'keep'], 'keep'),
    [RECORD.isEx]: row('exclude', ['keep', 'keep', 'refuse'], ['drop', 'keep'], 'refresh'),
    [RECORD.allow]: row('include', ['refresh', 'keep', 'refresh'], ['keep', 'keep'], 'keep'),
    [RECORD.block]: row('include', ['ask', 'keep', 'keep'], ['keep', 'keep'], 'keep'),
    [RECORD.toEx]: row('exclude', ['ask', 'keep', 'refuse'], ['drop', 'keep'], 'refresh'),
    [RECORD.toIn]: row('include', ['refresh', 'keep', 'refresh'], ['ask', 'keep'], 'keep'),
  },
  exclude: {
    [RECORD.isIn]: row('exclude', ['refresh', 'refresh', 'refresh'], ['keep', 'keep'], 'keep'),
    [RECORD.isEx]: row('exclude', ['keep', 'keep', 'refresh'], ['drop', 'drop'], 'refresh'),
    [RECORD.allow]: row('exclude', ['refresh', 'refresh', 'refresh'], ['keep', 'keep'], 'keep'),
    [RECORD.block]: row('exclude', ['ask', 'keep', 'ask'], ['keep', 'keep'], 'keep'),
    [RECORD.toEx]: row('exclude', ['ask', 'keep', 'ask'], ['drop', 'drop'], 'refresh'),
    [RECORD.toIn]: row('exclude', ['refresh', 'refresh', 'refresh'], ['ask', 'keep'], 'keep', true),
  },
};

/** What applying a record needs to know and whom it tells; one object per interface, brought up to date per message. */
export interface RecordEnv {
  readonly nowMs: number;
  readonly gmiMs: number;
  /** Who sent the record. */
  readonly host: IpAddress;
  readonly changes: MembershipChanges;
  readonly readSource: SourceReader;
  /** Lowers the timer of the source to LMQT and has Q(G,S) sent, when this router is querier. */
  askSource(group: Group, source: Source): void;
  /** The same for Q(G). */
  askGroup(group: Group): void;
  /** A timer of the group was set to this time. */
  timerSet(group: Group, expiryMs: number): void;
  /** Whether there is room for one more source of the group, which is taken then; the lack of it is told. */
  takeSource(group: Group): boolean;
  /** A source is not stored any more. */
  giveBackSource(source: Source): void;
}

/** The sources of a record, still on the wire: `count` addresses of four bytes from `at` on. */
export interface WireSources {
  readonly bytes: Uint8Array;
  readonly at: number;
  readonly count: number;
}

/** How many of the sources count: a host can send from them (igmp.md section 13.4), and may name them. */
export function countUsable(wire: WireSources, readSource: SourceReader): number {
  let usable = 0;
  for (let n = 0; n < wire.count; n++) if (readSource(wire.bytes, wire.at + 4 * n) !== undefined) usable++;
  return usable;
}

/** True when an absent group, INCLUDE({}), would stay what it is: nothing is to be created then. */
export function leavesNothing(type: RecordType, usable: number): boolean {
  const row = TABLE.include[type];
  return row.next === 'include' && (usable === 0 || row.listedNew === 'keep');
}

const NONE: readonly IpAddress[] = [];

/** Applies one record. `serial` differs from that of the records before; duplicates in the list count once. */
export function applyRecord(group: Group, type: RecordType, wire: WireSources, serial: number, env: RecordEnv): void {
  const row = TABLE[group.mode][type];
  const flips = row.next !== group.mode;
  const wantedBefore = flips && group.sources !== undefined ? [...group.sources.keys()] : NONE;
  group.mode = row.next;
  if (wire.count > 0) applyToListed(group, row, wire, serial, env);
  if (group.sources !== undefined) applyToOthers(group, row, serial, env);
  if (wire.count > 0 && row.listedNew !== 'keep') applyToNew(group, row.listedNew, wire, serial, flips, env);
  if (flips) tellExclude(group, wantedBefore, env.changes);
  if (row.timer === 'refresh') {
    group.timerMs = env.nowMs + env.gmiMs;
    if (group.queriesLeft === WAITING) group.queriesLeft = 0;
    env.timerSet(group, group.timerMs);
  }
  if (row.askGroup) env.askGroup(group);
}

/**
 * Refusals first: whoever decides for the interface knows them when it is asked at the join, so that not one packet of a
 * refused source leaves. Then (*,G), then the (S,G) go: no gap (igmp.md section 16).
 */
function tellExclude(group: Group, wantedBefore: readonly IpAddress[], changes: MembershipChanges): void {
  if (group.sources !== undefined)
    for (const source of group.sources.values())
      if (source.expiryMs === 0) changes.refuseSource(group.address, source.address);
  changes.joinGroup(group.address);
  for (const source of wantedBefore) changes.leaveSource(group.address, source);
}

function applyToListed(group: Group, row: Row, wire: WireSources, serial: number, env: RecordEnv): void {
  if (group.sources === undefined) return;
  for (let n = 0; n < wire.count; n++) {
    const address = env.readSource(wire.bytes, wire.at + 4 * n);
    const source = address === undefined ? undefined : group.sources.get(address);
    if (source === undefined || source.seenIn === serial) continue;
    source.seenIn = serial;
    act(source.expiryMs === 0 ? row.listedRefused : row.listedWanted, group, source, env);
  }
}

/** Before the new ones, so that what is deleted makes room for them. */
function applyToOthers(group: Group, row: Row, serial: number, env: RecordEnv): void {
  if (row.otherWanted === 'keep' && row.otherRefused === 'keep') return;
  for (const source of group.sources!.values())
    if (source.seenIn !== serial) act(source.expiryMs === 0 ? row.otherRefused : row.otherWanted, group, source, env);
}

/**
 * `flips`: routing is told at the end. A source without room is not forwarded in INCLUDE, and in EXCLUDE it is, also where every
 * member refuses it: more rather than nothing (igmp.md section 17.2).
 */
function applyToNew(group: Group, cell: Cell, wire: WireSources, serial: number, flips: boolean, env: RecordEnv): void {
  group.sources ??= new Map();
  for (let n = 0; n < wire.count; n++) {
    const address = env.readSource(wire.bytes, wire.at + 4 * n);
    if (address === undefined || group.sources.has(address)) continue;
    if (!env.takeSource(group)) return;
    add(cell, group, address, serial, flips, env);
  }
}

function act(cell: Cell, group: Group, source: Source, env: RecordEnv): void {
  if (cell === 'ask') return env.askSource(group, source);
  if (cell === 'refresh') {
    if (source.expiryMs === 0) env.changes.allowSource(group.address, source.address);
    source.expiryMs = env.nowMs + env.gmiMs;
    if (source.queriesLeft === WAITING) source.queriesLeft = 0;
    env.timerSet(group, source.expiryMs);
  } else if (cell === 'drop') {
    if (source.expiryMs === 0) env.changes.allowSource(group.address, source.address);
    group.sources!.delete(source.address);
    env.giveBackSource(source);
  }
}

function add(cell: Cell, group: Group, address: IpAddress, serial: number, flips: boolean, env: RecordEnv): void {
  const expiryMs = cell === 'refuse' ? 0 : cell === 'ask' ? group.timerMs : env.nowMs + env.gmiMs;
  const source = { address, expiryMs, queriesLeft: 0, nextQueryMs: 0, seenIn: serial, host: env.host };
  group.sources!.set(address, source);
  if (group.mode === 'include') env.changes.joinSource(group.address, address);
  if (cell === 'refuse') {
    if (!flips) env.changes.refuseSource(group.address, address);
    return;
  }
  env.timerSet(group, expiryMs);
  if (cell === 'ask') env.askSource(group, source);
}

/** What fast leave acts on: v2 leave and TO_IN({}), or BLOCK of every INCLUDE source (igmp.md section 12.1). */
export function leavesAltogether(group: Group, type: RecordType, wire: WireSources): boolean {
  if (type === RECORD.toIn) return wire.count === 0;
  if (type !== RECORD.block || group.mode !== 'include') return false;
  const blocked = new Set<IpAddress>();
  for (let n = 0; n < wire.count; n++) {
    const source = readSource(wire.bytes, wire.at + 4 * n);
    if (source !== undefined && group.sources?.has(source)) blocked.add(source);
  }
  return blocked.size === group.sourceCount;
}
