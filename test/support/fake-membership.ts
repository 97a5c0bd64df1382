/** Host memberships behind the gate, in memory: wishes per holder, merged per group, net differences at resume. */
import type { KernelError } from '../../src/base/errors.js';
import { formatIp, type IpAddress, isMulticast } from '../../src/base/ip.js';
import type {
  Ifindex,
  MembershipCounters,
  MembershipFilter,
  MembershipPort,
  MembershipWish,
} from '../../src/port/kernel.js';
import { kernelError } from './fake-mroute.js';

interface Wish {
  readonly holder: string;
  readonly ifindex: Ifindex;
  readonly group: IpAddress;
  readonly filter: MembershipFilter;
}

export class FakeMembership implements MembershipPort {
  readonly #exists: (ifindex: Ifindex) => boolean;
  readonly #wishes = new Map<string, Wish>();
  /** What the kernel holds: "ifindex group" -> filter text. */
  readonly #kernel = new Map<string, string>();
  readonly #paused = new Set<Ifindex>();
  #joins = 0;
  #leaves = 0;
  #filters = 0;

  constructor(exists: (ifindex: Ifindex) => boolean) {
    this.#exists = exists;
  }

  set(
    holder: string,
    ifindex: Ifindex,
    group: IpAddress,
    filter: MembershipFilter | undefined,
  ): KernelError | undefined {
    const target = `${formatIp(group)} on ifindex ${ifindex}`;
    if (!isMulticast(group)) return kernelError('IP_ADD_MEMBERSHIP', target, 'EINVAL');
    if (filter && !this.#exists(ifindex)) return kernelError('IP_ADD_MEMBERSHIP', target, 'ENODEV');
    const key = `${holder} ${ifindex} ${group}`;
    if (filter) this.#wishes.set(key, { holder, ifindex, group, filter });
    else this.#wishes.delete(key);
    if (!this.#paused.has(ifindex)) this.#bringUpToDate(ifindex, group);
    return undefined;
  }

  pause(ifindex: Ifindex): void {
    this.#paused.add(ifindex);
  }

  resume(ifindex: Ifindex): readonly KernelError[] {
    if (!this.#paused.delete(ifindex)) return [];
    const wished = [...this.#wishes.values()].filter((wish) => wish.ifindex === ifindex).map((wish) => wish.group);
    const held = this.groups(ifindex);
    for (const group of new Set([...wished, ...held])) this.#bringUpToDate(ifindex, group);
    return [];
  }

  interfaceGone(ifindex: Ifindex): void {
    this.#paused.delete(ifindex);
    for (const [key, wish] of this.#wishes) if (wish.ifindex === ifindex) this.#wishes.delete(key);
    for (const key of this.#kernel.keys()) if (key.startsWith(`${ifindex} `)) this.#kernel.delete(key);
  }

  counters(): MembershipCounters {
    return { joins: this.#joins, leaves: this.#leaves, filters: this.#filters };
  }

  list(): readonly MembershipWish[] {
    return [...this.wishes()];
  }

  *wishes(): Generator<MembershipWish, void> {
    for (const wish of this.#wishes.values()) yield { ...wish, held: this.#isHeld(wish) };
  }

  membershipsFor({ mode, sources }: MembershipFilter): number {
    return mode === 'exclude' ? 1 : Math.max(1, Math.ceil(sources.length / 10));
  }

  holds(holder: string, ifindex: Ifindex, group: IpAddress): boolean {
    const wish = this.#wishes.get(`${holder} ${ifindex} ${group}`);
    return wish !== undefined && this.#isHeld(wish);
  }

  problem(): string | undefined {
    return undefined;
  }

  #isHeld({ ifindex, group }: Wish): boolean {
    return this.#kernel.has(`${ifindex} ${group}`);
  }

  /** For tests: the groups the kernel would report on the interface, in no order. */
  groups(ifindex: Ifindex): readonly IpAddress[] {
    const prefix = `${ifindex} `;
    return [...this.#kernel.keys()]
      .filter((key) => key.startsWith(prefix))
      .map((key) => Number(key.slice(prefix.length)) as unknown as IpAddress);
  }

  /** For tests: is the gate of the interface closed? */
  paused(ifindex: Ifindex): boolean {
    return this.#paused.has(ifindex);
  }

  #bringUpToDate(ifindex: Ifindex, group: IpAddress): void {
    const wishes = [...this.#wishes.values()].filter((wish) => wish.ifindex === ifindex && wish.group === group);
    const key = `${ifindex} ${group}`;
    const have = this.#kernel.get(key);
    const want = merged(wishes.map((wish) => wish.filter));
    if (want === have) return;
    if (want === undefined) {
      this.#leaves++;
      this.#kernel.delete(key);
      return;
    }
    if (have === undefined) this.#joins++;
    else this.#filters++;
    this.#kernel.set(key, want);
  }
}

/** The filter that serves all wishes (RFC 3376 section 3.2), as comparable text; undefined when nothing is wanted. */
function merged(filters: readonly MembershipFilter[]): string | undefined {
  const includes = new Set(filters.filter((f) => f.mode === 'include').flatMap((f) => f.sources));
  const excludes = filters.filter((f) => f.mode === 'exclude').map((f) => f.sources);
  if (excludes.length === 0) return includes.size === 0 ? undefined : `include ${[...includes].sort().join()}`;
  const blocked = excludes[0]!.filter((source) => excludes.every((list) => list.includes(source)));
  return `exclude ${blocked
    .filter((source) => !includes.has(source))
    .sort()
    .join()}`;
}
