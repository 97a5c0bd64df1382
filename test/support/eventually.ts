/** Waiting for the real world, with a bound and a reason, in place of every sleep. */

export interface EventuallyOptions {
  /** Gives up after this long; 5 s by default. */
  readonly withinMs?: number;
  /** Looks this often; 20 ms by default. */
  readonly everyMs?: number;
}

type Falsy = false | 0 | '' | null | undefined;

/**
 * Asks until the answer is truthy and returns it. An exception counts as "not yet"; the last one is told when time is up.
 * `what` completes the sentence "waited ... for ...".
 */
export async function eventually<T>(
  what: string,
  ask: () => T | Promise<T>,
  { withinMs = 5_000, everyMs = 20 }: EventuallyOptions = {},
): Promise<Exclude<T, Falsy>> {
  const until = performance.now() + withinMs;
  let last: unknown;
  for (;;) {
    try {
      const value = await ask();
      if (value) return value as Exclude<T, Falsy>;
      last = value;
    } catch (error) {
      last = error;
    }
    if (performance.now() >= until) throw new Error(`waited ${withinMs} ms for ${what}; last seen: ${describe(last)}`);
    await new Promise((resolve) => setTimeout(resolve, everyMs));
  }
}

function describe(last: unknown): string {
  return last instanceof Error ? last.message : String(JSON.stringify(last));
}
