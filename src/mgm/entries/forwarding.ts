/**
 * The outgoing interfaces of an entry, from all its inputs, in one function; every event ends here. The kernel is written
 * only where it differs. Nothing here asks a client: vetoes arrive as overrides (D-FLAG-3).
 */
import { ANY4 } from '../../base/ip.js';
import type { KernelError } from '../../base/errors.js';
import { type Ifindex, type Vif, VIFS } from '../../port/kernel.js';
import type { MembershipKey } from '../client.js';
import { type Core, flowName, keyFields } from '../core.js';
import { type Client, type Entry, type Interface, isStale, type KeyRecord, type NamedOutputs } from '../state.js';

/** As a threshold it lets nothing out; the kernel does not show such an output. */
const HIGHEST_TTL = 255;

export function bitOf(on: Interface): number {
  return 1 << on.vif;
}

export class Forwarding {
  readonly #core: Core;
  readonly #ttls = new Uint8Array(VIFS);

  constructor(core: Core) {
    this.#core = core;
  }

  /**
   * Bits of the vifs a packet of this entry leaves by: matching membership, or in place of its own what the client that decides
   * for the iif has named; then overrides, then what is kept of a predecessor, never the iif (D-FWD-2). What was refused at the
   * RPF check leaves by none, whoever joins while the entry silences it (D-RPF-3).
   */
  outputsOf(entry: Entry): number {
    if (entry.unowned) return 0;
    const { memberships } = this.#core;
    // What is stale goes on as it was: its overrides went with the change of ownership (D-OWN-9).
    const stale = entry.writtenIif === -1 ? -1 : entry.outputs;
    const { named } = entry;
    let outputs =
      bitsOf(memberships.get(entry.source, entry.group), stale, named?.client) |
      bitsOf(memberships.get(ANY4, entry.group), stale, named?.client) |
      bitsOf(memberships.get(ANY4, ANY4), stale, named?.client);
    if (named) outputs |= this.#namedBits(named, stale);
    for (const [on, override] of entry.overrides ?? []) {
      if (override === 'on' && !on.closed) outputs |= bitOf(on);
      else outputs &= ~bitOf(on);
    }
    return this.#withinScope(entry, (outputs | entry.kept) & ~bitOf(entry.iif));
  }

  /** Of interfaces that the client owns; where it did until the change that runs there, as it was. */
  #namedBits({ client, ifindexes }: NamedOutputs, stale: number): number {
    let bits = 0;
    for (const ifindex of ifindexes) {
      const on = this.#core.interfaces.get(ifindex);
      if (on?.owner === client) bits |= bitOf(on);
      else if (on?.change?.departed === client) bits |= bitOf(on) & stale;
    }
    return bits;
  }

  /** A scoped group neither enters nor leaves by a boundary (RFC 2365 section 5), and no packet has a TTL above 255. */
  #withinScope({ iif, group }: Entry, outputs: number): number {
    let within = outputs;
    for (const on of this.#core.interfaces.values()) {
      if (on.threshold >= HIGHEST_TTL) within &= ~bitOf(on);
      if (on.boundary.length === 0 || !on.isBoundaryOf(group)) continue;
      if (on === iif) return 0;
      within &= ~bitOf(on);
    }
    return within >>> 0;
  }

  /** Recomputes the entry and writes it where the kernel holds something else. True: its outputs became or ceased to be empty. */
  update(entry: Entry): { readonly turned: boolean; readonly error?: KernelError } {
    const before = entry.outputs;
    entry.outputs = this.outputsOf(entry);
    const turned = (before === 0) !== (entry.outputs === 0);
    const error = this.write(entry);
    return error ? { turned, error } : { turned };
  }

  /** Writes the entry when the kernel holds something else, or when `force` says that it may. */
  write(entry: Entry, force = false): KernelError | undefined {
    const { vif } = entry.iif;
    if (!force && entry.writtenIif === vif && entry.writtenOutputs === entry.outputs) return undefined;
    const isNew = entry.writtenIif === -1;
    this.#ttls.fill(0);
    for (let vif = 0, left = entry.outputs; left !== 0; vif++, left >>>= 1) {
      // An output of a predecessor may be an interface that nobody has taken yet.
      if (left & 1) this.#ttls[vif] = this.#core.byVif[vif]?.threshold ?? 1;
    }
    const { source, group } = entry;
    const error = this.#core.ports.mroute.addMfc({ source, group, iif: vif, ttls: this.#ttls });
    entry.writtenAt = ++this.#core.writes;
    entry.writtenIif = error ? -1 : vif;
    entry.writtenOutputs = entry.outputs;
    if (error) {
      this.#core.kernelRefused(error);
      return error;
    }
    this.#core.count('kernel.mfc-writes');
    this.#core.emit(isNew ? 'mfe.created' : 'mfe.changed', () => ({
      ...keyFields(entry),
      iif: entry.iif.name,
      oifs: this.outputInterfaces(entry).map((on) => on.name),
    }));
    return undefined;
  }

  outputInterfaces(entry: Entry): Interface[] {
    return this.interfacesOf(entry.outputs);
  }

  interfacesOf(outputs: number): Interface[] {
    const found: Interface[] = [];
    for (let vif = 0, left = outputs; left !== 0; vif++, left >>>= 1) {
      const on = left & 1 ? this.#core.interfaceOfVif(vif as Vif) : undefined;
      if (on) found.push(on);
    }
    return found;
  }

  /** Interfaces with any membership for the key's flow, the iif excepted: candidates of a new entry (manager.md section 5.1 step 5). */
  candidates(key: MembershipKey, iif: Ifindex): Interface[] {
    const found = new Set<Interface>();
    for (const record of this.#core.memberships.matching(key)) {
      for (const { on } of record.members)
        if (on.ifindex !== iif && !on.closed && !on.isBoundaryOf(key.group)) found.add(on);
    }
    return [...found].sort((a, b) => a.ifindex - b.ifindex);
  }

  /** Takes the entry out of the table and the kernel. */
  remove(entry: Entry): void {
    if (entry.deleted) return;
    entry.deleted = true;
    this.#core.entries.delete(entry);
    this.#core.removedSince?.add(flowName(entry));
    if (entry.writtenIif !== -1) {
      const error = this.#core.ports.mroute.delMfc(entry.source, entry.group);
      this.#core.writes++;
      if (error && error.code !== 'ENOENT') this.#core.kernelRefused(error);
    }
    this.#core.emit('mfe.deleted', () => keyFields(entry));
  }

  /** Takes all entries out of the kernel in one call, whatever their number; those that others wrote stay. */
  removeAll(): void {
    const { mroute } = this.#core.ports;
    for (const { isStatic, source, group } of this.#core.entries) if (isStatic) mroute.delMfc(source, group);
    const error = mroute.flushOwn();
    if (error) this.#core.kernelRefused(error);
    this.#core.entries.clear();
  }
}

/** Interfaces of the key's members, without those of `except`; those of stale members only where `stale` has them. */
function bitsOf(record: KeyRecord | undefined, stale: number, except: Client | undefined): number {
  let bits = 0;
  for (const member of record?.members ?? [])
    if (!member.pending && member.client !== except && !member.on.closed)
      bits |= isStale(member) ? bitOf(member.on) & stale : bitOf(member.on);
  return bits;
}
