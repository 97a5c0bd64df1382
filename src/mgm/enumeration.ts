/** Enumeration of joined groups (sections 2.15 to 2.17, D-ENUM-3, D-ENUM-4) and paging (D-ENUM-1). */
import { ANY4, isAny } from '../base/ip.js';
import type { EnumerationType, MaskedKey, MembershipKey, MfePage, MgmStatus } from './client.js';
import { ALL_ONES, DONE, hostMask, invalid, status } from './keys.js';
import { type Client, isStale } from './state.js';
import type { MembershipTable } from './tables.js';

const MAX_LIMIT = 1000;

/** What is wrong with a page size: 0 is "nothing fits". */
export function limitProblem(limit: number): MgmStatus | undefined {
  if (limit === 0) return status('ERROR_INSUFFICIENT_BUFFER', 'badLimit', 'a page holds at least one entry');
  if (!Number.isInteger(limit) || limit < 0 || limit > MAX_LIMIT)
    return invalid('badLimit', `a page holds 1 to ${MAX_LIMIT} entries, not ${limit}`);
  return undefined;
}

/** The page of `all` that begins at `from`; the last one says NO_MORE_ITEMS even when it carries entries. */
export function pageOf<T>(all: readonly T[], from: number, limit: number): MfePage<T> {
  const items = all.slice(from, from + limit);
  return { code: from + limit < all.length ? 'ERROR_MORE_DATA' : 'ERROR_NO_MORE_ITEMS', items };
}

interface Running {
  readonly client: Client;
  readonly rows: readonly Required<MaskedKey>[];
  next: number;
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
    const rows = type === 'ALL_SOURCES' ? this.#joinedKeys().map(masked) : this.#groupsWithSource().map(masked);
    this.#running.set(++this.#last, { client, rows, next: 0 });
    return { ...DONE, enumeration: this.#last };
  }

  next(enumeration: number, limit: number): MfePage<Required<MaskedKey>> {
    const running = this.#running.get(enumeration);
    if (!running) return { ...invalid('badHandle'), items: [] };
    const problem = limitProblem(limit);
    if (problem) return { ...problem, items: [] };
    const page = pageOf(running.rows, running.next, limit);
    running.next += page.items.length;
    return page;
  }

  end(enumeration: number): MgmStatus {
    return this.#running.delete(enumeration) ? DONE : invalid('badHandle');
  }

  /** D-REG-3. */
  endAllOf(client: Client): void {
    for (const [enumeration, running] of this.#running)
      if (running.client === client) this.#running.delete(enumeration);
  }

  #joinedKeys(): MembershipKey[] {
    return [...this.#memberships].filter((record) => record.members.some((member) => !isStale(member)));
  }

  #groupsWithSource(): MembershipKey[] {
    const groups = new Set(this.#joinedKeys().flatMap(({ source, group }) => (isAny(source) ? [] : [group])));
    return [...groups].map((group) => ({ source: ANY4, group }));
  }
}

function masked({ source, group }: MembershipKey): Required<MaskedKey> {
  return { source, group, sourceMask: hostMask(source), groupMask: isAny(group) ? ANY4 : ALL_ONES };
}
