/** The proxy as the daemon wires it: configuration, views, tool. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { formatComplaint, parseConfig } from '../../../src/config/parse.js';
import { LogThreshold } from '../../../src/daemon/pino-log.js';
import { Daemon } from '../../../src/daemon/wiring.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { settle } from '../../support/fake-clock.js';
import { FakeKernel } from '../../support/fake-kernel.js';
import { isIn, reportV3, toEx } from '../../support/packet-builder.js';
import { RecordingLog } from '../../support/recording-log.js';

const CONFIG = `
interfaces:
  iptv: { owner: proxy }
  lan: { owner: proxy, igmp: true }
  guests: { igmp: true }
  inet: {}
proxy:
  upstreams: [{ interface: iptv, sources: [198.51.100.0/24], version: 3 }]
`;

let folder: string;
let daemon: Daemon | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mgmd-proxy-'));
});
afterEach(async () => {
  await daemon?.stop();
  daemon = undefined;
  rmSync(folder, { recursive: true });
});

async function given(text = CONFIG) {
  const parsed = parseConfig(`control: { socket: ${join(folder, 's')} }${text}`, 'mgmd.yaml');
  if (!parsed.ok) throw new Error(parsed.error.map(formatComplaint).join('\n'));
  const kernel = new FakeKernel();
  const devices = ['iptv', 'lan', 'guests', 'inet'].map((name, n) => kernel.addDevice(name, `10.${n}.0.1/24`));
  kernel.routes.set('0.0.0.0/0', { ifindex: devices[3]! });
  const [log, threshold] = [new RecordingLog(), new LogThreshold()];
  const { clock } = kernel;
  const control = { peerUid: () => 0 };
  daemon = new Daemon({ config: parsed.value.config, kernel, clock, log, threshold, version: '1.2.3', control });
  expect(await daemon.start()).toBeUndefined();
  const rows = (view: string) => {
    const all = daemon!.operator.views.get(view)?.rows();
    return all && [...(all as Iterable<object | undefined>)].filter((row) => row !== undefined);
  };
  const hears = async (ifindex: Ifindex, payload: Uint8Array) => {
    const source = ip(`10.${devices.indexOf(ifindex)}.0.9`);
    kernel.igmp.receive({ ifindex, source, destination: ip('224.0.0.22'), payload });
    await clock.run(0);
  };
  return { kernel, clock, log, rows, hears, devices };
}

test('what is wanted downstream and on an IGMP-only link is asked upstream, and the views say for whom', async () => {
  const { rows, hears, devices, log } = await given();
  const [, lan, guests] = devices;
  await hears(lan!, reportV3(isIn('232.1.1.1', '198.51.100.7'), toEx('239.1.1.1')));
  await hears(guests!, reportV3(toEx('239.1.1.1')));
  const group = { upstream: 'iptv', held: true, problem: null, leavingInMs: null };
  expect(rows('igmp.proxy')).toEqual([
    { ...group, group: '232.1.1.1', mode: 'include', sources: ['198.51.100.7'], wantedBy: ['lan'] },
    { ...group, group: '239.1.1.1', mode: 'exclude', sources: [], wantedBy: ['others', 'lan'] },
  ]);
  const upstreams = await daemon!.operator.views.get('igmp.proxy.upstreams')!.rows();
  expect([...upstreams].filter((row) => row !== undefined)).toEqual([
    {
      interface: 'iptv',
      state: 'up',
      version: null,
      configuredVersion: 3,
      groups: 2,
      sources: ['198.51.100.0/24'],
      problem: null,
    },
  ]);
  expect(rows('igmp.proxy.counters')).toEqual([
    { name: 'anySourceRefused', value: 0 },
    { name: 'joinsRefused', value: 0 },
    { name: 'joinsOverBudget', value: 0 },
    { name: 'joinsHeld', value: 2 },
    { name: 'joinsWaiting', value: 0 },
  ]);
  expect(log.complaints()).toEqual([]);
});

test('sources of an upstream are expected there although the default route leads elsewhere', async () => {
  const { kernel, hears, devices } = await given();
  const [iptv, lan] = devices;
  await hears(lan!, reportV3(toEx('239.1.1.1')));
  for (const source of ['198.51.100.7', '203.0.113.7']) kernel.packet(ip(source), ip('239.1.1.1'), iptv!);
  await settle();
  expect(kernel.mroute.entry(ip('198.51.100.7'), ip('239.1.1.1'))).toMatchObject({
    iif: iptv,
    oifs: [expect.objectContaining({ ifindex: lan })],
  });
  expect(kernel.mroute.entry(ip('203.0.113.7'), ip('239.1.1.1'))?.oifs).toEqual([]);
});

test('without the section there is no proxy and no view of it', async () => {
  const { rows } = await given('\ninterfaces: { lan: { igmp: true } }\n');
  expect(rows('igmp.proxy')).toBeUndefined();
});

test('mgmctl join of any source in a configured source-specific range is refused (IGMP-151)', async () => {
  await given(`${CONFIG}\nigmp: { ssmRanges: [239.7.0.0/16] }\n`);
  const { operator } = daemon!;
  expect(operator.join('iptv', ip('239.7.1.1'), undefined)).toMatchObject({ code: 'ERROR_INVALID_PARAMETER' });
  expect(operator.join('iptv', ip('232.1.1.1'), undefined)).toMatchObject({ code: 'NO_ERROR' });
  expect(operator.join('iptv', ip('239.7.1.1'), ip('10.0.0.9'))).toMatchObject({ code: 'NO_ERROR' });
});

test('mgmctl take puts no IGMP router on an upstream, and says why (IGMP-145)', async () => {
  const { rows } = await given();
  const { code, message } = await daemon!.operator.take('iptv', 'igmp');
  expect(code).toBe('ERROR_INVALID_PARAMETER');
  expect(message).toBe(
    'iptv is an upstream of the proxy, which is a host there and must not ask others; take it out of "proxy.upstreams" first',
  );
  expect(rows('interfaces')).toContainEqual(expect.objectContaining({ name: 'iptv', owner: 'proxy', igmp: false }));
});
