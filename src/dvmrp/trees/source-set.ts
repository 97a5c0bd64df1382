/** Sources of one group; whether some of them are in a network is found without looking at each. */
import { type IpAddress, type Prefix, prefixContains } from '../../base/ip.js';
import { Lpm } from '../../base/lpm.js';

/** Of so few each is looked at; an index is a kilobyte at least. */
const FEW = 16;
const HOST_LENGTH = 32;

export class SourceSet {
  readonly #sources = new Set<IpAddress>();
  #index: Lpm | undefined;

  get size(): number {
    return this.#sources.size;
  }

  has(source: IpAddress): boolean {
    return this.#sources.has(source);
  }

  add(source: IpAddress): void {
    this.#sources.add(source);
    if (this.#index) this.#index.insert({ network: source, length: HOST_LENGTH }, 0);
    else if (this.#sources.size > FEW) this.#makeIndex();
  }

  delete(source: IpAddress): void {
    if (!this.#sources.delete(source)) return;
    if (this.#sources.size <= FEW / 2) this.#index = undefined;
    this.#index?.remove({ network: source, length: HOST_LENGTH });
  }

  hasSomeOf(network: Prefix): boolean {
    if (this.#index) return this.#index.hasWithin(network);
    for (const source of this.#sources) if (prefixContains(network, source)) return true;
    return false;
  }

  #makeIndex(): void {
    this.#index = new Lpm();
    for (const network of this.#sources) this.#index.insert({ network, length: HOST_LENGTH }, 0);
  }
}
