/**
 * Two protocols and IGMP on four interfaces, doing what a property test tells them, and a model of who has what built
 * from the answers and notifications alone. What must hold always, and what once everything is quiet, is checked here.
 */
import assert from 'node:assert/strict';
import type { Answer } from '../../src/base/answer.js';
import { ip, isAny } from '../../src/base/ip.js';
import type { MembershipKey, MgmStatus } from '../../src/mgm/client.js';
import type { MembershipView } from '../../src/mgm/snapshot.js';
import type { DumpedMfc, Ifindex } from '../../src/port/kernel.js';
import { settle } from './fake-clock.js';
import { type AckMode, TestClient, TestIgmp } from './fake-clients.js';
import { ALL, any, Bed, G1, G2, keyText, S0, S1, S2, S3, sg } from './manager-bed.js';

export type WorldStep =
  | { readonly kind: 'take' | 'release' | 'handover'; readonly client: number; readonly iface: number }
  | { readonly kind: 'igmp take' | 'igmp release' | 'replace interface'; readonly iface: number }
  | { readonly kind: 'host'; readonly iface: number; readonly key: number; readonly join: boolean }
  | {
      readonly kind: 'membership';
      readonly client: number;
      readonly iface: number;
      readonly key: number;
      readonly add: boolean;
    }
  | { readonly kind: 'packet'; readonly source: number; readonly arrival: number; readonly key: number }
  | { readonly kind: 'die'; readonly client: number }
  | { readonly kind: 'rogue add'; readonly iface: number; readonly key: number }
  | { readonly kind: 'mode'; readonly client: number; readonly mode: Exclude<AckMode, 'when told'> }
  | { readonly kind: 'time'; readonly ms: number };

const SOURCES = [S0, S1, S2, S3];
const KEYS: readonly MembershipKey[] = [any(G1), any(G2), ALL, sg(S2, G1)];
/** Longer than every limit of the manager but the life of an entry with traffic. */
const QUIET_MS = 100_000;

/** What a client knows from answers and notifications. */
class Belief {
  readonly owns = new Set<Ifindex>();
  readonly members = new Map<string, { readonly ifindex: Ifindex; readonly key: MembershipKey }>();
  mode: Exclude<AckMode, 'when told'> = 'at once';

  readonly #deletes = new Map<string, number>();

  deletesOf(id: string): number {
    return this.#deletes.get(id) ?? 0;
  }

  delete(id: string): void {
    this.members.delete(id);
    this.#deletes.set(id, this.deletesOf(id) + 1);
  }

  lose(ifindex: Ifindex): void {
    this.owns.delete(ifindex);
    for (const [id, member] of this.members) if (member.ifindex === ifindex) this.members.delete(id);
  }

  clear(): void {
    this.owns.clear();
    this.members.clear();
  }
}

class WatchedIgmp extends TestIgmp {
  /** Interfaces between disable and the acknowledgement of enable, and what went wrong with the order. */
  readonly paused = new Set<Ifindex>();
  readonly mistakes: string[] = [];

  protected override recording(): ReturnType<TestIgmp['recording']> {
    const recorded = super.recording();
    return {
      ...recorded,
      disableIgmp: (ifindex) => {
        if (this.paused.has(ifindex)) this.mistakes.push(`disable of ${ifindex} while disabled`);
        this.paused.add(ifindex);
        return recorded.disableIgmp?.(ifindex);
      },
      enableIgmp: (ifindex) => {
        if (!this.paused.has(ifindex)) this.mistakes.push(`enable of ${ifindex} while enabled`);
        const acknowledged = recorded.enableIgmp?.(ifindex);
        if (acknowledged instanceof Promise) void acknowledged.then(() => this.paused.delete(ifindex));
        else this.paused.delete(ifindex);
        return acknowledged;
      },
    };
  }
}

export class OwnershipWorld {
  readonly bed = new Bed();
  readonly #ifaces: Ifindex[] = [this.bed.eth0, this.bed.eth1, this.bed.eth2, this.bed.eth3];
  readonly #beliefs = [new Belief(), new Belief()];
  readonly #clients: TestClient[];
  readonly #igmp = new WatchedIgmp(this.bed, {});
  /** Interfaces that IGMP believes to be enabled on, and what its hosts want. */
  readonly #igmpOn = new Set<Ifindex>();
  readonly #hosts = new Map<string, { readonly ifindex: Ifindex; readonly key: MembershipKey }>();

  private constructor() {
    this.#clients = this.#beliefs.map((belief, n) => this.#client(n === 0 ? 'a' : 'b', n, belief));
    for (const client of [...this.#clients, this.#igmp]) client.register();
  }

  static async create(): Promise<OwnershipWorld> {
    const world = new OwnershipWorld();
    await settle();
    return world;
  }

  async perform(step: WorldStep): Promise<void> {
    this.#start(step);
    if (step.kind === 'time') await this.bed.clock.run(step.ms);
    await settle();
    if (step.kind === 'replace interface') await this.#replaced(step.iface);
    this.#buryIgmp();
  }

  /** Everybody answers again, and everything that was waited for comes or times out. */
  async quiesce(): Promise<void> {
    for (const belief of this.#beliefs) belief.mode = 'at once';
    this.#igmp.ack = 'at once';
    await this.bed.clock.run(QUIET_MS);
    this.#buryIgmp();
    await this.bed.clock.run(QUIET_MS);
  }

  async stop(): Promise<void> {
    await this.bed.manager.stop();
    await this.bed.clock.run(0);
  }

  checkAlways(): void {
    assert.deepEqual(this.#igmp.mistakes, []);
    const memberships = this.bed.manager.snapshot().memberships();
    for (const entry of this.bed.kernel.mroute.table().entries)
      for (const oif of entry.oifs) {
        assert.ok(oif.ifindex !== entry.iif, `${keyText(entry)} leaves by its iif`);
        assert.ok(
          wants(memberships, this.#name(oif.ifindex), entry),
          `${keyText(entry)} leaves by ${oif.ifindex}, unwanted`,
        );
      }
    this.#checkCounts(memberships);
  }

  /** Counts that are kept say what counting says. */
  #checkCounts(memberships: readonly MembershipView[]): void {
    const count = (fits: (view: MembershipView) => boolean) => memberships.filter(fits).length;
    const interfaces = this.bed.manager.snapshot().interfaces();
    for (const { name, memberships: live, stale } of interfaces) {
      assert.equal(
        live,
        count((view) => view.interface === name && !view.stale),
      );
      assert.equal(
        stale,
        count((view) => view.interface === name && view.stale),
      );
    }
    // One that died in a change of owner may still be there under the name of its successor, who has no interface yet.
    for (const { name, memberships: live, interfaces: own } of this.bed.manager.snapshot().clients())
      assert.equal(
        live,
        count((view) => view.client === name && !view.stale && own.includes(view.interface)),
      );
  }

  checkQuiet(): void {
    this.checkAlways();
    this.#checkOwners();
    this.#checkMemberships();
    this.#checkEntries();
    for (const view of this.bed.manager.snapshot().interfaces()) assert.equal(view.phase, 'steady');
  }

  #checkOwners(): void {
    for (const ifindex of this.#ifaces) {
      const owners = this.#clients.filter((_, n) => this.#beliefs[n]!.owns.has(ifindex)).map(({ name }) => name);
      assert.ok(owners.length <= 1, `ifindex ${ifindex} is owned by ${owners.join(' and ')}`);
      const view = this.bed.interfaceView(ifindex);
      assert.equal(view?.owner ?? undefined, owners[0]);
      assert.equal(view?.igmp ?? false, this.#igmpOn.has(ifindex));
      assert.equal(this.bed.kernel.mroute.vifOf(ifindex) !== undefined, owners.length > 0 || this.#igmpOn.has(ifindex));
    }
  }

  #checkMemberships(): void {
    const expected: string[] = [];
    for (const [n, belief] of this.#beliefs.entries())
      for (const { ifindex, key } of belief.members.values())
        expected.push(`${keyText(key)} ${this.#name(ifindex)} ${this.#clients[n]!.name}`);
    for (const { ifindex, key } of this.#hosts.values())
      if (this.#igmpOn.has(ifindex)) expected.push(`${keyText(key)} ${this.#name(ifindex)} igmp`);
    assert.deepEqual(this.bed.memberships(), expected.sort());
    assert.ok(
      !this.bed.manager
        .snapshot()
        .memberships()
        .some((view) => view.stale),
      'something is still stale',
    );
  }

  /** The kernel holds what the manager says, and that is what the memberships say. */
  #checkEntries(): void {
    const memberships = this.bed.manager.snapshot().memberships();
    const kernel = this.bed.kernel.mroute.table().entries.filter((entry) => !entry.unresolved);
    const manager = this.bed.manager.getFirstMfe(1000).items;
    assert.deepEqual(kernel.map(keyText).sort(), manager.map(keyText).sort());
    for (const entry of kernel) {
      const mfe = this.bed.mfe(entry.source, entry.group);
      assert.equal(mfe?.iif, entry.iif);
      const wanted = this.#ifaces.filter((i) => i !== entry.iif && wants(memberships, this.#name(i), entry)).sort();
      assert.deepEqual(entry.oifs.map((oif) => oif.ifindex).sort(), wanted, `${keyText(entry)} in the kernel`);
      assert.deepEqual(mfe?.oifs.map((oif) => oif.ifindex).sort(), wanted, `${keyText(entry)} in the manager`);
    }
  }

  #start(step: WorldStep): void {
    switch (step.kind) {
      case 'take':
        return this.#take(step.client, this.#ifaces[step.iface]!);
      case 'release':
        return this.#release(step.client, this.#ifaces[step.iface]!);
      case 'handover':
        return this.#handover(step.client, this.#ifaces[step.iface]!);
      case 'igmp take':
        return this.#igmpTake(this.#ifaces[step.iface]!);
      case 'igmp release':
        return this.#igmpRelease(this.#ifaces[step.iface]!);
      case 'host':
        return this.#host(this.#ifaces[step.iface]!, KEYS[step.key]!, step.join);
      case 'membership':
        return this.#membership(step.client, this.#ifaces[step.iface]!, KEYS[step.key]!, step.add);
      case 'packet':
        this.bed.kernel.packet(SOURCES[step.source]!, step.key % 2 ? G2 : G1, this.#ifaces[step.arrival]!);
        return;
      case 'die':
        return this.#die(step.client);
      case 'replace interface':
        return this.bed.kernel.deleteDevice(this.#ifaces[step.iface]!);
      case 'rogue add':
        return this.#rogue(this.#ifaces[step.iface]!, KEYS[step.key]!);
      case 'mode':
        if (step.client === 2) this.#igmp.ack = step.mode;
        else this.#beliefs[step.client]!.mode = step.mode;
        return;
      case 'time':
        return;
      default:
        return step satisfies never;
    }
  }

  #client(name: string, n: number, belief: Belief): TestClient {
    const reply = <T>(value: T): Answer<T> => {
      if (belief.mode === 'at once') return value;
      return belief.mode === 'by promise' ? Promise.resolve(value) : new Promise(() => undefined);
    };
    return new TestClient(
      this.bed,
      { protocolId: 1000, componentId: n, name },
      {
        answers: {
          rpf: () => reply(undefined),
          creationAlert: () => reply(undefined),
          localJoin: () => reply(undefined),
          pruneAlert: ({ memberDelete }) => (memberDelete ? undefined : reply(undefined)),
          interfaceOffered: () => reply(true),
          interfaceGranted: (ifindex) => {
            belief.owns.add(ifindex);
            this.bed.manager.resyncDone(this.#clients[n]!.handle!, ifindex);
          },
          interfaceLost: (ifindex) => belief.lose(ifindex),
          interfaceGone: (ifindex) => belief.lose(ifindex),
        },
      },
    );
  }

  #take(n: number, ifindex: Ifindex): void {
    const belief = this.#beliefs[n]!;
    this.#whenOk(this.#clients[n]!, this.#clients[n]!.take(ifindex), () => belief.owns.add(ifindex));
  }

  #release(n: number, ifindex: Ifindex): void {
    const belief = this.#beliefs[n]!;
    this.#whenOk(this.#clients[n]!, this.#clients[n]!.release(ifindex), () => belief.lose(ifindex));
  }

  #handover(to: number, ifindex: Ifindex): void {
    const [from, target] = [this.#clients[1 - to]!, this.#clients[to]!];
    void this.bed.manager.handover(ifindex, from.name, target.name, false);
  }

  #igmpTake(ifindex: Ifindex): void {
    this.#whenOk(this.#igmp, this.#igmp.take(ifindex), () => {
      this.#igmpOn.add(ifindex);
      for (const host of this.#hosts.values())
        if (host.ifindex === ifindex) void this.#igmp.hostJoins(host.key, ifindex);
    });
  }

  #igmpRelease(ifindex: Ifindex): void {
    this.#whenOk(this.#igmp, this.#igmp.release(ifindex), () => this.#igmpOn.delete(ifindex));
  }

  #host(ifindex: Ifindex, key: MembershipKey, join: boolean): void {
    const id = `${ifindex} ${keyText(key)}`;
    if (join === this.#hosts.has(id)) return;
    if (join) this.#hosts.set(id, { ifindex, key });
    else this.#hosts.delete(id);
    this.#igmp.remember(key, ifindex, join);
    if (!this.#igmpOn.has(ifindex)) return;
    void (join ? this.#igmp.hostJoins(key, ifindex) : this.#igmp.hostLeaves(key, ifindex));
  }

  #membership(n: number, ifindex: Ifindex, key: MembershipKey, add: boolean): void {
    const [client, belief] = [this.#clients[n]!, this.#beliefs[n]!];
    const id = `${ifindex} ${keyText(key)}`;
    if (!add) return this.#whenOk(client, client.remove(key, ifindex), () => belief.delete(id));
    const deletes = belief.deletesOf(id);
    // An Add whose answer comes after that of a later Delete is no news any more.
    this.#whenOk(client, client.add(key, ifindex), () => {
      if (belief.deletesOf(id) === deletes) belief.members.set(id, { ifindex, key });
    });
  }

  /** The client comes back at once, with nothing. */
  #die(n: number): void {
    const client = this.#clients[n];
    if (!client) return this.#igmpDies();
    client.die();
    this.#beliefs[n]!.clear();
    client.register();
  }

  #igmpDies(): void {
    this.#igmp.die();
    this.#igmpGone();
  }

  /** A manager that waited in vain has buried IGMP; a new instance knows the hosts and takes nothing yet. */
  #buryIgmp(): void {
    if (
      !this.bed.manager
        .snapshot()
        .clients()
        .some((view) => view.name === 'igmp')
    )
      this.#igmpGone();
  }

  #igmpGone(): void {
    this.#igmpOn.clear();
    this.#igmp.paused.clear();
    this.#igmp.register();
  }

  /** A call that IGMP must not make: it has to be refused from disable to the acknowledgement of enable. */
  #rogue(ifindex: Ifindex, key: MembershipKey): void {
    if (!this.#igmp.paused.has(ifindex)) return;
    const answer = this.#igmp.add(key, ifindex) as MgmStatus;
    assert.deepEqual([answer.code, answer.detail], ['ERROR_CAN_NOT_COMPLETE', 'igmpDisabled']);
  }

  async #replaced(n: number): Promise<void> {
    const gone = this.#ifaces[n]!;
    for (const belief of this.#beliefs) belief.lose(gone);
    this.#igmpOn.delete(gone);
    this.#igmp.paused.delete(gone);
    for (const [id, host] of this.#hosts) if (host.ifindex === gone) this.#hosts.delete(id);
    this.#ifaces[n] = this.bed.kernel.addDevice(`eth${n}`, `10.0.${n}.1/24`);
    await settle();
  }

  /** Belief follows the answer, unless the client died while it waited. */
  #whenOk(client: TestClient, answer: Answer<MgmStatus>, then: () => void): void {
    const handle = client.handle;
    const heed = ({ code }: MgmStatus) => {
      if (code === 'NO_ERROR' && client.handle === handle) then();
    };
    if (answer instanceof Promise) void answer.then(heed);
    else heed(answer);
  }

  #name(ifindex: Ifindex): string {
    return this.bed.kernel.links.byIndex(ifindex)?.name ?? `ifindex ${ifindex}`;
  }
}

/** Some membership on the interface, stale or not, matches the flow. */
function wants(memberships: readonly MembershipView[], name: string, { source, group }: DumpedMfc): boolean {
  return memberships.some(
    (view) =>
      view.interface === name &&
      (view.group === '*' || ip(view.group) === group) &&
      (view.source === '*' || isAny(source) || ip(view.source) === source),
  );
}
