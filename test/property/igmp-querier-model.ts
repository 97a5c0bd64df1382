/**
 * Two routers below the one under test, as RFC 9776 section 6.6.2 has them: each asks everybody unless it hears a lower one.
 * Nobody of them asks about leaves.
 */
import { queryV3 } from '../support/packet-builder.js';
import type { HostLink } from './igmp-host-model.js';

export interface QuerierTimes {
  readonly qrv: number;
  /** Seconds. */
  readonly qqic: number;
}

interface Neighbor {
  readonly address: string;
  /** Undefined: it is off. */
  times: QuerierTimes | undefined;
  nextMs: number;
  silentUntilMs: number;
}

export class Neighbors {
  readonly #all: readonly Neighbor[] = ['10.0.0.1', '10.0.0.3'].map((address) => {
    return { address, times: undefined, nextMs: 0, silentUntilMs: 0 };
  });

  constructor(readonly link: HostLink) {}

  /** Starts the one or the other, which asks at once, or ends it. */
  toggle(n: number, times: QuerierTimes): void {
    const neighbor = this.#all[n]!;
    neighbor.times = neighbor.times === undefined ? times : undefined;
    neighbor.nextMs = neighbor.silentUntilMs = 0;
  }

  turn(nowMs: number): void {
    for (const [n, one] of this.#all.entries()) {
      if (one.times === undefined || nowMs < Math.max(one.nextMs, one.silentUntilMs)) continue;
      const { qrv, qqic } = one.times;
      one.nextMs = nowMs + qqic * 1000;
      this.link.asks(one.address, queryV3({ qrv, qqic }));
      for (const higher of this.#all.slice(n + 1)) higher.silentUntilMs = nowMs + (qrv * qqic + 5) * 1000;
    }
  }
}
