/** The prunes that neighbours have sent us for one (source network, group): dvmrp.md sections 9 and 10.2. */
import type { IpAddress } from '../base/ip.js';
import type { Ifindex } from '../port/kernel.js';

export interface ReceivedPrune {
  readonly neighbor: IpAddress;
  readonly ifindex: Ifindex;
  /** Only for packets of this host (a prune with a host mask); undefined: for the whole source network. */
  readonly host: IpAddress | undefined;
  expiresMs: number;
}

export class ReceivedPrunes implements Iterable<ReceivedPrune> {
  #prunes: ReceivedPrune[] = [];

  get size(): number {
    return this.#prunes.length;
  }

  [Symbol.iterator](): Iterator<ReceivedPrune> {
    return this.#prunes[Symbol.iterator]();
  }

  /** Step 6: a repeated prune sets the time anew, longer or shorter. */
  set(ifindex: Ifindex, neighbor: IpAddress, host: IpAddress | undefined, expiresMs: number): void {
    const known = this.#prunes.find((p) => p.neighbor === neighbor && p.ifindex === ifindex && p.host === host);
    if (known) known.expiresMs = expiresMs;
    else this.#prunes.push({ neighbor, ifindex, host, expiresMs });
  }

  /** Whether the neighbour wants nothing that `source` sends; without a source: nothing of the whole network. */
  covers(ifindex: Ifindex, neighbor: IpAddress, source?: IpAddress): boolean {
    return this.#prunes.some(
      (prune) =>
        prune.neighbor === neighbor && prune.ifindex === ifindex && (prune.host === undefined || prune.host === source),
    );
  }

  /** Forgets what does not pass; true: something did not. */
  retain(keeps: (prune: ReceivedPrune) => boolean): boolean {
    const kept = this.#prunes.filter(keeps);
    const changed = kept.length < this.#prunes.length;
    this.#prunes = kept;
    return changed;
  }

  /** When the first of them ends; Infinity without any. */
  get earliestMs(): number {
    let earliest = Number.POSITIVE_INFINITY;
    for (const { expiresMs } of this.#prunes) earliest = Math.min(earliest, expiresMs);
    return earliest;
  }
}
