/** Who expects a route's data from us (dvmrp.md section 7.2): neighbours that told the route with 32 added to it. */
import type { Ifindex } from '../../port/kernel.js';
import type { Dependent, Peer, Route } from './route.js';

export interface DependentOutput {
  dependentAdded(route: Route, peer: Peer): void;
  dependentRemoved(route: Route, peer: Peer): void;
}

/** Registers a dependent, or keeps it for longer. */
export function addDependent(route: Route, peer: Peer, expiryMs: number, output: DependentOutput): void {
  const dependents = (route.dependents ??= []);
  for (const dependent of dependents) {
    if (dependent.peer !== peer) continue;
    dependent.expiryMs = expiryMs;
    return;
  }
  dependents.push({ peer, expiryMs });
  output.dependentAdded(route, peer);
}

/** Harmless when it is none. */
export function removeDependent(route: Route, peer: Peer, output: DependentOutput): void {
  if (route.dependents !== undefined) removeWhere(route, (dependent) => dependent.peer === peer, output);
}

/** The interface has become the route's own: whoever is there cannot depend on us. */
export function removeDependentsOn(route: Route, ifindex: Ifindex | undefined, output: DependentOutput): void {
  removeWhere(route, (dependent) => dependent.peer.ifindex === ifindex, output);
}

/** Those that did not repeat themselves for too long. */
export function expireDependents(route: Route, nowMs: number, output: DependentOutput): void {
  removeWhere(route, (dependent) => dependent.expiryMs <= nowMs, output);
}

export function earliestDependentMs(route: Route): number {
  let earliestMs = Number.POSITIVE_INFINITY;
  if (route.dependents !== undefined)
    for (const { expiryMs } of route.dependents) earliestMs = Math.min(earliestMs, expiryMs);
  return earliestMs;
}

function removeWhere(route: Route, gone: (dependent: Dependent) => boolean, output: DependentOutput): void {
  const dependents = route.dependents;
  if (dependents === undefined) return;
  for (let n = dependents.length - 1; n >= 0; n--) {
    const dependent = dependents[n]!;
    if (!gone(dependent)) continue;
    dependents.splice(n, 1);
    if (dependents.length === 0) route.dependents = undefined;
    output.dependentRemoved(route, dependent.peer);
  }
}
