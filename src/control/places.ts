/**
 * Who is served when more connections come than there are places. Some places are for those who may write, so that no
 * number of readers locks an administrator out. A new connection takes the place of the one that has been idle longest: a
 * writer any reader's, a reader one of the user's who has most.
 */

/** Connections served at a time. */
export const PLACES = 64;
/** Places that no reader gets. */
const FOR_WRITERS = 8;

/** What it does: nothing; it waits for events; it waits for an answer or has not read it. Who does less goes first. */
export type Activity = 'idle' | 'monitor' | 'busy';

export interface Guest {
  readonly who: string;
  readonly mayWrite: boolean;
  readonly activity: Activity;
  /** When it last asked something. */
  readonly askedMs: number;
}

const RANK = { idle: 0, monitor: 1, busy: 2 } as const;

/** Who gives its place to the newcomer; undefined: nobody has to, there is room; 'refused': nobody does, and there is none. */
export function whoGives<G extends Guest>(guests: readonly G[], newcomer: Guest): G | 'refused' | undefined {
  const readers = guests.filter((guest) => !guest.mayWrite);
  if (newcomer.mayWrite) {
    if (guests.length < PLACES) return undefined;
    return leastActive(readers) ?? leastActive(guests.filter(({ activity }) => activity !== 'busy')) ?? 'refused';
  }
  if (guests.length < PLACES && readers.length < PLACES - FOR_WRITERS) return undefined;
  return readerThatGives(readers, newcomer.who) ?? 'refused';
}

/** One of the user with most connections. A busy one only where that is another user with more than the newcomer will have. */
function readerThatGives<G extends Guest>(readers: readonly G[], who: string): G | undefined {
  const counts = new Map<string, number>();
  for (const reader of readers) counts.set(reader.who, (counts.get(reader.who) ?? 0) + 1);
  const mine = counts.get(who) ?? 0;
  let [most, count] = [who, 0];
  for (const [user, n] of counts) if (n > count) [most, count] = [user, n];
  const greediest = leastActive(readers.filter((reader) => reader.who === most));
  return greediest && (greediest.activity !== 'busy' || count > mine + 1) ? greediest : undefined;
}

function leastActive<G extends Guest>(guests: readonly G[]): G | undefined {
  return guests.reduce<G | undefined>((least, one) => (least && !isLessActive(one, least) ? least : one), undefined);
}

function isLessActive(one: Guest, other: Guest): boolean {
  const rank = RANK[one.activity] - RANK[other.activity];
  return rank < 0 || (rank === 0 && one.askedMs < other.askedMs);
}
