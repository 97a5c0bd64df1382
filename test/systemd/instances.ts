/** Two instances of the service on one machine, each with a table of the kernel and interfaces of its own (F53). */
import { mkdirSync, writeFileSync } from 'node:fs';
import { expect } from 'vitest';
import { eventually } from '../support/eventually.js';
import { type Bed, FLOWS, ip, QUICK } from './bed.js';
import { attempt, must, Service } from './service.js';

/** A quarter of a second of all the streams: 25 packets of each. */
const SHORT = 1250;

const ENTRY = /\(([\d.]+),\s*([\d.]+)\)\s+Iif: (\S+)/g;

interface Instance {
  readonly name: string;
  readonly table: number;
  readonly from: string;
  readonly to: string;
}

const LAN: Instance = { name: 'one', table: 100, from: 'src', to: 'lan' };
const GUEST: Instance = { name: 'two', table: 200, from: 'wan', to: 'mov' };

const socketOf = ({ name }: Instance) => `/run/mgmd-${name}/mgmd.sock`;

function start(instance: Instance): Service {
  const { name, table, from, to } = instance;
  mkdirSync('/etc/mgmd', { recursive: true });
  writeFileSync(
    `/etc/mgmd/${name}.yaml`,
    `table: ${table}
control: { socket: ${socketOf(instance)} }
interfaces:
  ${from}: { owner: all }
  ${to}: { owner: all, igmp: ${QUICK} }
static: { all: {} }
`,
  );
  for (const device of [from, to]) ip('mrule', 'add', 'iif', device, 'lookup', String(table));
  const service = new Service(`mgmd@${name}.service`, socketOf(instance));
  service.does('start');
  return service;
}

/** Devices by which packets come in, of all entries of a table. */
function comesInBy({ table }: Instance): readonly string[] {
  const text = must('ip', 'mroute', 'show', 'table', String(table));
  return [...new Set([...text.matchAll(ENTRY)].map(([, , , device]) => device!))].filter(
    (device) => device !== 'unresolved',
  );
}

async function gets(bed: Bed, host: string, wanted: readonly string[]): Promise<void> {
  await eventually(
    `${host} to get its groups of ${wanted[0]} to ${wanted.at(-1)}, and no other`,
    async () => {
      const { whole, broken } = await bed.streams.arriving(host, SHORT);
      return (
        whole.every((group) => wanted.includes(group)) &&
        !broken.some((group) => wanted.includes(group)) &&
        whole.length > 0
      );
    },
    { withinMs: 15_000, everyMs: 50 },
  );
}

export async function twoInstances(bed: Bed): Promise<void> {
  const [one, two] = [start(LAN), start(GUEST)];
  const groups = { lan: FLOWS.lan.map(({ group }) => group), upstream: FLOWS.upstream.map(({ group }) => group) };
  // each forwards what comes in on its side, and nothing of the other's
  await Promise.all([gets(bed, 'host3', groups.lan), gets(bed, 'guest', groups.upstream)]);
  expect(comesInBy(LAN), 'table 100').toEqual(['src']);
  expect(comesInBy(GUEST), 'table 200').toEqual(['wan']);
  expect((await one.ownership()).map((line) => line.split(' ')[0])).toEqual(['lan', 'src']);
  expect((await two.ownership()).map((line) => line.split(' ')[0])).toEqual(['mov', 'wan']);
  // one of them is restarted, and the other stopped: each for itself
  const { pid } = two;
  one.does('restart');
  expect(two.pid).toBe(pid);
  two.does('stop');
  expect(must('ip', 'mroute', 'show', 'table', '200')).toBe('');
  await gets(bed, 'host3', groups.lan);
  one.does('stop');
  for (const { from, to, table } of [LAN, GUEST])
    for (const device of [from, to]) attempt('ip', 'mrule', 'del', 'iif', device, 'lookup', String(table));
}
