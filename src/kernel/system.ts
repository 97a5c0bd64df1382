/** Opens the kernel: every port over the addon, in the one order that works. */
import { KernelError } from '../base/errors.js';
import { err, ok, type Result } from '../base/result.js';
import type { Clock } from '../port/clock.js';
import type { Ifindex } from '../port/kernel.js';
import type { Log } from '../port/log.js';
import { type Addon, loadAddon, type NativeIgmpSocket, type NativeMembershipSocket } from './addon.js';
import { AddressWatch } from './address-watch.js';
import { Bridges } from './host/bridges.js';
import { kernelError, numbered, refusal } from './errno.js';
import { GroupRoute } from './host/group-route.js';
import { HostGroups } from './host/host-groups.js';
import { HostIgmp, sourceLimit } from './host/host-igmp.js';
import { HostMembershipReader } from './membership/host-memberships.js';
import { HostPause, type HostPauseParts } from './membership/host-pause.js';
import { IgmpSocket } from './igmp-socket.js';
import { Links } from './host/links.js';
import { MembershipGate } from './membership/membership.js';
import { type Leftovers, Mroute } from './mroute.js';
import { openPauseGate, type PauseScope, sayThatThereIsNoGate } from './membership/pause-gate.js';
import { MAIN_TABLE, Routes } from './host/routes.js';

/** Bounded on purpose: each waiting upcall makes the next one dearer for the kernel (linux.md B6). Holds about 5,000. */
const RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024;

export interface KernelOptions {
  /** The multicast routing table; 253 is the default one. */
  readonly table: number;
  /** The unicast table of RPF look-ups; 254, the default, is the kernel's own look-up. */
  readonly rpfTable?: number;
  /** The multicast routing socket of a predecessor, by descriptor number: its table is taken over as it is. */
  readonly inheritedFd?: number;
  /** What `membership.duplicates().pools` of a predecessor returned: kept until `membership.releaseInherited()`. */
  readonly inheritedMembershipFds?: readonly number[];
  /** Told of each new pool of memberships: a duplicate, which is the callee's and has in it what is joined later, too. */
  readonly poolOpened?: (fd: number) => void;
  /** Whose membership calls wait while an interface is paused; 'agent', mgmd's own, is the default. */
  readonly pauseScope?: PauseScope;
  readonly clock: Clock;
  readonly log: Log;
  /** The real one unless a test brings another. */
  readonly addon?: Addon;
}

export interface Kernel {
  readonly mroute: Mroute;
  readonly membership: MembershipGate;
  readonly igmp: IgmpSocket;
  readonly links: Links;
  readonly routes: Routes;
  readonly hostGroups: HostGroups;
  readonly bridges: Bridges;
  readonly hostIgmp: HostIgmp;
  readonly addressWatch: AddressWatch;
  /** In force, which is 'host' also where best effort got everything. */
  readonly pauseScope: PauseScope;
  /** What was in the table before; nothing for an inherited socket. */
  readonly leftovers: Leftovers;
  /** Begins to deliver IGMP and upcalls; to be called when all handlers are there. */
  start(): KernelError | undefined;
  descriptors(): KernelDescriptors;
  /** A second descriptor of the routing socket, which keeps forwarding alive when this process ends. The caller owns it. */
  duplicateSocket(): number | KernelError;
  /** Leaves all groups, empties and gives up the table, closes everything. Harmless twice. */
  close(): void;
  /** Closes everything and changes nothing: what `descriptors()` returned keeps table and memberships as they are. */
  abandon(): void;
}

/** Duplicates of what a successor needs, which the caller owns. */
export interface KernelDescriptors {
  readonly routing: number;
  /** Pools of memberships in the order in which `poolOpened` was told of them. */
  readonly pools: readonly number[];
  /** Those of a predecessor that are still held, in the order in which they were passed in. */
  readonly inherited: readonly number[];
}

/** `abandon`: the kernel keeps what it has. */
type Closer = (abandon: boolean) => void;

/** On failure everything opened so far is closed again. */
export function openKernel(options: KernelOptions): Result<Kernel, KernelError> {
  const addon = options.addon ?? loadAddon();
  const closers: Closer[] = [];
  const close = (abandon = false) => {
    for (const closer of closers.splice(0).reverse()) closer(abandon);
  };
  const opened = openAll(addon, options, closers);
  if (opened instanceof KernelError) {
    close();
    return err(opened);
  }
  return ok({ ...opened, close: () => close(), abandon: () => close(true) });
}

function openAll(
  addon: Addon,
  options: KernelOptions,
  closers: Closer[],
): Omit<Kernel, 'close' | 'abandon'> | KernelError {
  const { table, clock, log, inheritedFd, pauseScope = 'agent' } = options;
  const native = addon.openIgmpSocket(inheritedFd);
  if (typeof native === 'number') return kernelError('opening', 'the raw IGMP socket', native);
  closers.push(() => native.close());
  // Before the table is touched: without the gate that is asked for, nothing happens.
  const opened = openPauseGate(addon, pauseScope);
  if (opened instanceof KernelError && pauseScope === 'host') return opened;
  const gate = opened instanceof KernelError ? undefined : opened;
  if (gate) closers.push(() => gate.close());
  warnAboutBuffer(native.setReceiveBuffer(RECEIVE_BUFFER_BYTES), log);
  let known: Links | undefined;
  const nameOf = (ifindex: number) => known?.byIndex(ifindex as Ifindex)?.name ?? numbered(ifindex);
  const igmp = new IgmpSocket(native, nameOf);
  const routing = Mroute.open(addon, addon.mrouteOf(native, table), igmp, {
    table,
    inherited: inheritedFd !== undefined,
    log,
    nameOf,
  });
  if (!routing.ok) return routing.error;
  const { mroute, leftovers } = routing.value;
  closers.push((abandon) => (abandon ? mroute.abandon() : mroute.close()));
  const links = Links.open(addon, log);
  if (!links.ok) return links.error;
  known = links.value;
  closers.push(() => links.value.close());
  const routes = Routes.open(addon, {
    links: links.value,
    table: options.rpfTable ?? MAIN_TABLE,
    clock,
    log,
  });
  if (!routes.ok) return routes.error;
  closers.push(() => routes.value.close());
  const hostGroups = new HostGroups(addon, log);
  closers.push(() => hostGroups.close());
  const bridges = Bridges.open(addon);
  if (!bridges.ok) return bridges.error;
  closers.push(() => bridges.value.close());
  const addressWatch = new AddressWatch({ addon, links: links.value, clock, nameOf });
  closers.push(() => addressWatch.close());
  const inherited = adoptMemberships(addon, options.inheritedMembershipFds ?? []);
  if (inherited instanceof KernelError) return inherited;
  const mostSources = sourceLimit(() => clock.nowMs());
  const pauseParts = { gate, links: links.value, mostSources, log };
  const host = pauseScope === 'agent' ? undefined : openHostPause(addon, pauseParts, closers);
  if (host instanceof KernelError) return host;
  const membership = new MembershipGate(() => openPool(addon, options.poolOpened), inherited, {
    host,
    nameOf,
    mostSources,
    clock,
  });
  closers.push(() => membership.close());
  if (opened instanceof KernelError) sayThatThereIsNoGate(opened, log);
  return {
    mroute,
    membership,
    igmp,
    links: links.value,
    routes: routes.value,
    hostGroups,
    bridges: bridges.value,
    hostIgmp: new HostIgmp(links.value, () => clock.nowMs()),
    addressWatch,
    pauseScope: gate ? 'host' : pauseScope,
    leftovers,
    start: () => igmp.start(),
    duplicateSocket: () => duplicate(native),
    descriptors: () => ({ routing: native.duplicate(), ...membership.duplicates() }),
  };
}

function openHostPause(
  addon: Addon,
  parts: Pick<HostPauseParts, 'gate' | 'links' | 'mostSources' | 'log'>,
  closers: Closer[],
): HostPause | KernelError {
  const route = GroupRoute.open(addon);
  if (!route.ok) return route.error;
  closers.push(() => route.value.close());
  const openPool = () => addon.openMembershipSocket(undefined, parts.gate?.mark);
  const reader = new HostMembershipReader(openPool);
  return new HostPause({
    ...parts,
    openPool,
    memberships: (ifindex) => reader.read(ifindex),
    routeTo: (group) => route.value.to(group),
  });
}

function adoptMemberships(addon: Addon, fds: readonly number[]): readonly NativeMembershipSocket[] | KernelError {
  const adopted: NativeMembershipSocket[] = [];
  for (const fd of fds) {
    const pool = addon.openMembershipSocket(fd);
    if (typeof pool !== 'number') adopted.push(pool);
    else {
      for (const earlier of adopted) earlier.close();
      return kernelError('adopting', 'the inherited memberships', pool);
    }
  }
  return adopted;
}

function openPool(addon: Addon, opened: KernelOptions['poolOpened']): NativeMembershipSocket | number {
  const pool = addon.openMembershipSocket();
  if (typeof pool === 'number' || !opened) return pool;
  const fd = pool.duplicate();
  if (fd >= 0) opened(fd);
  return pool;
}

function duplicate(native: NativeIgmpSocket): number | KernelError {
  const fd = native.duplicate();
  return fd >= 0 ? fd : (refusal('duplicating', 'the IPv4 multicast routing socket', -fd) ?? fd);
}

/** The kernel doubles what it is asked for, so less than asked means that it refused. */
function warnAboutBuffer(grantedBytes: number, log: Log): void {
  if (grantedBytes >= RECEIVE_BUFFER_BYTES) return;
  log.warn(
    { evt: 'kernel.buffer.reduced', grantedBytes, wantedBytes: RECEIVE_BUFFER_BYTES },
    `the routing socket's receive buffer is ${grantedBytes} bytes instead of ${RECEIVE_BUFFER_BYTES}; bursts of new flows may wait: give the service CAP_NET_ADMIN or raise net.core.rmem_max`,
  );
}
