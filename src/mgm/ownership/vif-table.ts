/**
 * Which vif number an interface gets (0..31). A number that entries in the kernel may still name must not come back
 * under another interface (linux.md J4, D-LIN-13): numbers never used since the start come first, then the one that was
 * given back longest ago. Pure bookkeeping; the manager makes the system calls and rewrites the entries.
 */
import { type Vif, VIFS } from '../../port/kernel.js';

export class VifTable {
  /** In the order in which they may be given out. */
  readonly #free: Vif[] = Array.from({ length: VIFS }, (_, number) => number as Vif);

  get used(): number {
    return VIFS - this.#free.length;
  }

  get free(): number {
    return this.#free.length;
  }

  /** Undefined: all 32 are in use. */
  allocate(): Vif | undefined {
    return this.#free.shift();
  }

  /** A number that a predecessor has given out; nobody gets it until it is given back. */
  reserve(vif: Vif): void {
    const at = this.#free.indexOf(vif);
    if (at >= 0) this.#free.splice(at, 1);
  }

  giveBack(vif: Vif): void {
    this.#free.push(vif);
  }
}
