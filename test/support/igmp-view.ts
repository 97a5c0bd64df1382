/** What a running daemon shows of IGMP, asked over its control socket without a new process per question. */
import { ControlClient } from '../../src/control/client.js';
import type { Daemon } from './daemon.js';
import { type EventuallyOptions, eventually } from './eventually.js';

export interface IgmpGroup {
  /** The group timer; null in INCLUDE. */
  readonly expiresInMs: number | null;
  readonly interface: string;
  readonly group: string;
  readonly mode: 'include' | 'exclude';
  readonly compatibility: 'v1' | 'v2' | 'v3';
  readonly sources: readonly { readonly source: string; readonly wanted: boolean }[];
}

export interface IgmpInterface {
  readonly interface: string;
  readonly role: string;
  readonly querier: string | null;
  readonly otherQuerierExpiresInMs: number | null;
  readonly robustness: number;
  readonly queryIntervalMs: number;
  readonly problem: string | null;
}

/** An entry of the forwarding table as `show mfc` has it. */
export interface MfcEntry {
  readonly source: string;
  readonly group: string;
  readonly iif: string | null;
  readonly oifs: readonly string[];
  readonly state: string;
}

type Counted = Readonly<Record<string, number>>;

/** Names of views. */
const SHOW = { interfaces: 'igmp.interfaces', groups: 'igmp.groups', statistics: 'igmp.statistics' } as const;

export class IgmpView {
  readonly #client: ControlClient;

  private constructor(client: ControlClient) {
    this.#client = client;
  }

  static async of(daemon: Daemon): Promise<IgmpView> {
    return new IgmpView(await ControlClient.connect(daemon.controlSocket));
  }

  groups(ifname: string): Promise<readonly IgmpGroup[]> {
    return this.#on<IgmpGroup>(SHOW.groups, ifname);
  }

  async group(ifname: string, group: string): Promise<IgmpGroup | undefined> {
    return (await this.groups(ifname)).find((row) => row.group === group);
  }

  async interface(ifname: string): Promise<IgmpInterface> {
    return (await this.#on<IgmpInterface>(SHOW.interfaces, ifname))[0]!;
  }

  async dropped(ifname: string): Promise<Counted> {
    return (await this.#on<{ interface: string; dropped: Counted }>(SHOW.statistics, ifname))[0]!.dropped;
  }

  async received(ifname: string): Promise<Counted> {
    return (await this.#on<{ interface: string; received: Counted }>(SHOW.statistics, ifname))[0]!.received;
  }

  async sent(ifname: string): Promise<Counted> {
    return (await this.#on<{ interface: string; sent: Counted }>(SHOW.statistics, ifname))[0]!.sent;
  }

  mfc(): Promise<readonly MfcEntry[]> {
    return this.#client.rows<MfcEntry>('mfc');
  }

  /** Waits until the group is known on the interface and `fits`. */
  async knows(
    ifname: string,
    group: string,
    fits: (row: IgmpGroup) => boolean = () => true,
    options?: EventuallyOptions,
  ): Promise<IgmpGroup> {
    return eventually(
      `${group} on ${ifname} to be as wanted`,
      async () => {
        const row = await this.group(ifname, group);
        return row && fits(row) ? row : undefined;
      },
      options,
    );
  }

  /** Waits until the group is gone from the interface. */
  async forgets(ifname: string, group: string, options?: EventuallyOptions): Promise<void> {
    await eventually(
      `${group} to be gone from ${ifname}`,
      async () => (await this.group(ifname, group)) === undefined,
      options,
    );
  }

  /** Waits until the interface is in this role, and for this querier if one is given. */
  async role(ifname: string, role: string, querier?: string, options?: EventuallyOptions): Promise<IgmpInterface> {
    return eventually(
      `${ifname} to be ${role}${querier === undefined ? '' : ` beside ${querier}`}`,
      async () => {
        const row = await this.interface(ifname);
        return row.role === role && (querier === undefined || row.querier === querier) ? row : undefined;
      },
      options,
    );
  }

  close(): void {
    this.#client.close();
  }

  async #on<T extends { readonly interface: string }>(view: string, ifname: string): Promise<readonly T[]> {
    return (await this.#client.rows<T>(view)).filter((row) => row.interface === ifname);
  }
}
