/** Existing forwarding entries, brought in line with the rules when a role, an upstream or a source's reception changes. */
import { FORWARD, type Handle, type MembershipKey, type Mfe, type MfePage, type MgmClient } from '../mgm/client.js';
import type { Ifindex } from '../port/kernel.js';
import type { Rules } from './rules.js';

/** Entries per turn of the event loop: some milliseconds with one or two kernel writes each. */
const PAGE = 256;

export interface EntriesParts {
  readonly mgm: MgmClient;
  readonly rules: Rules;
  /** The interfaces of the proxy. */
  owned(): Iterable<Ifindex>;
  /** Runs in a later turn of the event loop. */
  later(run: () => void): { cancel(): void };
}

export class Entries {
  readonly #parts: EntriesParts;
  readonly #mgm: MgmClient;
  readonly #rules: Rules;
  #turn: { cancel(): void } | undefined;

  constructor(parts: EntriesParts) {
    this.#parts = parts;
    this.#mgm = parts.mgm;
    this.#rules = parts.rules;
  }

  /** The first page at once, the others in turns of their own; what is decided meanwhile follows the rules anyway. */
  adjustAll(handle: Handle): void {
    this.stop();
    this.#page(handle, this.#mgm.getFirstMfe(PAGE));
  }

  /** Leaves no turn behind. */
  stop(): void {
    this.#turn?.cancel();
    this.#turn = undefined;
  }

  #page(handle: Handle, { items, code }: MfePage<Mfe>): void {
    for (const mfe of items) this.#adjust(handle, mfe, this.#rules.expectedOn(mfe.group, mfe.iif));
    const last = items.at(-1);
    if (code !== 'ERROR_MORE_DATA' || !last) return;
    this.#turn = this.#parts.later(() => this.#page(handle, this.#mgm.getNextMfe(last, PAGE)));
  }

  adjust(handle: Handle, key: MembershipKey): void {
    const { mfe } = this.#mgm.getMfe(key);
    if (mfe) this.#adjust(handle, mfe, this.#rules.expectedOn(mfe.group, mfe.iif));
  }

  /** The flow is expected on another interface from now on. */
  move(handle: Handle, mfe: Mfe, iif: Ifindex): void {
    this.#adjust(handle, mfe, iif);
  }

  /** Of these entries, those that must not leave by the interface. */
  refusedBy(keys: readonly MembershipKey[], out: Ifindex): readonly MembershipKey[] {
    return keys.filter((key) => {
      const iif = this.#mgm.getMfe(key).mfe?.iif;
      return iif === undefined || iif === out || !this.#rules.mayLeave(key, iif, out);
    });
  }

  /** Closes before it moves: the interface a flow came in by would be an output for a moment. */
  #adjust(handle: Handle, mfe: Mfe, iif: Ifindex): void {
    const { source, group } = mfe;
    const key = { source, group };
    const outputs = new Set(mfe.oifs.map((oif) => oif.ifindex));
    const toOpen: Ifindex[] = [];
    for (const out of this.#parts.owned()) {
      if (out === iif) continue;
      const may = this.#rules.mayLeave(key, iif, out);
      if (!may && (outputs.has(out) || out === mfe.iif)) void this.#mgm.deleteMembership(handle, key, out, FORWARD);
      if (may && !outputs.has(out) && this.#rules.isWanted(key, out)) toOpen.push(out);
    }
    if (iif !== mfe.iif) this.#mgm.setMfe(handle, key, { iif });
    for (const out of toOpen) void this.#mgm.addMembership(handle, key, out, FORWARD);
  }
}
