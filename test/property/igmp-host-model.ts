/**
 * Hosts as RFC 9776 section 5, RFC 2236 section 6 and RFC 1112 describe them, on one link with the router under test. Nothing
 * here knows how a router keeps its state: a host knows what it wants, reports what changes, and answers queries after a
 * delay of its own. The membership truth of the link is the union of what its hosts want.
 */
import { type BuiltRecord, leaveV2, reportV1, reportV2, reportV3 } from '../support/packet-builder.js';
import type { Bed } from '../unit/igmp/bed.js';

export type Version = 1 | 2 | 3;

/** EXCLUDE without sources is "everything", INCLUDE without is "nothing". Sources are addresses. */
export interface Wish {
  readonly exclude: boolean;
  readonly sources: ReadonlySet<string>;
}

const NOTHING: Wish = { exclude: false, sources: new Set() };
const EVERYTHING: Wish = { exclude: true, sources: new Set() };

const minus = (a: ReadonlySet<string>, b: ReadonlySet<string>) => new Set([...a].filter((s) => !b.has(s)));

function isMember({ exclude, sources }: Wish): boolean {
  return exclude || sources.size > 0;
}

interface Query {
  readonly group: string | undefined;
  readonly sources: readonly string[];
  readonly maxRespMs: number;
}

/** Reads a query with eyes of its own. Codes below 128 only: the router under test sends 10 s and 1 s. */
function readQuery(payload: Uint8Array): Query {
  const address = (at: number) => [...payload.subarray(at, at + 4)].join('.');
  const count = payload.length >= 12 ? payload[10]! * 256 + payload[11]! : 0;
  return {
    group: address(4) === '0.0.0.0' ? undefined : address(4),
    sources: Array.from({ length: count }, (_, n) => address(12 + 4 * n)),
    maxRespMs: payload[1]! * 100,
  };
}

class Host {
  readonly wishes = new Map<string, Wish>();
  /** v1 and v2: groups of which this host was the last to report (RFC 2236 section 6). */
  readonly wasLast = new Set<string>();
  /** v1 and v2: answers that are due, by group, and when; a report of another host takes them away. */
  readonly due = new Map<string, { readonly atMs: number; cancel(): void }>();

  constructor(
    readonly link: HostLink,
    readonly address: string,
    public version: Version,
    /** Of the response time, 0 to below 1. */
    readonly delay: number,
  ) {}

  wish(group: string): Wish {
    return this.wishes.get(group) ?? NOTHING;
  }

  /** What the host wants from now on; before version 3 there is only all or nothing. */
  want(group: string, wanted: Wish): void {
    const old = this.wish(group);
    const now = this.version === 3 ? wanted : isMember(wanted) ? EVERYTHING : NOTHING;
    this.wishes.set(group, now);
    if (this.version === 3) this.#send(changeRecords(group, old, now));
    else if (isMember(now) && !isMember(old)) this.#report(group);
    else if (!isMember(now) && isMember(old)) this.#leave(group);
  }

  /** Becomes a host of another version, and says what it wants in its words. */
  become(version: Version): void {
    if (version === this.version) return;
    for (const timer of this.due.values()) timer.cancel();
    this.due.clear();
    this.version = version;
    for (const [group, wish] of this.wishes) {
      if (!isMember(wish)) continue;
      if (version === 3) this.#send([currentState(group, wish)]);
      else {
        this.wishes.set(group, EVERYTHING);
        this.#report(group);
      }
    }
  }

  hears(query: Query): void {
    const delayMs = Math.floor(this.delay * query.maxRespMs);
    if (this.version === 3) {
      this.link.bed.clock.after(delayMs, () => this.#answer(query));
      return;
    }
    // A host of version 1 knows General Queries only.
    if (this.version === 1 && query.group !== undefined) return;
    for (const [group, wish] of this.wishes)
      if (isMember(wish) && (query.group ?? group) === group && this.#isHastened(group, query))
        this.#reportLater(group, delayMs);
  }

  /**
   * An answer that is pending already is chosen anew when the query wants it sooner (RFC 2236 section 3). A host of version 1
   * knows no such times (RFC 1112 appendix I).
   */
  #isHastened(group: string, { maxRespMs }: Query): boolean {
    const pending = this.due.get(group);
    if (pending === undefined) return true;
    return this.version === 2 && maxRespMs < pending.atMs - this.link.bed.clock.nowMs();
  }

  #answer({ group, sources }: Query): void {
    if (this.version !== 3) return;
    const groups = group === undefined ? [...this.wishes.keys()] : [group];
    this.#send(groups.flatMap((one) => answerOf(one, this.wish(one), sources)));
  }

  #reportLater(group: string, delayMs: number): void {
    const { clock } = this.link.bed;
    this.due.get(group)?.cancel();
    const timer = clock.after(delayMs, () => {
      this.due.delete(group);
      if (isMember(this.wish(group))) this.#report(group);
    });
    this.due.set(group, { atMs: clock.nowMs() + delayMs, cancel: () => timer.cancel() });
  }

  #report(group: string): void {
    this.wasLast.add(group);
    this.link.olderReport(this, group);
    const report = this.version === 1 ? reportV1(group) : reportV2(group);
    this.link.bed.hear(report, { from: this.address, to: group });
  }

  #leave(group: string): void {
    this.due.get(group)?.cancel();
    this.due.delete(group);
    const last = this.wasLast.delete(group);
    if (this.version === 2 && last) this.link.bed.hear(leaveV2(group), { from: this.address, to: '224.0.0.2' });
  }

  #send(records: readonly BuiltRecord[]): void {
    if (records.length > 0) this.link.bed.hear(reportV3(...records), { from: this.address });
  }
}

/** RFC 9776 section 5.1. */
function changeRecords(group: string, old: Wish, now: Wish): readonly BuiltRecord[] {
  const record = (type: number, sources: ReadonlySet<string>) => ({ type, group, sources: [...sources] });
  if (old.exclude !== now.exclude) return [record(now.exclude ? 4 : 3, now.sources)];
  const more = minus(now.sources, old.sources);
  const fewer = minus(old.sources, now.sources);
  const records = now.exclude ? [record(5, fewer), record(6, more)] : [record(5, more), record(6, fewer)];
  return records.filter(({ sources }) => sources.length > 0);
}

function currentState(group: string, { exclude, sources }: Wish): BuiltRecord {
  return { type: exclude ? 2 : 1, group, sources: [...sources] };
}

/** RFC 9776 section 5.2: about some sources only those are named that are wanted. */
function answerOf(group: string, wish: Wish, asked: readonly string[]): readonly BuiltRecord[] {
  if (!isMember(wish)) return [];
  if (asked.length === 0) return [currentState(group, wish)];
  const named = asked.filter((s) => wish.sources.has(s) !== wish.exclude);
  return named.length > 0 ? [{ type: 1, group, sources: named }] : [];
}

/** All hosts of the router's link. */
export class HostLink {
  readonly hosts: Host[] = [];

  constructor(readonly bed: Bed) {
    const send = bed.wire.send.bind(bed.wire);
    bed.wire.send = (ifindex, source, destination, payload) => {
      const query = readQuery(payload);
      for (const host of this.hosts) host.hears(query);
      return send(ifindex, source, destination, payload);
    };
  }

  add(version: Version, delay: number): Host {
    const host = new Host(this, `10.0.0.${100 + this.hosts.length}`, version, delay);
    this.hosts.push(host);
    return host;
  }

  /** Another router asks everybody, the one under test as well. */
  asks(from: string, payload: Uint8Array): void {
    this.bed.hearQuery(payload, from);
    const query = readQuery(payload);
    for (const host of this.hosts) host.hears(query);
  }

  /** Hosts of versions 1 and 2 that hear it need not say it again; one of version 1 does not know the reports of version 2. */
  olderReport(by: Host, group: string): void {
    for (const host of this.hosts) {
      if (host === by || host.version === 3 || host.version < by.version) continue;
      host.due.get(group)?.cancel();
      host.due.delete(group);
      host.wasLast.delete(group);
    }
  }

  /** The truth: somebody wants it. */
  wanted(group: string, source: string): boolean {
    return this.hosts.some((host) => {
      const { exclude, sources } = host.wish(group);
      return sources.has(source) !== exclude;
    });
  }
}
