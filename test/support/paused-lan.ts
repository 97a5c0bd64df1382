/** A router whose LAN 2 can be paused, with everything that tells whether somebody changed a membership there meanwhile. */
import { execFileSync } from 'node:child_process';
import { formatIp } from '../../src/base/ip.js';
import { loadAddon } from '../../src/kernel/addon.js';
import { filterOf, HostMembershipReader } from '../../src/kernel/membership/host-memberships.js';
import type { KernelOptions } from '../../src/kernel/system.js';
import { ForeignMember } from './foreign-member.js';
import { Reports } from './igmp-reports.js';
import { type Lan, RealBed } from './real-bed.js';
import { linksPass, type Net, netnsTest } from './topology.js';

export const EAGAIN = 11;

/** The interface that is paused, and one that is not. */
const PAUSED = 2;
const OTHER = 3;

export class PausedLan {
  readonly #markers: string[] = [];
  readonly #reader = new HostMembershipReader(() => loadAddon().openMembershipSocket());

  private constructor(
    readonly net: Net,
    readonly bed: RealBed,
    readonly reports: Reports,
  ) {}

  static async start(net: Net, bed: RealBed): Promise<PausedLan> {
    await linksPass('the LANs to pass packets', () =>
      JSON.parse(execFileSync('ip', ['-json', 'link', 'show'], { encoding: 'utf8' })),
    );
    return new PausedLan(net, bed, await Reports.start({ net, bed }, PAUSED));
  }

  get lan(): Lan {
    return this.bed.lan(PAUSED);
  }

  get other(): Lan {
    return this.bed.lan(OTHER);
  }

  pause(): void {
    this.bed.kernel.membership.pause(this.lan.ifindex);
  }

  resume(): void {
    const errors = this.bed.kernel.membership.resume(this.lan.ifindex);
    if (errors.length > 0) throw new Error(errors.map(({ message }) => message).join());
  }

  /** A process of the router that is not mgmd. */
  member(ifindex: number = this.lan.ifindex): Promise<ForeignMember> {
    return ForeignMember.start(ifindex, (child) => this.net.keep(child));
  }

  /** What the interface receives: "239.1.1.1 include 10.0.0.1", without 224.0.0.1. */
  state(): readonly string[] {
    return (this.#reader.read(this.lan.ifindex) ?? [])
      .map((one) => {
        const filter = filterOf(one);
        return [formatIp(one.group), filter?.mode, ...(filter?.sources ?? []).map(formatIp).sort()].join(' ');
      })
      .filter((line) => !line.startsWith('224.0.0.1 ') && !this.#markers.some((group) => line.startsWith(`${group} `)))
      .sort();
  }

  /** A join of the kernel itself, which no gate sees: when it was told twice, so was whatever came before it. */
  async marker(): Promise<string> {
    const group = `239.255.9.${this.#markers.length + 1}`;
    this.#markers.push(group);
    execFileSync('ip', ['address', 'add', `${group}/32`, 'dev', this.lan.ifname, 'autojoin']);
    await this.reports.seenTwice(`TO_EX ${group}`);
    return group;
  }

  /** They would stay in the namespace's own socket, which takes 20, beyond their interface. */
  removeMarkers(): void {
    for (const group of this.#markers.splice(0))
      execFileSync('ip', ['address', 'delete', `${group}/32`, 'dev', this.lan.ifname], { stdio: 'pipe' });
  }

  /** All records since the last look, sorted and with their sources sorted, without markers, when nothing more is to come. */
  async told(): Promise<readonly string[]> {
    await this.marker();
    const told = this.reports.since().filter((record) => !this.#markers.some((group) => record.endsWith(group)));
    this.reports.forget();
    return told.map(inOrder).sort();
  }
}

/** The order of the sources in a record means nothing. */
function inOrder(record: string): string {
  const [type, group, ...sources] = record.split(' ');
  return [type, group, ...sources.sort()].join(' ');
}

export function pausedLanTest(
  title: string,
  options: () => Partial<KernelOptions>,
  body: (on: PausedLan) => Promise<void>,
): void {
  netnsTest(
    title,
    async (net) => {
      const bed = new RealBed(net, options());
      try {
        const on = await PausedLan.start(net, bed);
        await body(on);
        on.removeMarkers();
      } finally {
        await bed.close();
      }
    },
    300_000,
  );
}
