/** Clients of the manager for tests: a protocol that writes down what it hears, and an IGMP with hosts behind it. */
import type { Answer } from '../../src/base/answer.js';
import { ip } from '../../src/base/ip.js';
import {
  type ClientCallbacks,
  type CreationRequest,
  type Handle,
  JOIN,
  type MaskedKey,
  type MembershipKey,
  type MgmStatus,
  PROTOCOL,
  type Registration,
} from '../../src/mgm/client.js';
import type { Ifindex } from '../../src/port/kernel.js';
import { type Bed, keyText, prefixOf } from './manager-bed.js';

type Id = Pick<Registration, 'protocolId' | 'componentId' | 'name'>;

export interface ClientOptions {
  /** What its request callbacks answer; they are written into the journal in any case. */
  readonly answers?: Partial<ClientCallbacks>;
  /** Callbacks it does not have. */
  readonly without?: readonly (keyof ClientCallbacks)[];
  readonly ribPreference?: number;
}

export class TestClient {
  handle: Handle | undefined;
  readonly name: string;
  protected readonly bed: Bed;
  readonly #id: Id;
  readonly #options: ClientOptions;

  constructor(bed: Bed, id: Id, options: ClientOptions = {}) {
    this.bed = bed;
    this.name = id.name;
    this.#id = id;
    this.#options = options;
  }

  register(): MgmStatus {
    const status = this.bed.manager.register(this.registration());
    this.handle = status.handle;
    if (status.code !== 'NO_ERROR') throw new Error(`${this.name} could not register: ${status.code} ${status.detail}`);
    return status;
  }

  registration(): Registration {
    const callbacks: Record<string, unknown> = { ...this.recording() };
    for (const name of this.#options.without ?? []) delete callbacks[name];
    const { ribPreference, answers } = this.#options;
    if (answers?.expects) callbacks['expects'] = answers.expects;
    const rib = ribPreference === undefined ? {} : { ribPreference };
    return { ...this.#id, ...rib, callbacks: callbacks as ClientCallbacks };
  }

  take(ifindex: Ifindex): Answer<MgmStatus> {
    return this.bed.manager.takeInterface(this.handle!, ifindex);
  }

  /** Takes and insists. */
  async takes(ifindex: Ifindex): Promise<void> {
    const { code, detail } = await this.take(ifindex);
    if (code !== 'NO_ERROR')
      throw new Error(`${this.name} could not take ${this.bed.name(ifindex)}: ${code} ${detail}`);
  }

  release(ifindex: Ifindex): Answer<MgmStatus> {
    return this.bed.manager.releaseInterface(this.handle!, ifindex);
  }

  add(key: MaskedKey, ifindex: Ifindex, flags = JOIN): Answer<MgmStatus> {
    return this.bed.manager.addMembership(this.handle!, key, ifindex, flags);
  }

  remove(key: MaskedKey, ifindex: Ifindex, flags = JOIN): Answer<MgmStatus> {
    return this.bed.manager.deleteMembership(this.handle!, key, ifindex, flags);
  }

  /** `feeds('10.9.0.0/16', eth1, '10.0.1.7')`; without an interface the route is withdrawn. */
  feeds(prefix: string, ifindex?: Ifindex, neighbor?: string): Answer<MgmStatus> {
    const via = neighbor === undefined ? undefined : ip(neighbor);
    return this.bed.manager.feedRoutes(this.handle!, [{ prefix: prefixOf(prefix), ifindex, neighbor: via, metric: 1 }]);
  }

  /** The connection is gone. */
  die(): void {
    this.bed.manager.disconnect(this.handle!, 'the test pulled the plug');
  }

  /** Every callback: into the journal, then whatever `answers` says. */
  protected recording(): ClientCallbacks {
    const { bed } = this;
    const answers = this.#options.answers ?? {};
    const note = (line: string) => bed.note(`${this.name} ${line}`);
    const truth = (flag: boolean) => (flag ? 'TRUE' : 'FALSE');
    return {
      rpf: (request) => {
        note(`rpf ${keyText(request)} ${bed.name(request.ifindex)}`);
        return answers.rpf?.(request);
      },
      creationAlert: (request) => {
        note(`creation ${keyText(request)} ${candidates(bed, request)}`);
        return answers.creationAlert?.(request);
      },
      joinAlert: (alert) => {
        note(`join ${keyText(alert)} ${truth(alert.memberUpdate)}`);
        answers.joinAlert?.(alert);
      },
      pruneAlert: (alert) => {
        note(`prune ${keyText(alert)} ${truth(alert.memberDelete)}`);
        return answers.pruneAlert?.(alert);
      },
      localJoin: (join) => {
        note(`local-join ${keyText(join)} ${bed.name(join.ifindex)}`);
        return answers.localJoin?.(join);
      },
      localLeave: (leave) => {
        note(`local-leave ${keyText(leave)} ${bed.name(leave.ifindex)}`);
        answers.localLeave?.(leave);
      },
      localSource: (advice) => {
        note(`local-${advice.refused ? 'refuse' : 'allow'} ${keyText(advice)} ${bed.name(advice.ifindex)}`);
        answers.localSource?.(advice);
      },
      localQuerier: (advice) => {
        note(`${advice.querier ? 'querier' : 'non-querier'} ${bed.name(advice.ifindex)}`);
        answers.localQuerier?.(advice);
      },
      wrongInterface: (event) => note(`wrong-if ${keyText(event)} ${bed.name(event.ifindex)}`),
      disableIgmp: (ifindex) => {
        note(`disable ${bed.name(ifindex)}`);
        return answers.disableIgmp?.(ifindex);
      },
      enableIgmp: (ifindex) => {
        note(`enable ${bed.name(ifindex)}`);
        return answers.enableIgmp?.(ifindex);
      },
      interfaceGone: (ifindex) => {
        note(`gone ${bed.name(ifindex)}`);
        answers.interfaceGone?.(ifindex);
      },
      interfaceLost: (ifindex, reason) => {
        note(`lost ${bed.name(ifindex)}`);
        answers.interfaceLost?.(ifindex, reason);
      },
      interfaceOffered: (ifindex) => {
        note(`offered ${bed.name(ifindex)}`);
        return answers.interfaceOffered?.(ifindex) ?? true;
      },
      interfaceGranted: (ifindex) => {
        note(`granted ${bed.name(ifindex)}`);
        answers.interfaceGranted?.(ifindex);
      },
      mfeDeleted: (key) => note(`mfe-deleted ${keyText(key)}`),
    };
  }
}

/** "eth1+igmp eth3": each candidate, with the interfaces where IGMP is; "!" marks one that is not preset to forward. */
function candidates(bed: Bed, { oifs }: CreationRequest): string {
  return oifs
    .map((oif) => `${oif.enabled ? '' : '!'}${bed.name(oif.ifindex)}${oif.igmp ? '+igmp' : ''}`)
    .sort()
    .join(' ');
}

/** How IGMP acknowledges disable and enable: at once, by a promise, when the test calls `acknowledge`, never. */
export type AckMode = 'at once' | 'by promise' | 'when told' | 'never';

export interface IgmpOptions {
  readonly ack?: AckMode;
  /** Sends resyncDone after its re-adds; true unless given. */
  readonly saysResyncDone?: boolean;
  readonly without?: ClientOptions['without'];
  /** Runs inside the callback, before the acknowledgement. */
  readonly onDisable?: (ifindex: Ifindex) => void;
  readonly onEnable?: (ifindex: Ifindex) => void;
  /** Runs in the middle of the re-adds: after each one. */
  readonly onReAdded?: (ifindex: Ifindex, count: number) => void;
}

const SILENT: readonly (keyof ClientCallbacks)[] = ['rpf', 'creationAlert', 'joinAlert', 'pruneAlert'];

/** IGMP as the manager's rules want it: keeps its hosts' state, stays quiet while disabled, re-adds in a later turn. */
export class TestIgmp extends TestClient {
  ack: AckMode;
  /** Codes other than NO_ERROR that its own adds and deletes got. */
  readonly refused: string[] = [];
  readonly #igmp: IgmpOptions;
  readonly #hosts = new Map<Ifindex, Map<string, MembershipKey>>();
  readonly #disabled = new Set<Ifindex>();
  readonly #waiting = new Map<Ifindex, () => void>();
  /** Counts the disables, so that an enable of yesterday does not re-add into the pause of today. */
  readonly #pauses = new Map<Ifindex, number>();

  constructor(bed: Bed, options: IgmpOptions = {}) {
    super(
      bed,
      { protocolId: PROTOCOL.igmp, componentId: 0, name: 'igmp' },
      { without: [...SILENT, ...(options.without ?? [])] },
    );
    this.ack = options.ack ?? 'at once';
    this.#igmp = options;
  }

  /** A host joins: told to the manager unless the interface is disabled. */
  async hostJoins(key: MembershipKey, ifindex: Ifindex): Promise<void> {
    this.#known(ifindex).set(keyText(key), key);
    if (!this.#disabled.has(ifindex)) await this.#insist(this.add(key, ifindex));
  }

  async hostLeaves(key: MembershipKey, ifindex: Ifindex): Promise<void> {
    this.#known(ifindex).delete(keyText(key));
    if (!this.#disabled.has(ifindex)) await this.#insist(this.remove(key, ifindex));
  }

  /** What a host wants, without telling the manager: it is re-added when the interface is enabled again. */
  remember(key: MembershipKey, ifindex: Ifindex, joined: boolean): void {
    if (joined) this.#known(ifindex).set(keyText(key), key);
    else this.#known(ifindex).delete(keyText(key));
  }

  /** A new instance after a death: it knows of no pause and owes no answer. */
  override register(): MgmStatus {
    this.#disabled.clear();
    this.#waiting.clear();
    for (const [ifindex, pauses] of this.#pauses) this.#pauses.set(ifindex, pauses + 1);
    return super.register();
  }

  /** In mode 'when told': answers the callback that waits for this interface. */
  async acknowledge(ifindex: Ifindex): Promise<void> {
    const answer = this.#waiting.get(ifindex);
    if (!answer) throw new Error(`no callback about ${this.bed.name(ifindex)} waits for an acknowledgement`);
    this.#waiting.delete(ifindex);
    answer();
    await Promise.resolve();
    await new Promise((resolve) => setImmediate(resolve));
  }

  protected override recording(): ClientCallbacks {
    const recorded = super.recording();
    return {
      ...recorded,
      disableIgmp: (ifindex) => {
        void recorded.disableIgmp?.(ifindex);
        this.#disabled.add(ifindex);
        this.#pauses.set(ifindex, (this.#pauses.get(ifindex) ?? 0) + 1);
        this.#igmp.onDisable?.(ifindex);
        return this.#acknowledgement(ifindex);
      },
      enableIgmp: (ifindex) => {
        void recorded.enableIgmp?.(ifindex);
        this.#igmp.onEnable?.(ifindex);
        const answer = this.#acknowledgement(ifindex);
        if (answer) void answer.then(() => this.#resume(ifindex));
        else this.#resume(ifindex);
        return answer;
      },
    };
  }

  #known(ifindex: Ifindex): Map<string, MembershipKey> {
    let keys = this.#hosts.get(ifindex);
    if (!keys) this.#hosts.set(ifindex, (keys = new Map<string, MembershipKey>()));
    return keys;
  }

  #acknowledgement(ifindex: Ifindex): Promise<void> | undefined {
    if (this.ack === 'at once') return undefined;
    if (this.ack === 'by promise') return Promise.resolve();
    return new Promise((resolve) => {
      if (this.ack === 'when told') this.#waiting.set(ifindex, resolve);
    });
  }

  /** Never from inside the callback (D-EN-1): everything again in a later turn, then resyncDone (D-EN-2). */
  #resume(ifindex: Ifindex): void {
    const pause = this.#pauses.get(ifindex);
    this.bed.clock.after(0, () => {
      if (this.#pauses.get(ifindex) !== pause) return;
      this.#disabled.delete(ifindex);
      let count = 0;
      for (const key of this.#known(ifindex).values()) {
        void this.#insist(this.add(key, ifindex));
        this.#igmp.onReAdded?.(ifindex, ++count);
      }
      if (this.#igmp.saysResyncDone ?? true) this.bed.manager.resyncDone(this.handle!, ifindex);
    });
  }

  #insist(answer: Answer<MgmStatus>): Answer<void> {
    const check = ({ code, detail }: MgmStatus) => {
      if (code !== 'NO_ERROR') this.refused.push(`${code} ${detail}`);
    };
    return answer instanceof Promise ? answer.then(check) : check(answer);
  }
}
