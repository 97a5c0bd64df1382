/**
 * What a valid file says and mgmd cannot do, because nobody is on the interface that it is about. Only warnings: `mgmctl take`
 * and `mgmctl handover` can put somebody there later.
 */
import { formatPrefix, type Prefix, prefixContains } from '../base/ip.js';
import { nameOf, pairOf, type Problem } from './problem.js';
import type { FileValues } from './schema.js';
import type { Path } from './source.js';

type Instance = FileValues['static'][string];
type Route = Instance['routes'][number];
type Join = Instance['joins'][number];

/** A file of 20,000 routes on the wrong interface is not to fill the log. */
const MAX_WARNINGS = 100;
/** No packet has a greater TTL. */
const HIGHEST_TTL = 255;

/** `values` have no errors: every interface that they name is listed. */
export function idleParts(values: FileValues): readonly Problem[] {
  const found = new IdleParts(values).run();
  const more = found.length - MAX_WARNINGS;
  if (more <= 0) return found;
  const { path, at } = found[MAX_WARNINGS]!;
  const message = `${nameOf(path)}: ${more} more parts from here on have no effect, like those above`;
  return [...found.slice(0, MAX_WARNINGS), { path, at, message }];
}

class IdleParts {
  readonly #values: FileValues;
  readonly #found: Problem[] = [];

  constructor(values: FileValues) {
    this.#values = values;
  }

  run(): readonly Problem[] {
    this.#interfaces();
    for (const [at, { interface: name }] of this.#values.rpf.routes.entries())
      if (!this.#isServed(name))
        this.#warn(
          ['rpf', 'routes', at, 'interface'],
          `nobody serves ${name}, so data of these sources is dropped; ${this.#serve(name)}`,
        );
    if (this.#values.dvmrp && !this.#owns('dvmrp'))
      this.#warn(['dvmrp'], 'has no effect: no interface has "owner: dvmrp"', 'key');
    for (const [name, instance] of Object.entries(this.#values.static)) this.#instance(name, instance);
    return this.#found;
  }

  #interfaces(): void {
    for (const [name, { owner, threshold, boundary, dvmrp }] of Object.entries(this.#values.interfaces)) {
      const path = ['interfaces', name];
      if (dvmrp && owner !== 'dvmrp')
        this.#warn(
          [...path, 'dvmrp'],
          `has no effect while dvmrp does not own ${name}; set "owner: dvmrp" or leave it out`,
        );
      if (this.#isServed(name)) continue;
      if (threshold !== 1) this.#warn([...path, 'threshold'], `has no effect: nobody serves ${name}; ${this.#serve()}`);
      if (boundary.length > 0)
        this.#warn([...path, 'boundary'], `has no effect: nobody serves ${name}; ${this.#serve()}`);
    }
  }

  #instance(name: string, { routes, joins }: Instance): void {
    const path = ['static', name];
    if (routes.length > 0 && !this.#owns(name))
      this.#warn(
        path,
        `no interface has "owner: ${name}", so its routes do nothing until an interface is handed over to it; set "owner: ${name}" on the interfaces in \`from\` and \`to\``,
        'key',
      );
    else for (const [at, route] of routes.entries()) this.#route(name, route, [...path, 'routes', at]);
    for (const [at, join] of joins.entries()) this.#join(join, [...path, 'joins', at]);
  }

  #route(instance: string, route: Route, path: Path): void {
    for (const [at, name] of route.from.entries())
      this.#input(instance, route, name, route.from.length === 1 ? [...path, 'from'] : [...path, 'from', at]);
    for (const [at, name] of route.to.entries()) this.#output(instance, route, name, [...path, 'to', at]);
  }

  #input(instance: string, route: Route, name: string, path: Path): void {
    const isBlock = route.to.length === 0;
    if (!this.#isOwned(instance, name)) {
      // What arrives by another protocol's interface follows the membership that such a route is.
      if (isMembership(route) && this.#isServed(name)) return;
      const effect = isBlock
        ? `so ${pairOf(route)} is not blocked there`
        : route.from.length === 1
          ? `so what arrives there does not follow the route of ${pairOf(route)}`
          : `so it never becomes the active input of ${pairOf(route)}`;
      const otherwise = isBlock && this.#isServed(name) ? `, or give ${name} a "boundary" around the group` : '';
      return this.#warn(
        path,
        `${this.#whose(instance, name)}, ${effect}; set "owner: ${instance}" on ${name}${otherwise}`,
      );
    }
    const scope = this.#scopeOf(route.group, name);
    if (scope && !isBlock)
      this.#warn(
        path,
        `${pairOf(route)} cannot come in by ${name}: its "boundary" ${formatPrefix(scope)} keeps it out; take one of the two out of the file`,
      );
  }

  #output(instance: string, route: Route, name: string, path: Path): void {
    const { igmp, threshold } = this.#values.interfaces[name]!;
    if (!this.#isOwned(instance, name)) {
      const otherwise = igmp && isGroup(route) ? `, or list the group in "igmp.staticGroups" of ${name}` : '';
      const effect = `so the route of ${pairOf(route)} sends nothing there`;
      return this.#warn(
        path,
        `${this.#whose(instance, name)}, ${effect}; set "owner: ${instance}" on ${name}${otherwise}`,
      );
    }
    const scope = this.#scopeOf(route.group, name);
    if (scope)
      this.#warn(
        path,
        `${pairOf(route)} cannot leave by ${name}: its "boundary" ${formatPrefix(scope)} keeps it in; take one of the two out of the file`,
      );
    if (threshold >= HIGHEST_TTL)
      this.#warn(path, `nothing can leave by ${name}: no packet has a TTL above its "threshold" ${threshold}`);
  }

  #join({ interface: name, group, source }: Join, path: Path): void {
    const what = pairOf({ source, group });
    if (!this.#isServed(name))
      return this.#warn(
        [...path, 'interface'],
        `nobody serves ${name}, so mgmd joins ${what} there but forwards nothing that arrives; ${this.#serve(name)}`,
      );
    const scope = this.#scopeOf(group, name);
    if (scope)
      this.#warn(
        [...path, 'interface'],
        `${what} cannot come in by ${name}: its "boundary" ${formatPrefix(scope)} keeps it out; take one of the two out of the file`,
      );
  }

  /** The boundary of the interface that covers the whole range. */
  #scopeOf(group: Prefix, name: string): Prefix | undefined {
    return this.#values.interfaces[name]?.boundary.find(
      (scope) => scope.length <= group.length && prefixContains(scope, group.network),
    );
  }

  #whose(instance: string, name: string): string {
    const { owner } = this.#values.interfaces[name] ?? {};
    return `${instance} does not own ${name} (${owner === undefined ? 'no "owner"' : `"owner: ${owner}"`})`;
  }

  #serve(name?: string): string {
    return `set "owner" or "igmp: true"${name === undefined ? '' : ` on ${name}`}`;
  }

  #isOwned(instance: string, name: string): boolean {
    return this.#values.interfaces[name]?.owner === instance;
  }

  #isServed(name: string): boolean {
    const { owner, igmp } = this.#values.interfaces[name] ?? {};
    return owner !== undefined || igmp !== undefined;
  }

  #owns(client: string): boolean {
    return Object.values(this.#values.interfaces).some(({ owner }) => owner === client);
  }

  #warn(path: Path, message: string, at: Problem['at'] = 'value'): void {
    this.#found.push({ path, at, message: `${nameOf(path)}: ${message}` });
  }
}

/** One group from one source or from any, with one input: wanted upstream as if somebody behind the outputs had asked. */
function isMembership(route: Route): boolean {
  return isGroup(route) && route.from.length === 1 && route.to.length > 0;
}

function isGroup({ source, group }: Route): boolean {
  return group.length === 32 && (source === undefined || source.length === 32);
}
