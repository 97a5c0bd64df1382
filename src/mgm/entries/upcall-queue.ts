/**
 * The order in which the kernel's upcalls are served. What a member has asked for comes first; the rest is served newest first
 * (linux.md B6), some a turn, so that a flood of flows that nobody asked for does not delay a wanted one. The queue is short:
 * beyond it upcalls are served as they come, and the socket's buffer decides what is lost, at no cost.
 */
import type { Upcall } from '../../port/kernel.js';
import { ANY4 } from '../../base/ip.js';
import type { Timer } from '../../port/clock.js';
import type { Core } from '../core.js';
import type { Courier } from '../clients/courier.js';

/** Upcalls of flows that nobody has asked for: served in one turn, and waiting at most. */
const [PER_TURN, MOST_WAITING] = [128, 1024];

export class UpcallQueue {
  readonly #core: Core;
  readonly #courier: Courier;
  readonly #serve: (upcall: Upcall) => void;
  /** The newest last. */
  #waiting: Upcall[] = [];
  #timer: Timer | undefined;

  constructor(core: Core, courier: Courier, serve: (upcall: Upcall) => void) {
    this.#core = core;
    this.#courier = courier;
    this.#serve = serve;
  }

  /** `upcalls` come newest first. */
  take(upcalls: readonly Upcall[]): void {
    for (const upcall of upcalls) if (this.#isWanted(upcall)) this.#serve(upcall);
    for (const upcall of upcalls.toReversed()) if (!this.#isWanted(upcall)) this.#waiting.push(upcall);
    // The turn of the timer serves the others.
    if (!this.#timer) this.#serveSome(PER_TURN);
    this.#serveSome(this.#waiting.length - MOST_WAITING);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#waiting = [];
  }

  #isWanted({ kind, source, group }: Upcall): boolean {
    const { memberships } = this.#core;
    return (
      kind === 'nocache' && (memberships.get(ANY4, group) !== undefined || memberships.get(source, group) !== undefined)
    );
  }

  #serveSome(count: number): void {
    for (let left = count; left > 0; left--) {
      const upcall = this.#waiting.pop();
      if (!upcall) return;
      this.#serve(upcall);
    }
    if (this.#waiting.length === 0 || this.#timer) return;
    this.#timer = this.#core.ports.clock.after(0, () => {
      this.#timer = undefined;
      this.#courier.enter(() => this.#serveSome(PER_TURN));
    });
  }
}
