/**
 * What all routes lose with a neighbour (dvmrp.md section 5.2, steps 1, 2 and 5) or an interface (dvmrp.md section 12). There may be fifty
 * thousand, so they are visited in slices, the first at once when nothing waits; whoever finds a route before its turn finds it as it is after
 * all losses so far.
 */
import type { Route } from './route.js';
import type { RouteStore } from './route-store.js';

/** Places looked at per turn of the event loop; a lost route costs a few microseconds. */
const PLACES_PER_TURN = 512;

interface Loss {
  readonly visit: (route: Route) => void;
  /** It began there: when the walk is behind that place in a later lap, every route has been visited. */
  readonly lap: number;
  readonly place: number;
}

export class Losses {
  readonly #store: RouteStore;
  /** In the order they came; those before have visited every route. */
  readonly #losses: Loss[] = [];
  /** How many there have been. */
  #count = 0;
  #lap = 0;
  #place = 0;
  #isClosed = false;

  constructor(store: RouteStore) {
    this.#store = store;
  }

  get isPending(): boolean {
    return this.#losses.length > 0;
  }

  add(visit: (route: Route) => void): void {
    if (this.#isClosed) return;
    const isFirst = !this.isPending;
    this.#losses.push({ visit, lap: this.#lap, place: this.#place });
    this.#count++;
    if (isFirst) this.run();
  }

  /** It has not been there before. */
  isNew(route: Route): void {
    route.losses = this.#count;
  }

  /** True: the route may be another now. */
  apply(route: Route): boolean {
    if (route.losses === this.#count) return false;
    const missed = Math.min(this.#count - route.losses, this.#losses.length);
    route.losses = this.#count;
    for (const { visit } of this.#losses.slice(this.#losses.length - missed)) visit(route);
    return true;
  }

  /** The next slice. */
  run(): void {
    for (let left = PLACES_PER_TURN; left > 0 && this.isPending; left--) this.#step();
  }

  /** Nothing matters any more. */
  close(): void {
    this.#isClosed = true;
    this.#losses.length = 0;
  }

  #step(): void {
    const route = this.#store.at(this.#place++);
    if (route) this.apply(route);
    if (this.#place >= this.#store.places) {
      this.#place = 0;
      this.#lap++;
    }
    while (this.#isOver(this.#losses[0])) this.#losses.shift();
  }

  #isOver(loss: Loss | undefined): boolean {
    return loss !== undefined && this.#lap > loss.lap && this.#place >= loss.place;
  }
}
