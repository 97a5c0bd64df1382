/** Reading the parameters of a request: everything a stranger can send ends as a value or as a sentence. */
import { type IpAddress, isLinkLocalGroup, isMulticast, isUnicast, parseIp } from '../base/ip.js';
import { ERROR, type ErrorData } from './messages.js';

/** A request that is not carried out; becomes the error object of the answer. */
export class RequestError extends Error {
  override readonly name = 'RequestError';
  constructor(
    readonly code: number,
    message: string,
    readonly data?: ErrorData,
  ) {
    super(message);
  }
}

export class Params {
  readonly #method: string;
  readonly #values: Readonly<Record<string, unknown>>;

  /** Throws a RequestError when `raw` is neither absent nor an object. */
  constructor(method: string, raw: unknown) {
    this.#method = method;
    if (raw !== undefined && (typeof raw !== 'object' || raw === null || Array.isArray(raw)))
      throw this.#wrong('the parameters', 'an object with named values');
    this.#values = { ...raw };
  }

  text(name: string): string {
    const value = this.#values[name];
    if (typeof value === 'string' && value !== '' && value.length <= 256) return value;
    throw this.#wrong(`"${name}"`, 'a text of 1 to 256 characters');
  }

  textOrNone(name: string): string | undefined {
    return this.#has(name) ? this.text(name) : undefined;
  }

  flag(name: string): boolean {
    const value = this.#has(name) ? this.#values[name] : false;
    if (typeof value === 'boolean') return value;
    throw this.#wrong(`"${name}"`, 'true or false');
  }

  count(name: string): number {
    const value = this.#values[name];
    if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
    throw this.#wrong(`"${name}"`, 'a whole number from 0');
  }

  group(name: string): IpAddress {
    const parsed = parseIp(this.text(name));
    if (parsed.ok && isMulticast(parsed.value) && !isLinkLocalGroup(parsed.value)) return parsed.value;
    throw this.#wrong(`"${name}"`, 'a multicast group from 224.0.1.0 to 239.255.255.255', this.text(name));
  }

  sourceOrNone(name: string): IpAddress | undefined {
    if (!this.#has(name)) return undefined;
    const parsed = parseIp(this.text(name));
    if (parsed.ok && isUnicast(parsed.value)) return parsed.value;
    throw this.#wrong(`"${name}"`, 'a unicast IPv4 address', this.text(name));
  }

  #has(name: string): boolean {
    return this.#values[name] !== undefined && this.#values[name] !== null;
  }

  #wrong(what: string, fits: string, read?: string): RequestError {
    const got = read === undefined ? '' : ` (got "${read}")`;
    return new RequestError(ERROR.invalidParams, `${this.#method}: ${what} must be ${fits}${got}`);
  }
}
