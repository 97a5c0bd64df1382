/** Reading forwarding entries and their statistics (manager.md sections 2.9 to 2.14); any program may, no handle is needed. */
import { ANY4 } from '../../base/ip.js';
import { KernelError } from '../../base/errors.js';
import {
  type MembershipKey,
  MFE_STATS_0,
  MFE_STATS_1,
  type Mfe,
  type MfePage,
  type MfeStats,
  type MgmStatus,
} from '../client.js';
import type { Core } from '../core.js';
import { limitProblem } from '../clients/enumeration.js';
import type { Forwarding } from './forwarding.js';
import { ALL_ONES, cannotComplete, DONE, invalid, notFound } from '../keys.js';
import type { Entry } from '../state.js';

export class MfeReader {
  readonly #core: Core;
  readonly #forwarding: Forwarding;

  constructor(core: Core, forwarding: Forwarding) {
    this.#core = core;
    this.#forwarding = forwarding;
  }

  mfe(key: MembershipKey): MgmStatus & { readonly mfe?: Mfe } {
    const entry = this.#core.entries.get(key.source, key.group);
    return entry ? { ...DONE, mfe: this.#mfeOf(entry) } : notFound('noSuchMfe');
  }

  mfes(after: MembershipKey | undefined, limit: number): MfePage<Mfe> {
    return this.#page(after, limit, (entry) => this.#mfeOf(entry));
  }

  stats(key: MembershipKey, flag: number): MgmStatus & { readonly stats?: MfeStats } {
    if (!knownFlag(flag)) return invalid('badFlags');
    const entry = this.#core.entries.get(key.source, key.group);
    if (!entry) return notFound('noSuchMfe');
    const stats = this.#statsOf(entry, flag);
    return stats instanceof KernelError ? cannotComplete('kernelRefused', stats.message) : { ...DONE, stats };
  }

  statsPage(after: MembershipKey | undefined, limit: number, flag: number): MfePage<MfeStats> {
    if (!knownFlag(flag)) return { ...invalid('badFlags'), items: [] };
    const page = this.#page(after, limit, (entry) => this.#statsOf(entry, flag));
    return { ...page, items: page.items.filter((stats): stats is MfeStats => !(stats instanceof KernelError)) };
  }

  #page<T>(after: MembershipKey | undefined, limit: number, read: (entry: Entry) => T): MfePage<T> {
    const problem = limitProblem(limit);
    if (problem) return { ...problem, items: [] };
    const items: T[] = [];
    let next = this.#core.entries.after(after);
    for (; next && items.length < limit; next = this.#core.entries.after(next)) items.push(read(next));
    return { code: next ? 'ERROR_MORE_DATA' : 'ERROR_NO_MORE_ITEMS', items };
  }

  #mfeOf(entry: Entry): Mfe {
    const upTime = (this.#core.nowMs - entry.startedAtMs) / 1000;
    return {
      source: entry.source,
      group: entry.group,
      sourceMask: ALL_ONES,
      upstreamNeighbor: entry.upstreamNeighbor,
      iif: entry.iif.ifindex,
      iifProtocol: entry.iif.decider?.name,
      route: entry.route,
      upTime,
      expiresIn: Math.max(0, entry.timeoutSec - upTime),
      timeout: entry.timeoutSec,
      oifs: this.#forwarding.outputInterfaces(entry).map((on) => ({ ifindex: on.ifindex, nextHop: ANY4 })),
    };
  }

  #statsOf(entry: Entry, flag: number): MfeStats | KernelError {
    const { mroute } = this.#core.ports;
    const counters = mroute.mfcCounters(entry.source, entry.group);
    if (counters instanceof KernelError) return counters;
    const oifs = this.#forwarding.outputInterfaces(entry).map((on) => {
      const vif = mroute.vifCounters(on.vif);
      const vifOutPackets = vif instanceof KernelError ? null : vif.packetsOut;
      return { ifindex: on.ifindex, nextHop: ANY4, outPackets: null, vifOutPackets, ttlTooLow: null };
    });
    const basic: MfeStats = {
      source: entry.source,
      group: entry.group,
      inPackets: counters.packets,
      inOctets: counters.bytes,
      differentIfPackets: counters.wrongIf,
      queueOverflow: null,
      oifs,
    };
    if (flag === MFE_STATS_0) return basic;
    const negativeMfe = entry.outputs === 0 ? counters.packets - counters.wrongIf : null;
    return { ...basic, uninitMfe: null, negativeMfe, inDiscards: null, inHdrErrors: null, totalOutPackets: null };
  }
}

function knownFlag(flag: number): boolean {
  return flag === MFE_STATS_0 || flag === MFE_STATS_1;
}
