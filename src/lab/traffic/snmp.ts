/** The kernel's UDP counters of a namespace (/proc/net/snmp: a line of names, then a line of values, per protocol). */

/** Datagrams dropped because a socket's receive buffer was full; 0 when the kernel does not say. */
export function udpReceiveBufferErrors(snmp: string): number {
  const [names = [], values = []] = snmp
    .split('\n')
    .filter((line) => line.startsWith('Udp: '))
    .map((line) => line.split(' '));
  return Number(values[names.indexOf('RcvbufErrors')] ?? 0);
}
