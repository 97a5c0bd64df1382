/** What IGMP needs of the real kernel: the control groups per interface, silence about 224.0.0.0/24, and reports that fit the link. */
import { execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { expect } from 'vitest';
import { formatIp, type IpAddress, ip, ipv4, toU32 } from '../../src/base/ip.js';
import { defaultIgmpConfig } from '../../src/config/check.js';
import { IgmpModule } from '../../src/igmp/module.js';
import { IP_HEADER_LENGTH, readSource, TYPE, walkGroupRecords } from '../../src/igmp/wire/packet.js';
import { PROTOCOL } from '../../src/mgm/client.js';
import { ANY_SOURCE_FILTER } from '../../src/port/kernel.js';
import { eventually } from '../support/eventually.js';
import { queryV3 } from '../support/packet-builder.js';
import { RealBed } from '../support/real-bed.js';
import { netnsTest } from '../support/topology.js';
import { joinedGroups, sysctl } from './own-namespace.js';

const [G, G2] = ['239.1.2.3', '239.1.2.4'];
/** As /proc/net/igmp has 224.0.0.22 and 224.0.0.2. */
const [REPORTS, ROUTERS] = ['e0000016', 'e0000002'];

function bedTest(title: string, body: (bed: RealBed) => Promise<void>): void {
  netnsTest(title, async (net) => {
    const bed = new RealBed(net);
    try {
      await body(bed);
    } finally {
      await bed.close();
    }
  });
}

function igmpOn(bed: RealBed): IgmpModule {
  const interfaces = new Map(bed.lans.map(({ ifname }) => [ifname, defaultIgmpConfig()]));
  const { clock, log, manager: mgm, kernel } = bed;
  const igmp = new IgmpModule({
    mgm,
    ...kernel,
    events: mgm.events,
    clock,
    log,
    interfaces,
    maxGroups: 0,
    maxSources: 0,
  });
  expect(igmp.start().code).toBe('NO_ERROR');
  return igmp;
}

bedTest(
  '224.0.0.22 and 224.0.0.2 are joined on the interface that is taken, left when it is released, and needed (IGMP-029, IGMP-030)',
  async (bed) => {
    const igmp = igmpOn(bed);
    const { host, hostAddress, ifindex } = bed.lan(2);
    const heard = (group: string) => () => igmp.groups().some((row) => row.group === group);
    expect(joinedGroups('lan2')).toEqual([]);
    // when one of three is taken
    expect(await igmp.take(ifindex)).toMatchObject({ code: 'NO_ERROR' });
    // then the groups are joined there and nowhere else
    expect([...joinedGroups('lan2')].sort()).toEqual([ROUTERS, REPORTS]);
    expect(joinedGroups('lan1')).toEqual([]);
    expect(joinedGroups('lan3')).toEqual([]);
    // and with them come reports of version 3, and leaves of version 2
    const receiver = await host.receiver({ address: hostAddress });
    await receiver.join(G);
    await eventually('the report to 224.0.0.22 to be heard', heard(G));
    host.run('sh', '-c', 'echo 2 > /proc/sys/net/ipv4/conf/eth0/force_igmp_version');
    await receiver.join(G2);
    // A version 2 host says that it leaves only when it was the last to report.
    await eventually('the report to the group itself to be heard', heard(G2));
    await receiver.leave(G2);
    const leaves = () => igmp.counters()[0]!.received['leavesV2'];
    await eventually('the leave to 224.0.0.2 to be heard', () => leaves() === 1);
    // when it is released
    expect(await igmp.release(ifindex)).toMatchObject({ code: 'NO_ERROR' });
    expect(joinedGroups('lan2')).toEqual([]);
    await igmp.stop();
  },
);

bedTest('data for 224.0.0.0/24 makes no entry in the kernel and no call to a client (IGMP-041, F31)', async (bed) => {
  const calls: string[] = [];
  const note = ({ group }: { readonly group: IpAddress }) => void calls.push(formatIp(group));
  const igmp = igmpOn(bed);
  for (const { ifindex } of bed.lans.slice(0, 2)) await igmp.take(ifindex);
  await bed.client('red', [3], {
    joinAlert: note,
    rpf: note,
    creationAlert: note,
    localJoin: note,
    wrongInterface: note,
  });
  for (const group of ['224.0.0.251', '224.0.0.5']) bed.send(1, ip(group), 5);
  // what is sent after it is seen by the manager, so it has had its chance
  bed.send(1, ip(G));
  await eventually('a flow of another group to have its entry', () => bed.kernelEntry(ip(G)) !== undefined);
  for (const group of ['224.0.0.251', '224.0.0.5']) expect(bed.kernelEntry(ip(group))).toBeUndefined();
  expect(calls.filter((group) => group.startsWith('224.'))).toEqual([]);
  await igmp.stop();
});

/** Joins on 10.1.0.1 but for the sources, whose number is in the second word, and holds that until its input ends. */
const EXCLUDE = `
import socket, struct, sys
group, local = socket.inet_aton(sys.argv[1]), socket.inet_aton('10.1.0.1')
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, group + local)
sources = [struct.pack('!I', 0xc6120001 + n) for n in range(int(sys.argv[2]))]
IP_MSFILTER, MCAST_EXCLUDE = 41, 0
s.setsockopt(socket.IPPROTO_IP, IP_MSFILTER, group + local + struct.pack('=II', MCAST_EXCLUDE, len(sources)) + b''.join(sources))
print('joined', flush=True)
sys.stdin.read()
`;

const MTU = 576;
const RECORD_OF_ANSWER = { isIn: 1, isEx: 2 };

/** What the kernel of the router reports of its own joins: it is looped back to the routing socket. */
class OwnReports {
  readonly lengths: number[] = [];
  readonly #sources = new Map<string, string[][]>();

  constructor(bed: RealBed) {
    bed.kernel.igmp.subscribe([TYPE.reportV3], ({ payload }) => {
      this.lengths.push(payload.length);
      walkGroupRecords(payload, (type, group, at, count) => {
        const sources = Array.from({ length: count }, (_, n) => formatIp(readSource(payload, at + 4 * n)!));
        const key = `${type} ${formatIp(group)}`;
        this.#sources.set(key, [...(this.#sources.get(key) ?? []), sources]);
      });
    });
  }

  forget(): void {
    this.lengths.length = 0;
    this.#sources.clear();
  }

  /** The source lists of all records of the type about the group, as they came. */
  records(type: number, group: string): readonly (readonly string[])[] {
    return this.#sources.get(`${type} ${group}`) ?? [];
  }
}

bedTest(
  'reports of our joins that are longer than the MTU are split, and only an exclude list is cut (IGMP-017)',
  async (bed) => {
    const { ifindex, ifname } = bed.lan(1);
    execFileSync('ip', ['link', 'set', 'dev', ifname, 'mtu', String(MTU)]);
    // 224.0.0.22 is joined beside IGMP
    await bed.client('igmp', [1], { disableIgmp: () => undefined, enableIgmp: () => undefined }, PROTOCOL.igmp);
    const reports = new OwnReports(bed);
    const ask = () => bed.kernel.igmp.send(ifindex, ip('10.1.0.1'), ip('224.0.0.1'), queryV3({ code: 1 }));
    // given more groups, and more sources of a group, than one report can hold
    const groups = Array.from({ length: 300 }, (_, n) => ipv4(toU32(ip('239.7.0.1')) + n));
    for (const group of groups) bed.kernel.membership.set('test', ifindex, group, ANY_SOURCE_FILTER);
    const sources = Array.from({ length: 200 }, (_, n) => ipv4(toU32(ip('198.18.0.1')) + n));
    bed.kernel.membership.set('test', ifindex, ip('232.1.1.1'), { mode: 'include', sources });
    // an exclude list of that length no pool of sockets makes, so another program does
    sysctl('net.ipv4.igmp_max_msf', 500);
    const other = spawn('python3', ['-c', EXCLUDE, G, '200'], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(other.stdout, 'data');
    // when the router's kernel is asked what it has
    reports.forget();
    ask();
    const { isIn, isEx } = RECORD_OF_ANSWER;
    const included = () => new Set(reports.records(isIn, '232.1.1.1').flat());
    await eventually('every group to be reported', () =>
      groups.every((group) => reports.records(isEx, formatIp(group)).length > 0),
    );
    await eventually('every source to be reported', () => included().size === sources.length);
    await eventually('the excluded sources to be reported', () => reports.records(isEx, G).length > 0);
    // then nothing is longer than the link, the include list came in parts, and the exclude list was cut
    expect(Math.max(...reports.lengths)).toBeLessThanOrEqual(MTU - IP_HEADER_LENGTH);
    expect(reports.records(isIn, '232.1.1.1').length).toBeGreaterThan(1);
    for (const excluded of reports.records(isEx, G)) {
      expect(excluded.length).toBeLessThan(200);
      expect(excluded.length).toBeGreaterThan(0);
    }
    other.stdin.end();
    await once(other, 'close');
  },
);
