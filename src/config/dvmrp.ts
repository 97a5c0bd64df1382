/** From the values of the file to what DVMRP is configured with. */
import type { Prefix } from '../base/ip.js';
import {
  type DvmrpInterfaceValues,
  type DvmrpValues,
  dvmrpInterfaceSchema,
  dvmrpSchema,
  type FileValues,
} from './schema.js';
import type { DvmrpConfig, DvmrpInterfaceConfig } from './types.js';

/** There is a DVMRP as soon as the file speaks of it: a section of its own, an owner, or a section of an interface. */
export function dvmrpOf({ dvmrp, interfaces, igmp }: FileValues): DvmrpConfig | undefined {
  const mentioned = Object.values(interfaces).some((one) => one.owner === 'dvmrp' || one.dvmrp !== undefined);
  return dvmrp || mentioned ? configOf(dvmrp ?? dvmrpSchema.parse({}), igmp.ssmRanges) : undefined;
}

export function dvmrpInterfaceOf(values: DvmrpInterfaceValues): DvmrpInterfaceConfig {
  const { probeInterval, neighborTimeout, ...same } = values;
  return { ...same, probeIntervalMs: probeInterval, neighborTimeoutMs: neighborTimeout };
}

function configOf(values: DvmrpValues, ssmRanges: readonly Prefix[]): DvmrpConfig {
  const { pruneLifetime, maxReceivedPrune, reportInterval, cacheLifetime, originateDefault, ...same } = values;
  return {
    ...same,
    pruneLifetimeMs: pruneLifetime,
    maxReceivedPruneMs: maxReceivedPrune,
    reportIntervalMs: reportInterval,
    cacheLifetimeMs: cacheLifetime,
    originateDefault: originateDefault === 0 ? undefined : originateDefault,
    ssmRanges,
    interfaceDefaults: dvmrpInterfaceOf(dvmrpInterfaceSchema.parse({})),
  };
}
