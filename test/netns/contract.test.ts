/** The real kernel ports keep the contract that the fake kernel is held to (test/unit/fake-kernel.test.ts). */
import { beforeAll, test } from 'vitest';
import { type IpAddress, formatIp, ip as address, toU32 } from '../../src/base/ip.js';
import type { Kernel } from '../../src/kernel/system.js';
import type { MfcChange, Upcall } from '../../src/port/kernel.js';
import { eventually } from '../support/eventually.js';
import { igmpFrame, SEND_FRAMES } from '../support/igmp-frame.js';
import { type Device, type Ground, KERNEL_CONTRACT } from '../support/kernel-contract.js';
import { linksPass, type Namespace, type Net, withNet } from '../support/topology.js';
import type { Receiver } from '../support/traffic.js';
import { ifindexOf, run, sysctl, withKernel } from './own-namespace.js';

const SUBNETS: Readonly<Record<Device, string>> = { in: '10.1.0', out: '10.2.0', other: '10.3.0' };
const DEVICES = ['in', 'out', 'other'] as const;
/** Flows to 239.255/16 are the ground's own: when one is reported, everything before it has been. */
const isFence = (group: IpAddress) => toU32(group) >>> 16 === 0xefff;

/** This process is the router, each device leads to a host in a namespace of its own. */
class RealGround implements Ground {
  readonly mroute: Kernel['mroute'];
  readonly links: Kernel['links'];
  readonly routes: Kernel['routes'];
  readonly membership: Kernel['membership'];
  readonly addressWatch: Kernel['addressWatch'];
  readonly upcalls: Upcall[] = [];
  readonly changes: (MfcChange | undefined)[] = [];
  readonly #hosts: Readonly<Record<Device, Namespace>>;
  readonly #receivers = new Map<string, Receiver>();
  readonly #fences = new Set<IpAddress>();

  constructor(kernel: Kernel, hosts: Readonly<Record<Device, Namespace>>) {
    ({ mroute: this.mroute, links: this.links, routes: this.routes, membership: this.membership } = kernel);
    this.addressWatch = kernel.addressWatch;
    this.#hosts = hosts;
    this.mroute.onUpcalls((batch) => {
      for (const upcall of batch) {
        if (isFence(upcall.group)) this.#fences.add(upcall.group);
        else this.upcalls.push(upcall);
      }
    });
    this.mroute.onChange((change) => {
      if (!change || !isFence(change.entry.group)) this.changes.push(change);
    });
  }

  /** Hosts count from before the first packet. */
  async listen(device: Device, group: IpAddress): Promise<void> {
    const receiver = await this.#hosts[device].receiver({ address: `${SUBNETS[device]}.2` });
    await receiver.join(formatIp(group));
    this.#receivers.set(`${device} ${group}`, receiver);
  }

  ifindex(device: Device) {
    return ifindexOf(device);
  }

  async deleteDevice(device: Device): Promise<void> {
    run('ip', 'link', 'delete', device);
  }

  async setDown(device: Device): Promise<void> {
    run('ip', 'link', 'set', device, 'down');
  }

  async send(device: Device, group: IpAddress, count: number): Promise<void> {
    const from = `${SUBNETS[device]}.2`;
    const sender = await this.#hosts[device].sender({ from, groups: [formatIp(group)], ratePerSec: 1000, count });
    await sender.done();
  }

  async speak(device: Device, source: IpAddress): Promise<void> {
    this.#hosts[device].run('python3', '-c', SEND_FRAMES, 'eth0', igmpFrame({ source: formatIp(source) }));
  }

  async received(device: Device, group: IpAddress, atLeast: number): Promise<number> {
    const receiver = this.#receivers.get(`${device} ${group}`)!;
    const count = async () => (await receiver.report()).received;
    await eventually(`${atLeast} packets out of ${device}`, async () => (await count()) >= atLeast);
    return count();
  }

  async until(what: string, ask: () => unknown): Promise<void> {
    await eventually(what, ask);
  }

  /** A packet of a flow of our own: its upcall comes after whatever was under way. */
  async quiet(): Promise<void> {
    const fence = address(`239.255.0.${this.#fences.size + 1}`);
    await this.send('in', fence, 1);
    await eventually('the upcall of the fence', () => this.#fences.has(fence));
  }
}

function makeDevices(net: Net): Readonly<Record<Device, Namespace>> {
  const hosts = { in: net.namespace('in'), out: net.namespace('out'), other: net.namespace('other') };
  for (const device of DEVICES) {
    run('ip', 'link', 'add', device, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', hosts[device].name);
    run('ip', 'address', 'add', `${SUBNETS[device]}.1/24`, 'dev', device);
    run('ip', 'link', 'set', device, 'up');
    hosts[device].ip('address', 'add', `${SUBNETS[device]}.2/24`, 'dev', 'eth0');
    hosts[device].ip('link', 'set', 'eth0', 'up');
  }
  run('ip', 'route', 'add', 'default', 'via', '10.1.0.2');
  return hosts;
}

beforeAll(() => {
  for (const which of ['all', 'default']) sysctl(`net.ipv6.conf.${which}.disable_ipv6`, 1);
});

for (const { title, run: runCase } of KERNEL_CONTRACT)
  test(`real kernel: ${title}`, () =>
    withNet(async (net) => {
      const hosts = makeDevices(net);
      await linksPass("the router's links to pass packets", () => JSON.parse(run('ip', '-json', 'link')));
      await withKernel(async ({ kernel }) => {
        const ground = new RealGround(kernel, hosts);
        await ground.listen('out', address('239.1.1.1'));
        const refused = kernel.start();
        if (refused) throw refused;
        await runCase(ground);
      });
    }));
