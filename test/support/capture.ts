/**
 * IGMP as it passed a device, captured by tcpdump (or the like of it) and decoded by tshark: a judge that shares no code with mgmd. The clock
 * of the wire is the order of the packets.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { eventually } from './eventually.js';
import type { Namespace, Net } from './topology.js';

export const IGMP_TYPE = { query: 0x11, reportV1: 0x12, reportV2: 0x16, leaveV2: 0x17, reportV3: 0x22 } as const;

/** Columns of tshark, by the name they have here. A field that a packet does not have is empty. */
const FIELDS = {
  source: 'ip.src',
  destination: 'ip.dst',
  headerBytes: 'ip.hdr_len',
  tos: 'ip.dsfield',
  ttl: 'ip.ttl',
  ipChecksum: 'ip.checksum.status',
  options: 'ip.opt.type',
  routerAlert: 'ip.opt.ra',
  type: 'igmp.type',
  version: 'igmp.version',
  maxRespDs: 'igmp.max_resp',
  checksum: 'igmp.checksum.status',
  suppress: 'igmp.s',
  qrv: 'igmp.qrv',
  qqic: 'igmp.qqic',
  sourceCounts: 'igmp.num_src',
  recordTypes: 'igmp.record_type',
  groups: 'igmp.maddr',
  sources: 'igmp.saddr',
  dvmrpCode: 'dvmrp.v3.code',
  dvmrpChecksum: 'dvmrp.checksum.status',
  complaints: '_ws.expert.message',
} as const;

type Column = keyof typeof FIELDS;
const COLUMNS = Object.keys(FIELDS) as Column[];

export interface CapturedIgmp {
  /** IPv4 header. `headerBytes` is 24 with the router alert option. */
  readonly source: string;
  readonly destination: string;
  readonly headerBytes: number;
  readonly tos: number;
  readonly ttl: number;
  /** Option types: 148 is router alert. */
  readonly options: readonly number[];
  /** The value in the router alert option; NaN without one. */
  readonly routerAlert: number;
  /** Both checksums were verified and are right. */
  readonly checksumsGood: boolean;
  /** One of IGMP_TYPE. */
  readonly type: number;
  /** As tshark tells the version of a message. */
  readonly version: number;
  /** Tenths of a second, the float code decoded; NaN where the message has none. `qqic` is as it stands in the packet. */
  readonly maxRespDs: number;
  readonly suppress: boolean;
  readonly qrv: number;
  readonly qqic: number;
  readonly sourceCount: number;
  /** The group of a query or of an older report, or one per record of a v3 report. */
  readonly groups: readonly string[];
  readonly sources: readonly string[];
  /** Of a v3 report: "TO_EX 239.1.1.1", "BLOCK 239.1.1.1 10.0.0.1 10.0.0.2". */
  readonly records: readonly string[];
  /** Of a DVMRP message: 1 Probe, 2 Report, 7 Prune, 8 Graft, 9 Graft-Ack; NaN otherwise. */
  readonly dvmrpCode: number;
  /** What tshark has to say against the packet. */
  readonly complaints: string;
}

/**
 * In place of tcpdump, which insists on giving up root and cannot in a user namespace: writes the IGMP of a device to a file.
 * The filter is "ip proto 2" as tcpdump -d would show it, without Ethernet types: nothing but IPv4 is on these wires.
 */
const RECORDER = `
import ctypes, socket, struct, sys, time
s = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
code = struct.pack('HBBI' * 4, 0x30, 0, 0, 23, 0x15, 0, 1, 2, 0x06, 0, 0, 0x40000, 0x06, 0, 0, 0)
buffer = ctypes.create_string_buffer(code)
s.setsockopt(socket.SOL_SOCKET, 26, struct.pack('HP', 4, ctypes.addressof(buffer)))
s.bind((sys.argv[1], 3))
with open(sys.argv[2], 'wb') as file:
    file.write(struct.pack('IHHiIII', 0xa1b2c3d4, 2, 4, 0, 0, 0x40000, 1))
    file.flush()
    print('listening on ' + sys.argv[1], file=sys.stderr, flush=True)
    while True:
        packet = s.recv(0x10000)
        now = time.time_ns() // 1000
        file.write(struct.pack('IIII', now // 1000000, now % 1000000, len(packet), len(packet)) + packet)
        file.flush()
`;

/** Only the ids of the machine's own root are mapped to themselves, all of them. */
function inUserNamespace(): boolean {
  return !/^\s*0\s+0\s+4294967295\s*$/.test(readFileSync('/proc/self/uid_map', 'utf8'));
}

export class Capture {
  private constructor(
    /** Where tcpdump writes. */
    readonly file: string,
  ) {}

  /** Resolves when packets are being captured. */
  static async start(net: Net, namespace: Namespace, device: string): Promise<Capture> {
    const file = join(net.temporaryDirectory(), `${namespace.label}.pcap`);
    const options = ['-i', device, '-U', '--immediate-mode', '-Z', 'root', '-w', file, 'igmp'];
    const child = inUserNamespace()
      ? namespace.spawn('python3', ['-c', RECORDER, device, file])
      : namespace.spawn('tcpdump', options);
    await eventually('tcpdump to listen', () => child.errors.some((line) => line.includes('listening on')));
    return new Capture(file);
  }

  /** Everything up to now, in the order of the wire. */
  packets(): readonly CapturedIgmp[] {
    const columns = COLUMNS.flatMap((column) => ['-e', FIELDS[column]]);
    const form = ['-T', 'fields', '-E', 'occurrence=a', '-E', 'aggregator=;', ...columns];
    const text = execFileSync('tshark', ['-n', '-r', this.file, '-o', 'ip.check_checksum:TRUE', ...form], {
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    return text.split('\n').filter(Boolean).map(parse);
  }

  queries(): readonly CapturedIgmp[] {
    return this.packets().filter(({ type }) => type === IGMP_TYPE.query);
  }
}

/** By record type (RFC 3376 section 4.2.12). */
const RECORD = ['', 'IS_IN', 'IS_EX', 'TO_IN', 'TO_EX', 'ALLOW', 'BLOCK'] as const;

function records(types: readonly string[], groups: readonly string[], counts: readonly string[], sources: string[]) {
  return types.map((type, n) => {
    const own = sources.splice(0, Number(counts[n]));
    return [RECORD[Number(type)] ?? type, groups[n], ...own].join(' ');
  });
}

/** "1" of tshark's checksum status. */
const GOOD = '1';

function parse(line: string): CapturedIgmp {
  const cells = line.split('\t');
  const text = (column: Column) => cells[COLUMNS.indexOf(column)] ?? '';
  const list = (column: Column) => text(column).split(';').filter(Boolean);
  const number = (column: Column) => (text(column) === '' ? Number.NaN : Number(text(column)));
  return {
    source: text('source'),
    destination: text('destination'),
    headerBytes: number('headerBytes'),
    tos: number('tos'),
    ttl: number('ttl'),
    options: list('options').map(Number),
    routerAlert: number('routerAlert'),
    checksumsGood: text('ipChecksum') === GOOD && (text('checksum') || text('dvmrpChecksum')) === GOOD,
    type: number('type'),
    version: number('version'),
    maxRespDs: number('maxRespDs'),
    suppress: text('suppress') === '1',
    qrv: number('qrv'),
    qqic: number('qqic'),
    sourceCount: number('sourceCounts'),
    groups: list('groups'),
    sources: list('sources'),
    records: records(list('recordTypes'), list('groups'), list('sourceCounts'), list('sources')),
    dvmrpCode: number('dvmrpCode'),
    complaints: text('complaints'),
  };
}
