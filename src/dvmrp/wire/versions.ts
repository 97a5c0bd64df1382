/** What a neighbour can do, by the version in its header (dvmrp.md section 5.3). */
import { CAPABILITY, OWN_MAJOR, OWN_MINOR } from './header.js';

export interface Traits {
  /** Speaks today's protocol: two routers must hear each other before anything else counts. */
  readonly handshake: boolean;
  /** Understands Prune and Graft. */
  readonly prunes: boolean;
  /** Its Probes have a generation id and a list of neighbours. */
  readonly probeBody: boolean;
}

const CURRENT: Traits = { handshake: true, prunes: true, probeBody: true };
const WITH_BODY: Traits = { handshake: false, prunes: true, probeBody: true };
const PRUNING: Traits = { handshake: false, prunes: true, probeBody: false };
const REPORTS_ONLY: Traits = { handshake: false, prunes: false, probeBody: false };

/** Cisco routers give the number of their own release, from 10 on. */
const CISCO = 10;

export function traitsOf(major: number, minor: number, capabilities: number): Traits {
  if (major === OWN_MAJOR && minor === OWN_MINOR)
    return (capabilities & CAPABILITY.prune) !== 0 ? CURRENT : { ...CURRENT, prunes: false };
  if (major > CISCO) return PRUNING;
  if (major < OWN_MAJOR || major === CISCO) return REPORTS_ONLY;
  if (major > OWN_MAJOR) return WITH_BODY;
  return minor >= 3 ? WITH_BODY : PRUNING;
}

/** A Probe's body is there, whatever the sender can do besides. */
export function hasProbeBody(major: number, minor: number): boolean {
  return traitsOf(major, minor, 0).probeBody;
}

/** The capabilities that count: LEAF changes with the neighbour's other interfaces and says nothing to us. */
export function lastingCapabilities(capabilities: number): number {
  return capabilities & (CAPABILITY.prune | CAPABILITY.generationId | CAPABILITY.mtrace | CAPABILITY.netmask);
}
