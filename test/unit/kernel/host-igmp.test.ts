/** The host side's version, on a folder that looks like /proc. */
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { HostIgmp, sourceLimit } from '../../../src/kernel/host/host-igmp.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { link } from '../igmp/bed.js';

const WAN = 4 as Ifindex;
const NET_IGMP = `Idx\tDevice    : Count Querier\tGroup    Users Timer\tReporter
1\tlo        :     1      V3
\t\t\t\t010000E0     1 0:00000000\t\t0
4\teth0.4    :     2      V2
\t\t\t\t010101EF     1 0:00000000\t\t1
14\teth1      :     1      V3
`;

let proc: string;
let nowMs = 0;
beforeEach(() => {
  proc = mkdtempSync(join(tmpdir(), 'mgmd-proc-'));
  mkdirSync(join(proc, 'net'));
  mkdirSync(join(proc, 'sys/net/ipv4/conf/eth0.4'), { recursive: true });
  writeFileSync(join(proc, 'net/igmp'), NET_IGMP);
  writeFileSync(setting(), '3\n');
});
afterEach(() => rmSync(proc, { recursive: true }));

function setting(): string {
  return join(proc, 'sys/net/ipv4/conf/eth0.4/force_igmp_version');
}

function given() {
  const links = {
    byIndex: (ifindex: Ifindex) => (ifindex === WAN ? link(WAN, undefined, { name: 'eth0.4' }) : undefined),
  };
  return new HostIgmp(links, () => nowMs, proc);
}

function refreshed(igmp: HostIgmp, maxAgeMs?: number): Promise<void> {
  return new Promise((resolve) => igmp.refresh(resolve, maxAgeMs));
}

test('the version is read by ifindex, and is unknown where nothing is joined', async () => {
  const igmp = given();
  await refreshed(igmp);
  expect([4, 14, 2].map((ifindex) => igmp.version(ifindex as Ifindex))).toEqual([2, 3, undefined]);
  rmSync(join(proc, 'net/igmp'));
  await refreshed(igmp);
  expect(igmp.version(WAN)).toBeUndefined();
});

test('versions are read once for all who ask within their time, and again after mgmd set another (A4)', async () => {
  const igmp = given();
  await refreshed(igmp, 2000);
  writeFileSync(join(proc, 'net/igmp'), NET_IGMP.replace('V2', 'V1'));
  nowMs += 1999;
  await refreshed(igmp, 2000);
  expect(igmp.version(WAN)).toBe(2);
  nowMs += 1;
  await refreshed(igmp, 2000);
  expect(igmp.version(WAN)).toBe(1);
  writeFileSync(join(proc, 'net/igmp'), NET_IGMP);
  igmp.force(WAN, 2);
  await refreshed(igmp, 2000);
  expect(igmp.version(WAN)).toBe(2);
});

test('a version is forced, changed, and what was there before comes back', () => {
  const igmp = given();
  expect(igmp.force(WAN, 2)).toBeUndefined();
  expect(readFileSync(setting(), 'utf8')).toBe('2');
  expect(igmp.force(WAN, 'auto')).toBeUndefined();
  expect(readFileSync(setting(), 'utf8')).toBe('0');
  igmp.restore(WAN);
  expect(readFileSync(setting(), 'utf8')).toBe('3');
  writeFileSync(setting(), '1');
  igmp.restore(WAN);
  expect(readFileSync(setting(), 'utf8')).toBe('1');
});

test('what is set already is not written, so that nothing has to be put back', () => {
  const igmp = given();
  expect(igmp.force(WAN, 3)).toBeUndefined();
  writeFileSync(setting(), '1');
  igmp.restore(WAN);
  expect(readFileSync(setting(), 'utf8')).toBe('1');
});

test('a refusal says on which interface, and what to do', () => {
  rmSync(setting());
  mkdirSync(setting());
  const error = given().force(WAN, 2);
  expect(error).toMatchObject({ code: 'EISDIR', target: 'eth0.4' });
  expect(error?.advice).toContain('ProtectKernelTunables');
  expect(given().force(9 as Ifindex, 2)).toMatchObject({ code: 'ENOENT', target: '#9' });
  rmSync(setting(), { recursive: true });
  given().restore(WAN);
});

test('what is forced is told for the interface and for all (C4)', () => {
  expect(given().forced(WAN)).toEqual({ own: 3, all: undefined });
  mkdirSync(join(proc, 'sys/net/ipv4/conf/all'));
  writeFileSync(join(proc, 'sys/net/ipv4/conf/all/force_igmp_version'), '2\n');
  writeFileSync(setting(), '0\n');
  expect(given().forced(WAN)).toEqual({ own: undefined, all: 2 });
});

test('the limit of sources is that of the kernel, read once a second (C4)', () => {
  let nowMs = 0;
  const limit = sourceLimit(() => nowMs, proc);
  expect(limit()).toBe(10);
  writeFileSync(join(proc, 'sys/net/ipv4/igmp_max_msf'), '64\n');
  expect(limit()).toBe(10);
  nowMs = 1000;
  expect(limit()).toBe(64);
});
