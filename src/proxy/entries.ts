/** Existing forwarding entries, brought in line with the rules when a role, an upstream or a source's reception changes. */
import { FORWARD, type Handle, type MembershipKey, type Mfe, type MgmClient } from '../mgm/client.js';
import type { Ifindex } from '../port/kernel.js';
import type { Rules } from './rules.js';

const PAGE = 1000;

export class Entries {
  readonly #mgm: MgmClient;
  readonly #rules: Rules;
  readonly #owned: () => Iterable<Ifindex>;

  constructor(mgm: MgmClient, rules: Rules, owned: () => Iterable<Ifindex>) {
    this.#mgm = mgm;
    this.#rules = rules;
    this.#owned = owned;
  }

  adjustAll(handle: Handle): void {
    let page = this.#mgm.getFirstMfe(PAGE);
    for (;;) {
      for (const mfe of page.items) this.#adjust(handle, mfe, this.#rules.expectedOn(mfe.group, mfe.iif));
      const last = page.items.at(-1);
      if (page.code !== 'ERROR_MORE_DATA' || !last) return;
      page = this.#mgm.getNextMfe(last, PAGE);
    }
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
    for (const out of this.#owned()) {
      if (out === iif) continue;
      const may = this.#rules.mayLeave(key, iif, out);
      if (!may && (outputs.has(out) || out === mfe.iif)) void this.#mgm.deleteMembership(handle, key, out, FORWARD);
      if (may && !outputs.has(out) && this.#rules.isWanted(key, out)) toOpen.push(out);
    }
    if (iif !== mfe.iif) this.#mgm.setMfe(handle, key, { iif });
    for (const out of toOpen) void this.#mgm.addMembership(handle, key, out, FORWARD);
  }
}
