/** Derived intervals (dvmrp.md sections 7.4 and 15), each with its formula; none of them is configured. */

/** Flash updates are at least this far apart; also how often a part of the full table is sent. */
export const FLASH_INTERVAL_MS = 5000;

/** A route that is not refreshed for two reports and a little is lost (dvmrp.md section 7.4). */
export function routeExpiryMs(reportIntervalMs: number): number {
  return 2 * reportIntervalMs + 20_000;
}

/** How long a lost route is advertised as unreachable (dvmrp.md section 7.4). */
export function holdDownMs(reportIntervalMs: number): number {
  return 2 * reportIntervalMs;
}

/** A dependent that does not repeat itself is dropped (dvmrp.md section 7.2). */
export function dependentExpiryMs(reportIntervalMs: number): number {
  return 2 * reportIntervalMs + 20_000;
}

/** Parts that the full table is sent in, one per slot of 5 s (dvmrp.md section 6.4). */
export function reportSlots(reportIntervalMs: number): number {
  return Math.max(1, Math.floor(reportIntervalMs / FLASH_INTERVAL_MS));
}

/** Neighbours of old versions may say nothing but Reports (dvmrp.md section 5.3). */
export function reportOnlyTimeoutMs(neighborTimeoutMs: number): number {
  return Math.max(140_000, neighborTimeoutMs);
}
