/** Enumeration of joined groups (manager.md sections 2.15 to 2.17, D-ENUM-3, D-ENUM-4) and paging (D-ENUM-1). */
import { ANY4, isAny } from '../../base/ip.js';
import type { EnumerationType, MaskedKey, MembershipKey, MfePage, MgmStatus } from '../client.js';
import { ALL_ONES, DONE, hostMask, invalid, status } from '../keys.js';
import { type Client, isStale, type KeyRecord } from '../state.js';
import type { MembershipTable } from '../tables.js';

const MAX_LIMIT = 1000;
/** No source is greater. */
const LAST = ALL_ONES;

/** What is wrong with a page size: 0 is "nothing fits". */
export function limitProblem(limit: number): MgmStatus | undefined {
  if (limit === 0) return status('ERROR_INSUFFICIENT_BUFFER', 'badLimit', 'a page holds at least one entry');
  if (!Number.isInteger(limit) || limit < 0 || limit > MAX_LIMIT)
    return invalid('badLimit', `a page holds 1 to ${MAX_LIMIT} entries, not ${limit}`);
  return undefined;
}

interface Running {
  readonly client: Client;
  readonly type: EnumerationType;
  /** Serial number of the newest record at the start. What comes later is left out, or an enumeration might never end. */
  readonly newest: number;
  /** The last one that was looked at; undefined: none yet. */
  at: MembershipKey | undefined;
}

export class Enumerations {
  readonly #memberships: MembershipTable;
  readonly #running = new Map<number, Running>();
  #last = 0;

  constructor(memberships: MembershipTable) {
    this.#memberships = memberships;
  }

  start(client: Client, type: EnumerationType): MgmStatus & { readonly enumeration?: number } {
    if (type !== 'ALL_SOURCES' && type !== 'ANY_SOURCE') return invalid('badType');
    this.#running.set(++this.#last, { client, type, newest: this.#memberships.serial, at: undefined });
    return { ...DONE, enumeration: this.#last };
  }

  /** The last page says NO_MORE_ITEMS even when it carries entries. What is joined all the time comes once (D-ENUM-4). */
  next(enumeration: number, limit: number): MfePage<Required<MaskedKey>> {
    const running = this.#running.get(enumeration);
    if (!running) return { ...invalid('badHandle'), items: [] };
    const problem = limitProblem(limit);
    if (problem) return { ...problem, items: [] };
    const items: Required<MaskedKey>[] = [];
    let row = this.#rowAfter(running, running.at);
    for (; row && items.length < limit; row = this.#rowAfter(running, row)) {
      items.push(masked(running.type === 'ALL_SOURCES' ? row : { source: ANY4, group: row.group }));
      running.at = row;
    }
    return { code: row ? 'ERROR_MORE_DATA' : 'ERROR_NO_MORE_ITEMS', items };
  }

  end(enumeration: number): MgmStatus {
    return this.#running.delete(enumeration) ? DONE : invalid('badHandle');
  }

  /** A client that deregisters or dies has no open enumerations (D-REG-3). */
  endAllOf(client: Client): void {
    for (const [enumeration, running] of this.#running)
      if (running.client === client) this.#running.delete(enumeration);
  }

  /** The next key that is joined; for ANY_SOURCE the next group that a source of is joined. */
  #rowAfter({ type, newest }: Running, at: MembershipKey | undefined): MembershipKey | undefined {
    const sourcesOnly = type === 'ANY_SOURCE';
    const fits = (one: KeyRecord) => one.serial <= newest && isJoined(one) && !(sourcesOnly && isAny(one.source));
    let record = this.#memberships.after(at && sourcesOnly ? { source: LAST, group: at.group } : at);
    while (record && !fits(record)) record = this.#memberships.after(record);
    return record;
  }
}

function isJoined({ members }: KeyRecord): boolean {
  return members.some((member) => !isStale(member));
}

function masked({ source, group }: MembershipKey): Required<MaskedKey> {
  return { source, group, sourceMask: hostMask(source), groupMask: isAny(group) ? ANY4 : ALL_ONES };
}
