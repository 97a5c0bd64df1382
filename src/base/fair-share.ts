/** A limit that leaves room for those who hold little: its last eighth is only for who holds less than is left. */

const KEPT_SHIFT = 3;
/** A smaller limit is what it says. */
const KEPT_FROM = 128;

/** How much of the limit is kept for those who hold little. */
export function keptOf(limit: number): number {
  return limit < KEPT_FROM ? 0 : limit >> KEPT_SHIFT;
}

/** Whether a claimant that holds `held` may have one more while `free` are left, `kept` of them for those who hold little. */
export function mayTake(free: number, kept: number, held: number): boolean {
  return free > kept || (free > 0 && held < free);
}
