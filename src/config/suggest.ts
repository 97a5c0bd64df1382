/** "Did you mean": the known word that is nearest to what somebody typed. */

/** No word of ours is longer, and comparing takes the product of both lengths. */
const LONGEST = 40;

/** Undefined when none is near enough to be meant. */
export function nearest(typed: string, known: readonly string[]): string | undefined {
  if (typed.length > LONGEST) return undefined;
  const atMost = Math.max(1, Math.floor(typed.length / 3));
  let best: { readonly word: string; readonly steps: number } | undefined;
  for (const word of known) {
    if (Math.abs(word.length - typed.length) > atMost) continue;
    const steps = editDistance(typed.toLowerCase(), word.toLowerCase());
    if (steps <= atMost && (!best || steps < best.steps)) best = { word, steps };
  }
  return best?.word;
}

/** Words of other programs and of people, and the key that says the same here. */
const SYNONYMS: Readonly<Record<string, readonly string[]>> = {
  from: ['in', 'iif', 'iifs', 'input', 'inputs', 'incoming', 'inbound', 'upstream'],
  to: ['out', 'oif', 'oifs', 'output', 'outputs', 'outgoing', 'outbound', 'downstream'],
  source: ['src', 'sender', 'origin', 'sources', 'from'],
  group: ['grp', 'dst', 'destination', 'address', 'range', 'groups', 'mcast'],
  failoverAfter: ['timeout', 'failoverTimeout', 'switchAfter', 'silence'],
  interface: ['iface', 'ifname', 'dev', 'device', 'interfaces', 'on', 'from'],
  routes: ['mroute', 'mroutes', 'route'],
  joins: ['mgroup', 'mgroups', 'join', 'groups'],
};

/** The key that was meant by an unknown one. */
export function meantBy(typed: string, keys: readonly string[]): string | undefined {
  const word = typed.toLowerCase();
  return keys.find((key) => SYNONYMS[key]?.some((synonym) => synonym.toLowerCase() === word)) ?? nearest(typed, keys);
}

/** Insertions, deletions, replacements and swaps of neighbours between two words (optimal string alignment). */
function editDistance(a: string, b: string): number {
  let beforeLast: number[] = [];
  let last = Array.from({ length: b.length + 1 }, (_, j) => j);
  for (let i = 1; i <= a.length; i++) {
    const row = [i];
    for (let j = 1; j <= b.length; j++) {
      const same = a[i - 1] === b[j - 1];
      let steps = Math.min(row[j - 1]! + 1, last[j]! + 1, last[j - 1]! + (same ? 0 : 1));
      if (i > 1 && j > 1 && a[i - 1] === b[j - 2] && a[i - 2] === b[j - 1])
        steps = Math.min(steps, beforeLast[j - 2]! + 1);
      row.push(steps);
    }
    [beforeLast, last] = [last, row];
  }
  return last[b.length]!;
}
