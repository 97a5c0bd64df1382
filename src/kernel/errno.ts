/**
 * From the errno of a refused call to a KernelError: the name that callers branch on, and what an operator can do about it.
 * Advice that fits every target of an operation stands in the table below; what only one caller knows, that caller passes in.
 */
import { constants } from 'node:os';
import { KernelError } from '../base/errors.js';

/** A message that a netlink socket delivered but that makes no sense; the kernel's own number for it. */
export const EBADMSG: number = constants.errno.EBADMSG;
export const ENOBUFS: number = constants.errno.ENOBUFS;
export const ENOENT: number = constants.errno.ENOENT;
export const EADDRINUSE: number = constants.errno.EADDRINUSE;
export const EADDRNOTAVAIL: number = constants.errno.EADDRNOTAVAIL;
export const EAGAIN: number = constants.errno.EAGAIN;
export const EBUSY: number = constants.errno.EBUSY;
export const EINTR: number = constants.errno.EINTR;

/** Two names share a number in a few places; these are the ones that Linux manuals use. */
const PREFERRED: Readonly<Record<number, string>> = {
  [constants.errno.EAGAIN]: 'EAGAIN',
  [constants.errno.EOPNOTSUPP]: 'EOPNOTSUPP',
};

/** 98 gives 'EADDRINUSE'; a number without a name gives 'E98'. */
export function errnoName(errno: number): string {
  const preferred = PREFERRED[errno];
  if (preferred !== undefined) return preferred;
  const found = Object.entries(constants.errno).find(([, number]) => number === errno);
  return found ? found[0] : `E${errno}`;
}

const NO_PRIVILEGE =
  'The process may not do that: start it as root or with CAP_NET_RAW and CAP_NET_ADMIN (the service file sets both).';
const NO_MROUTE =
  'This kernel was built without CONFIG_IP_MROUTE: install one that routes multicast (with CONFIG_IP_MROUTE=y).';
const NO_TABLES =
  'This kernel lacks CONFIG_IP_MROUTE, or CONFIG_IP_MROUTE_MULTIPLE_TABLES for a table other than 253: use table 253 or another kernel.';
const FILTERED =
  'A packet filter refuses it: look in the output hook ("nft list ruleset", "iptables -S OUTPUT") and allow IP protocol 2 (IGMP) out of this interface; or the process lacks CAP_NET_RAW.';
const GONE = 'The interface does not exist (any more); it is used again as soon as it is back.';
const OPEN_FILES = 'Too many open files: raise LimitNOFILE of the service.';
const NO_VIF = 'There is no such vif; it goes together with its interface.';
const PARTED = 'Another program wrote to the table; the reconciler repairs it.';

/** What to do, by operation and error name; `*` stands for any operation. */
const ADVICE: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  MRT_INIT: {
    EADDRINUSE: 'Another multicast routing daemon holds this table in this network namespace; stop that one first.',
    ENOPROTOOPT: NO_MROUTE,
  },
  MRT_TABLE: { ENOPROTOOPT: NO_TABLES },
  MRT_FLUSH: { ENOPROTOOPT: 'This kernel is older than 5.1 and cannot empty the table: use a newer one.' },
  MRT_ADD_VIF: {
    EADDRINUSE: 'The vif number is in use, probably by another program that writes to the table.',
    EADDRNOTAVAIL: GONE,
    ENFILE: 'A table has 32 vifs, numbers 0 to 31: release an interface first.',
    EINVAL: 'The interface has no IPv4 configuration (its MTU may be below 68), or the vif number is above 31.',
    ENODEV: GONE,
    ENOBUFS: 'The device has no room for one more user of allmulti mode: release another interface of the same device.',
  },
  MRT_DEL_VIF: { EADDRNOTAVAIL: 'The vif is gone already, probably together with its interface.' },
  MRT_ADD_MFC: { ENFILE: 'The input vif must be 0 to 31.', EINVAL: 'The group must be a multicast address.' },
  MRT_DEL_MFC: { ENOENT: 'The entry is gone already.' },
  SIOCGETSGCNT: { EADDRNOTAVAIL: `There is no such entry. ${PARTED}` },
  // EINVAL: a number above the highest vif in use; EADDRNOTAVAIL: an empty slot below it.
  SIOCGETVIFCNT: { EADDRNOTAVAIL: NO_VIF, EINVAL: NO_VIF },
  'joining a group': {
    ENOBUFS: 'No socket had room: raise net.ipv4.igmp_max_memberships (20 by default) or net.core.optmem_max.',
    ENODEV: GONE,
    EADDRNOTAVAIL: GONE,
    EINVAL:
      'The interface lost its IPv4 configuration (no address, MTU below 68), or the address is no multicast group: see "ip address".',
    ENOMEM: 'Memory for socket options is used up: raise net.core.optmem_max.',
    EPERM: 'A BPF program of a control group refuses joins (cgroup setsockopt).',
  },
  'setting a source filter': { ENOBUFS: 'Too many sources: raise net.ipv4.igmp_max_msf (10 by default).' },
  'sending IGMP': {
    EPERM: FILTERED,
    EACCES: FILTERED,
    EINVAL: 'The source address is not one of this machine: the interface has probably just lost it.',
    EADDRNOTAVAIL: 'The source address is not one of this machine: the interface has probably just lost it.',
    ENETUNREACH: 'The interface is down, or has just lost the source address; messages go out again when it is back.',
    ENODEV: GONE,
    ENXIO: GONE,
    ENETDOWN: 'The interface is down; nothing needs to be done, queries go out again when it is up.',
    EMSGSIZE: 'The message is longer than the MTU of the interface: raise the MTU.',
    ENOBUFS:
      'The queue of the interface is full (link too slow, or txqueuelen 0); the message is lost, the next one is sent.',
    EAGAIN: 'The send buffer is full (link too slow); the message is lost, the next one is sent.',
  },
  '*': {
    EPERM: NO_PRIVILEGE,
    EACCES: NO_PRIVILEGE,
    EPROTONOSUPPORT: 'This kernel lacks IGMP or multicast routing: it needs CONFIG_IP_MULTICAST and CONFIG_IP_MROUTE.',
    EAFNOSUPPORT:
      'This kernel lacks the address family, or a sandbox forbids it (RestrictAddressFamilies of the service).',
    EMFILE: OPEN_FILES,
    ENFILE: 'The system has too many open files: raise fs.file-max.',
    ENOMEM: 'The kernel is out of memory for this; free some, then restart the service.',
    ENOBUFS: 'The kernel is out of buffers for this; it is tried again with the next change.',
  },
};

function adviceFor(op: string, code: string): string {
  return ADVICE[op]?.[code] ?? ADVICE['*']?.[code] ?? 'This is not expected here; please report it with the log.';
}

/**
 * The error of a call that returned `errno` (positive). `advice` replaces the table's when the caller knows better.
 * `target` completes "... on TARGET failed".
 */
export function kernelError(op: string, target: string, errno: number, advice?: string): KernelError {
  const code = errnoName(errno);
  return new KernelError(op, target, errno, code, advice ?? adviceFor(op, code));
}

/** How an error names an interface. */
export type InterfaceName = (ifindex: number) => string;

/** Where names are not known. */
export function numbered(ifindex: number): string {
  return `the interface with index ${ifindex}`;
}

/** `undefined` for 0, as the ports report success. */
export function refusal(op: string, target: string, errno: number): KernelError | undefined {
  return errno === 0 ? undefined : kernelError(op, target, errno);
}
