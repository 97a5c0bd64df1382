/**
 * A manager on a fake kernel with four LANs and a journal of every callback in the order of delivery. Lines read
 * "<client> <callback> <what>", for example "pim join (*,239.1.1.1) TRUE" or "igmp disable eth1".
 */
import type { Answer } from '../../src/base/answer.js';
import { ANY4, formatIp, type IpAddress, ip, isAny, type Prefix, parsePrefix } from '../../src/base/ip.js';
import type { AdoptionResult } from '../../src/mgm/entries/adoption.js';
import type { MembershipKey, Mfe, MgmStatus } from '../../src/mgm/client.js';
import { Manager } from '../../src/mgm/manager.js';
import type { InterfaceView } from '../../src/mgm/snapshot.js';
import type { Ifindex } from '../../src/port/kernel.js';
import { type ClientOptions, type IgmpOptions, TestClient, TestIgmp } from './fake-clients.js';
import { FakeClock, settle } from './fake-clock.js';
import { FakeKernel } from './fake-kernel.js';
import { RecordingLog } from './recording-log.js';

export const G1 = ip('239.1.1.1');
export const G2 = ip('239.1.1.2');
/** Sources behind eth0..eth3. */
export const [S0, S1, S2, S3] = [ip('10.0.0.9'), ip('10.0.1.9'), ip('10.0.2.9'), ip('10.0.3.9')];

export const any = (group: IpAddress): MembershipKey => ({ source: ANY4, group });
export const sg = (source: IpAddress, group: IpAddress): MembershipKey => ({ source, group });
export const ALL: MembershipKey = { source: ANY4, group: ANY4 };

export function keyText({ source, group }: MembershipKey): string {
  return `(${isAny(source) ? '*' : formatIp(source)},${isAny(group) ? '*' : formatIp(group)})`;
}

export function prefixOf(text: string): Prefix {
  const parsed = parsePrefix(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
}

export interface BedConfig {
  readonly mfeExpiry?: 'refresh' | 'strict';
  readonly foreign?: 'leave' | 'remove';
  readonly maxEntries?: number;
  readonly maxMemberships?: { readonly ofClient: number; readonly ofAll: number };
  /** Prefixes that do not pass an interface, by its name. */
  readonly boundaries?: Readonly<Record<string, readonly string[]>>;
  /** By interface name; 1 elsewhere. */
  readonly thresholds?: Readonly<Record<string, number>>;
  /** Static overrides: prefix and interfaces, separated by blanks. */
  readonly rpfRoutes?: Readonly<Record<string, string>>;
}

export class Bed {
  readonly clock: FakeClock;
  readonly kernel: FakeKernel;
  readonly log = new RecordingLog();
  readonly journal: string[] = [];
  readonly eth0: Ifindex;
  readonly eth1: Ifindex;
  readonly eth2: Ifindex;
  readonly eth3: Ifindex;
  readonly manager: Manager;
  #componentId = 0;

  /** With a predecessor: its manager is dead, but its kernel is as it left it. */
  constructor(
    {
      mfeExpiry = 'refresh',
      foreign = 'leave',
      maxEntries = 65_536,
      maxMemberships = { ofClient: 262_144, ofAll: 393_216 },
      boundaries = {},
      rpfRoutes = {},
      thresholds = {},
    }: BedConfig = {},
    predecessor?: Bed,
  ) {
    this.clock = predecessor?.clock ?? new FakeClock();
    this.kernel = predecessor?.kernel ?? new FakeKernel(this.clock);
    const device = (n: number) =>
      this.kernel.links.byName(`eth${n}`)?.ifindex ?? this.kernel.addDevice(`eth${n}`, `10.0.${n}.1/24`);
    [this.eth0, this.eth1, this.eth2, this.eth3] = [device(0), device(1), device(2), device(3)];
    const boundaryOf = (name: string) => (boundaries[name] ?? []).map(prefixOf);
    const overrides = Object.entries(rpfRoutes).flatMap(([prefix, names]) =>
      names.split(' ').map((name) => ({ prefix: prefixOf(prefix), interface: name, neighbor: undefined })),
    );
    const { clock, kernel, log } = this;
    this.manager = new Manager({
      clock,
      log,
      mroute: kernel.mroute,
      membership: kernel.membership,
      links: kernel.links,
      routes: kernel.routes,
      config: {
        mfeExpiry,
        foreign,
        maxEntries,
        maxMemberships,
        rpfRoutes: overrides,
        thresholdOf: (name: string) => thresholds[name] ?? 1,
        boundaryOf,
        reconcileMs: 60_000,
        watchMs: 500,
      },
    });
    this.manager.start();
  }

  /** This manager dies as it is; the next one begins with its table. */
  async succeeded(
    ended: (result: AdoptionResult) => void = () => undefined,
    windowMs = 30_000,
    config: BedConfig = {},
  ): Promise<Bed> {
    await settle();
    this.clock.forgetTimers();
    this.kernel.links.forgetHandlers();
    const next = new Bed(config, this);
    void next.manager.adopt({ dump: this.kernel.mroute.table(), windowMs, ended });
    return next;
  }

  /** Registers a protocol whose callbacks go into the journal, and lets it take interfaces. */
  async client(name: string, takes: readonly Ifindex[] = [], options: ClientOptions = {}): Promise<TestClient> {
    const client = new TestClient(this, { protocolId: 1000, componentId: ++this.#componentId, name }, options);
    client.register();
    for (const ifindex of takes) await client.takes(ifindex);
    return client;
  }

  /** Registers IGMP, and lets it take interfaces. */
  async igmp(takes: readonly Ifindex[] = [], options: IgmpOptions = {}): Promise<TestIgmp> {
    const igmp = new TestIgmp(this, options);
    igmp.register();
    for (const ifindex of takes) await igmp.takes(ifindex);
    return igmp;
  }

  name(ifindex: Ifindex): string {
    return ['eth0', 'eth1', 'eth2', 'eth3'].find((_, n) => this.#devices()[n] === ifindex) ?? `ifindex ${ifindex}`;
  }

  note(line: string): void {
    this.journal.push(line);
  }

  /** The journal without the lines of other clients, without the client's name; emptied never. */
  heard(client: string): readonly string[] {
    return this.journal.filter((line) => line.startsWith(`${client} `)).map((line) => line.slice(client.length + 1));
  }

  /** Forgets what happened so far: the arrangement is over, the action comes. */
  async forget(): Promise<void> {
    await settle();
    this.journal.length = 0;
  }

  /** A packet, and everything that follows from it. */
  async flow(source: IpAddress, group: IpAddress, ifindex: Ifindex): Promise<number> {
    const id = this.kernel.packet(source, group, ifindex);
    await settle();
    return id;
  }

  /** Lets IGMP re-add in its later turn, and everybody hear of it. */
  async resync(): Promise<void> {
    await this.clock.run(0);
  }

  mfe(source: IpAddress, group: IpAddress): Mfe | undefined {
    return this.manager.getMfe({ source, group }).mfe;
  }

  /** "eth2 -> eth1,eth3" as the manager has it; undefined without an entry. */
  mfeText(source: IpAddress, group: IpAddress): string | undefined {
    const mfe = this.mfe(source, group);
    return (
      mfe &&
      this.#text(
        mfe.iif,
        mfe.oifs.map((oif) => oif.ifindex),
      )
    );
  }

  /** The same as the kernel has it. */
  kernelText(source: IpAddress, group: IpAddress): string | undefined {
    const entry = this.kernel.mroute.entry(source, group);
    return (
      entry &&
      this.#text(
        entry.iif,
        entry.oifs.map((oif) => oif.ifindex),
      )
    );
  }

  /** Manager and kernel agree, and say this. */
  entry(source: IpAddress, group: IpAddress): string | undefined {
    const [manager, kernel] = [this.mfeText(source, group), this.kernelText(source, group)];
    return manager === kernel ? manager : `manager ${manager}, kernel ${kernel}`;
  }

  interfaceView(ifindex: Ifindex): InterfaceView | undefined {
    return this.manager
      .snapshot()
      .interfaces()
      .find((view) => view.ifindex === ifindex);
  }

  /** U, G, P or PG. */
  state(ifindex: Ifindex): string {
    return this.interfaceView(ifindex)?.state ?? 'U';
  }

  /** "(*,239.1.1.1) eth1 pim", sorted, without the stale ones. */
  memberships(): readonly string[] {
    return this.manager
      .snapshot()
      .memberships()
      .filter((view) => !view.stale)
      .map((view) => `(${view.source},${view.group}) ${view.interface} ${view.client}`)
      .sort();
  }

  owner(ifindex: Ifindex): string {
    const { code, name } = this.manager.getProtocolOnInterface(ifindex);
    return name ?? code;
  }

  #devices(): readonly Ifindex[] {
    return [this.eth0, this.eth1, this.eth2, this.eth3];
  }

  #text(iif: Ifindex | undefined, oifs: readonly Ifindex[]): string {
    const names = oifs.map((ifindex) => this.name(ifindex)).sort();
    return `${iif === undefined ? 'nowhere' : this.name(iif)} -> ${names.join()}`;
  }
}

/** The code of an answer that must have been there at once. */
export function now(answer: Answer<MgmStatus>): string {
  return answer instanceof Promise ? 'answered by a promise' : answer.code;
}

/** "CODE detail". */
export async function said(answer: Answer<MgmStatus>): Promise<string> {
  const { code, detail } = await answer;
  return detail === undefined ? code : `${code} ${detail}`;
}
