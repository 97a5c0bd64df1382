/** Ethernet frames with IGMP made by hand, also such as no kernel would send: from the address of somebody else. */

/** Of a machine that none of the tests' is. */
export const FOREIGN_MAC = '02:00:00:00:00:99';
const ALL_SYSTEMS = '01:00:5e:00:00:01';
const IGMP = 2;
const GENERAL_QUERY = '1164ec1e0000000002140000';

export interface FrameOptions {
  readonly source: string;
  readonly from?: string;
  readonly to?: string;
  readonly protocol?: number;
  /** In hexadecimal; a general query unless given. */
  readonly body?: string;
  /** False: without the router alert option, so the IP header has 20 bytes. */
  readonly alert?: boolean;
  /** The frame carries this VLAN tag. */
  readonly vlan?: number;
}

/** In hexadecimal. The checksum of the IP header is 0: nobody looks at it before the kernel drops the packet. */
export function igmpFrame({ source, from = FOREIGN_MAC, to = ALL_SYSTEMS, ...rest }: FrameOptions): string {
  const { protocol = IGMP, body = GENERAL_QUERY, alert = true, vlan } = rest;
  const options = alert ? '94040000' : '';
  const length = 20 + options.length / 2 + body.length / 2;
  const address = source.split('.').map((octet) => digits(Number(octet), 2));
  const start = `${alert ? '46' : '45'}c0${digits(length, 4)}0000000001${digits(protocol, 2)}0000`;
  const tag = vlan === undefined ? '' : `8100${digits(vlan, 4)}`;
  return `${(to + from).replaceAll(':', '')}${tag}0800${start}${address.join('')}e0000001${options}${body}`;
}

function digits(value: number, count: number): string {
  return value.toString(16).padStart(count, '0');
}

/** For python3 -c, with a device and frames. */
export const SEND_FRAMES = `
import socket, sys
wire = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
wire.bind((sys.argv[1], 0))
for frame in sys.argv[2:]:
    wire.send(bytes.fromhex(frame))
`;
