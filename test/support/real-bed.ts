/**
 * A manager in the test's own process on the real kernel: the namespace the tests run in is the router, with three LANs
 * (10.1.0/24 to 10.3.0/24) that lead to hosts in namespaces of their own.
 */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { type IpAddress, formatIp } from '../../src/base/ip.js';
import { loadAddon } from '../../src/kernel/addon.js';
import { type Kernel, type KernelOptions, openKernel } from '../../src/kernel/system.js';
import { type ClientCallbacks, type Handle, JOIN, type MembershipKey, type MgmStatus } from '../../src/mgm/client.js';
import { Manager } from '../../src/mgm/manager.js';
import type { Answer } from '../../src/base/answer.js';
import type { Ifindex } from '../../src/port/kernel.js';
import { FakeClock } from './fake-clock.js';
import { RecordingLog } from './recording-log.js';
import type { Namespace, Net } from './topology.js';

const SEND = `
import socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_TTL, 8)
for _ in range(int(sys.argv[2])): s.sendto(b'x' * 100, (sys.argv[1], 5000))
`;

export interface Lan {
  readonly ifname: string;
  readonly ifindex: Ifindex;
  readonly host: Namespace;
  readonly hostAddress: string;
}

export class RealBed {
  readonly clock = new FakeClock();
  readonly log = new RecordingLog();
  readonly kernel: Kernel;
  readonly manager: Manager;
  readonly lans: readonly Lan[];
  #componentId = 0;

  constructor(net: Net, options: Partial<KernelOptions> = {}) {
    this.lans = [1, 2, 3].map((n) => makeLan(net, n));
    const opened = openKernel({ table: 253, clock: this.clock, log: this.log, addon: loadAddon(), ...options });
    if (!opened.ok) throw opened.error;
    this.kernel = opened.value;
    const { mroute, membership, links, routes } = this.kernel;
    const config = {
      mfeExpiry: 'refresh' as const,
      maxEntries: 65_536,
      foreign: 'leave' as const,
      rpfRoutes: [],
      thresholdOf: () => 1,
      watchMs: 500,
      reconcileMs: 60_000,
    };
    this.manager = new Manager({ clock: this.clock, log: this.log, mroute, membership, links, routes, config });
    this.manager.start();
    const refused = this.kernel.start();
    if (refused) throw refused;
  }

  /** A registered protocol that has taken the LANs of these numbers (1 to 3). */
  async client(
    name: string,
    takes: readonly number[],
    callbacks: ClientCallbacks = {},
    protocolId = 1000,
  ): Promise<Handle> {
    const { handle } = this.manager.register({ protocolId, componentId: ++this.#componentId, name, callbacks });
    if (handle === undefined) throw new Error(`${name} could not register`);
    for (const n of takes) await this.manager.takeInterface(handle, this.lan(n).ifindex);
    return handle;
  }

  lan(n: number): Lan {
    return this.lans[n - 1]!;
  }

  join(client: Handle, key: MembershipKey, n: number, flags = JOIN): Answer<MgmStatus> {
    return this.manager.addMembership(client, key, this.lan(n).ifindex, flags);
  }

  leave(client: Handle, key: MembershipKey, n: number, flags = JOIN): Answer<MgmStatus> {
    return this.manager.deleteMembership(client, key, this.lan(n).ifindex, flags);
  }

  /** The host of a LAN sends `count` packets. */
  send(n: number, group: IpAddress, count = 1): void {
    this.lan(n).host.run('python3', '-c', SEND, formatIp(group), String(count));
  }

  /** "lan1 -> lan2,lan3" as the kernel has it, by the ip command; undefined without a resolved entry. */
  kernelEntry(group: IpAddress): string | undefined {
    const text = execFileSync('ip', ['mroute'], { encoding: 'utf8' });
    const line = text.split('\n').find((one) => one.includes(`,${formatIp(group)})`) && !one.includes('unresolved'));
    const iif = /Iif: (\S+)/.exec(line ?? '')?.[1];
    const oifs = /Oifs: (.*?)\s+State/.exec(line ?? '')?.[1] ?? '';
    return line && `${iif} -> ${oifs.trim().split(/\s+/).filter(Boolean).sort().join()}`;
  }

  async close(): Promise<void> {
    await this.manager.stop();
    this.kernel.close();
    for (const { ifname } of this.lans) {
      try {
        execFileSync('ip', ['link', 'del', ifname], { stdio: 'ignore' });
      } catch {
        // The test deleted it itself.
      }
    }
  }
}

function makeLan(net: Net, n: number): Lan {
  const host = net.namespace(`lan${n}`);
  const ifname = `lan${n}`;
  const ip = (...args: string[]): string =>
    execFileSync('ip', args, { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  ip('link', 'add', ifname, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', host.name);
  ip('address', 'add', `10.${n}.0.1/24`, 'dev', ifname);
  for (const which of [ifname, 'all']) writeFileSync(`/proc/sys/net/ipv4/conf/${which}/rp_filter`, '0');
  ip('link', 'set', ifname, 'up');
  host.ip('address', 'add', `10.${n}.0.2/24`, 'dev', 'eth0');
  host.ip('link', 'set', 'eth0', 'up');
  host.ip('route', 'add', 'default', 'via', `10.${n}.0.1`);
  const [link] = JSON.parse(ip('-json', 'link', 'show', 'dev', ifname)) as { ifindex: number }[];
  return { ifname, ifindex: link!.ifindex as Ifindex, host, hostAddress: `10.${n}.0.2` };
}
