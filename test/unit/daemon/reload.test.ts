/**
 * Daemons that follow each other on a kernel in memory: what the new configuration forbids ends before anything else happens, and
 * what it allows is not touched, whether its owners speak at once or late.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { ip } from '../../../src/base/ip.js';
import { formatComplaint, parseConfig } from '../../../src/config/parse.js';
import { LogThreshold } from '../../../src/daemon/pino-log.js';
import type { LoadedState } from '../../../src/daemon/state/state-file.js';
import { Daemon } from '../../../src/daemon/wiring.js';
import type { Ifindex } from '../../../src/port/kernel.js';
import { settle } from '../../support/fake-clock.js';
import { FakeKernel } from '../../support/fake-kernel.js';
import { type BuiltRecord, reportV3 } from '../../support/packet-builder.js';
import { RecordingLog } from '../../support/recording-log.js';

const SOURCE = '10.0.0.9';
const ASKED = '239.1.1.1';
const ROUTED = '239.9.9.9';
/** As a daemon with default timers has it. */
const WINDOW = { windowMs: 43_250, answerMs: 11_000 };

let folder: string;
const running: Daemon[] = [];

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'mgmd-reload-'));
});

afterEach(async () => {
  for (const daemon of running.splice(0)) await daemon.stop();
  rmSync(folder, { recursive: true });
});

/** How a daemon ends: it leaves everything to the next one, or dies with what it saved seconds before. */
type End = 'reload' | 'crash';

class Router {
  readonly kernel = new FakeKernel();
  readonly log = new RecordingLog();
  readonly index: Readonly<Record<string, Ifindex>>;
  #daemon: Daemon | undefined;
  #socket = 0;

  constructor(names: readonly string[] = ['wan', 'lan', 'dmz', 'wan2']) {
    this.index = Object.fromEntries(names.map((name, n) => [name, this.kernel.addDevice(name, `10.${n}.0.1/24`)]));
  }

  get daemon(): Daemon {
    return this.#daemon!;
  }

  async start(text: string, saved?: LoadedState): Promise<this> {
    const parsed = parseConfig(`control: { socket: ${join(folder, `${++this.#socket}.sock`)} }\n${text}`, 'mgmd.yaml');
    if (!parsed.ok) throw new Error(parsed.error.map(formatComplaint).join('\n'));
    const { kernel, log } = this;
    const { config } = parsed.value;
    const given = { config, kernel, clock: kernel.clock, log, threshold: new LogThreshold(), version: '1', saved };
    const daemon = new Daemon({ ...given, control: { peerUid: () => 0 } });
    this.#daemon = daemon;
    running.splice(0, running.length, daemon);
    expect(await daemon.start(saved && { ...WINDOW, ended: () => undefined })).toBeUndefined();
    await settle();
    return this;
  }

  /** The next daemon, `ageMs` after this one ended. */
  async next(text: string, end: End = 'reload', ageMs = 300): Promise<void> {
    const state = JSON.parse(JSON.stringify(this.daemon.state(end === 'reload'))) as LoadedState;
    await this.daemon.leave();
    this.kernel.clock.forgetTimers();
    this.kernel.links.forgetHandlers();
    this.kernel.igmp.forgetSubscribers();
    this.kernel.clock.advance(ageMs);
    const windowLeftMs = Math.max(0, state.windowLeftMs - ageMs);
    await this.start(text, { ...state, windowLeftMs, ageMs });
  }

  host(ifname: string, ...records: readonly BuiltRecord[]): void {
    const ifindex = this.index[ifname]!;
    const source = ip(`10.${Object.keys(this.index).indexOf(ifname)}.0.9`);
    const payload = reportV3(...records);
    this.kernel.igmp.receive({ ifindex, source, destination: ip('224.0.0.22'), payload, routerAlert: true });
  }

  async packet(group: string, ifname = 'wan', source = SOURCE): Promise<void> {
    this.kernel.packet(ip(source), ip(group), this.index[ifname]!);
    await settle();
  }

  /** "lan dmz", where the kernel lets the flow out; '-' without an entry. */
  leaves(group: string, source = SOURCE): string {
    const entry = this.kernel.mroute.entry(ip(source), ip(group));
    const named = (ifindex: Ifindex) => Object.keys(this.index).find((name) => this.index[name] === ifindex);
    return entry ? entry.oifs.map(({ ifindex }) => named(ifindex)).join(' ') : '-';
  }

  async pass(seconds: number): Promise<void> {
    await this.kernel.clock.run(seconds * 1000);
  }
}

const BASE = `
interfaces:
  wan: { owner: static }
  wan2: { owner: static }
  lan: { igmp: true }
  dmz: { owner: static }
static:
  static: { routes: [{ group: 239.9.9.9, from: wan, to: [dmz] }] }
`;

/** A host on lan wants one group, a static route leads another one to dmz; both flow, and the start is long over. */
async function flowing(text = BASE): Promise<Router> {
  const router = await new Router().start(text);
  await router.pass(60);
  router.host('lan', { type: 4, group: ASKED, sources: [] });
  for (const group of [ASKED, ROUTED]) await router.packet(group);
  return router;
}

const changed = (from: string, to: string): string => {
  expect(BASE).toContain(from);
  return BASE.replace(from, to);
};

/** What changes, and what the two flows leave by at once. */
const BITES: readonly (readonly [string, string, string, string])[] = [
  ['nothing', BASE, 'lan', 'dmz'],
  [
    'the group is denied',
    changed('lan: { igmp: true }', 'lan: { igmp: { groupFilter: [{ deny: 239.1.0.0/16 }] } }'),
    '',
    'dmz',
  ],
  ['ssmRanges cover it', `${BASE}igmp: { ssmRanges: [239.1.0.0/16] }\n`, '', 'dmz'],
  [
    'its source is denied',
    changed('lan: { igmp: true }', 'lan: { igmp: { sourceFilter: [{ deny: 10.0.0.0/24 }] } }'),
    '',
    'dmz',
  ],
  ['a boundary', changed('lan: { igmp: true }', 'lan: { igmp: true, boundary: [239.1.0.0/16] }'), '', 'dmz'],
  ['igmp: false', changed('lan: { igmp: true }', 'lan: { igmp: false }'), '', 'dmz'],
  ['the interface is taken out', changed('lan: { igmp: true }', ''), '', 'dmz'],
  [
    'the incoming interface is taken out',
    changed('wan: { owner: static }', '').replace('from: wan,', 'from: wan2,'),
    '-',
    '-',
  ],
  ['its owner is taken out', changed('wan: { owner: static }', 'wan: {}'), '-', '-'],
  ['the static route is taken out', changed('routes: [{ group: 239.9.9.9, from: wan, to: [dmz] }]', ''), 'lan', ''],
  ['the static route leads elsewhere', changed('to: [dmz]', 'to: [wan2]'), 'lan', 'wan2'],
  [
    'the owner of the output is another one',
    changed('dmz: { owner: static }', 'dmz: { owner: other }').replace('static:\n', 'static:\n  other: {}\n'),
    'lan',
    '',
  ],
  ['the owner of the output is taken out', changed('dmz: { owner: static }', 'dmz: {}'), 'lan', ''],
];

describe.each(['reload', 'crash'] as const)('after a %s', (end) => {
  test.each(BITES)(
    '%s: what the file forbids ends at once, the rest goes on (D1)',
    async (what, text, asked, routed) => {
      const router = await flowing();
      await router.next(text, end);
      // Without its groups the next process cannot know that nobody named the source: hosts may still say so.
      const named = what === 'ssmRanges cover it' && end === 'crash' ? 'lan' : asked;
      expect([router.leaves(ASKED), router.leaves(ROUTED)]).toEqual([named, routed]);
    },
  );

  test('a threshold that changed counts for what flows (D1)', async () => {
    const router = await flowing();
    await router.next(changed('lan: { igmp: true }', 'lan: { igmp: true, threshold: 32 }'), end);
    expect(router.kernel.mroute.entry(ip(SOURCE), ip(ASKED))?.oifs).toEqual([
      { ifindex: router.index['lan'], ttl: 32 },
    ]);
  });

  test('a route of the file to the source that changed moves the flow at once (D1)', async () => {
    const router = await flowing();
    await router.next(`${BASE}rpf: { routes: [{ prefix: 10.0.0.0/24, interface: wan2 }] }\n`, end);
    expect(router.kernel.mroute.entry(ip(SOURCE), ip(ASKED))?.iif).toBe(router.index['wan2']);
    expect(router.leaves(ASKED)).toBe('lan');
  });

  test('a static route that begins elsewhere lets nothing in where it began (D1)', async () => {
    const router = await flowing();
    await router.next(changed('from: wan,', 'from: wan2,'), end);
    expect(router.kernel.mroute.entry(ip(SOURCE), ip(ROUTED))?.iif).toBe(router.index['wan2']);
    expect(router.leaves(ASKED)).toBe('lan');
  });

  test('an upstream of the proxy that does not admit the group any more lets nothing in (D1)', async () => {
    const proxied = (groups: string) => `
interfaces:
  wan: { owner: proxy }
  lan: { owner: proxy, igmp: true }
proxy: { upstreams: [{ interface: wan${groups} }] }
`;
    const router = await flowing(proxied(''));
    expect(router.leaves(ASKED)).toBe('lan');
    await router.next(proxied(''), end);
    expect(router.leaves(ASKED)).toBe('lan');
    await router.next(proxied(', groups: [{ deny: 239.1.0.0/16 }]'), end);
    expect(['', '-']).toContain(router.leaves(ASKED));
  });

  test('DVMRP that is switched off keeps nothing (D1)', async () => {
    const router = await flowing();
    await router.next(changed('dmz: { owner: static }', 'dmz: { owner: dvmrp, igmp: true }'), end);
    await router.next(changed('dmz: { owner: static }', 'dmz: {}'), end);
    expect([router.leaves(ASKED), router.leaves(ROUTED)]).toEqual(['lan', '']);
  });
});

test('a group that the configuration wanted, and no host, ends when the file does not name it any more (D1)', async () => {
  const router = await new Router().start(
    changed('lan: { igmp: true }', 'lan: { igmp: { staticGroups: [{ group: 239.1.1.1 }] } }'),
  );
  await router.pass(60);
  await router.packet(ASKED);
  expect(router.leaves(ASKED)).toBe('lan');
  await router.next(BASE);
  expect(['', '-']).toContain(router.leaves(ASKED));
});

test('what the file adds counts at once for what flows already (D1)', async () => {
  const router = await flowing();
  await router.next(changed('to: [dmz]', 'to: [dmz, wan2]'));
  expect(router.leaves(ROUTED).split(' ').sort()).toEqual(['dmz', 'wan2']);
});

const PROXIED = `
interfaces:
  wan: { owner: proxy }
  lan: { owner: proxy, igmp: true }
  dmz: { owner: proxy, igmp: true }
proxy: { upstreams: [{ interface: wan }] }
`;

const OWNERS = [
  ['static', BASE],
  ['the proxy', PROXIED],
  ['DVMRP', PROXIED.replaceAll('owner: proxy', 'owner: dvmrp').replace(/^proxy: .*$/m, 'dvmrp: {}')],
] as const;

test.each(OWNERS.flatMap(([who, text]) => (['reload', 'crash'] as const).map((end) => [end, who, text] as const)))(
  'a %s under %s never writes a flow without the outputs that it had (D1)',
  async (end, who, text) => {
    const router = await flowing(text);
    router.host('dmz', { type: 4, group: ROUTED });
    const had = [router.leaves(ASKED), router.leaves(ROUTED)];
    expect(had).toEqual(['lan', 'dmz']);
    const from = router.kernel.mroute.written.length;
    await router.next(text, end);
    await router.pass(1);
    const written = router.kernel.mroute.written.slice(from);
    expect(written.filter(({ ttls }) => ttls.every((ttl) => ttl === 0))).toEqual([]);
    expect([router.leaves(ASKED), router.leaves(ROUTED)], who).toEqual(had);
  },
);

test('a source that hosts named goes on when ssmRanges come over its group (D1)', async () => {
  const router = await flowing();
  router.host('lan', { type: 5, group: '239.1.1.2', sources: [SOURCE] });
  await router.packet('239.1.1.2');
  expect(router.leaves('239.1.1.2')).toBe('lan');
  await router.next(`${BASE}igmp: { ssmRanges: [239.1.0.0/16] }\n`);
  expect([router.leaves('239.1.1.2'), router.leaves(ASKED)]).toEqual(['lan', '']);
});

test('who was wanted before a reload is wanted after it, without a question, and the window is short (D3)', async () => {
  const router = await flowing();
  const asked = router.kernel.igmp.sent.length;
  const writes = router.kernel.mroute.calls.addMfc;
  await router.next(BASE);
  await router.pass(5);
  expect(router.kernel.igmp.sent.length).toBe(asked);
  expect(router.leaves(ASKED)).toBe('lan');
  expect(router.daemon.manager.windowLeftMs).toBe(0);
  // once each when they are taken over, never without the output
  expect(router.kernel.mroute.calls.addMfc - writes).toBeLessThanOrEqual(2);
});

test('a reload every three and a half seconds asks no more, and a dead member ends when it would have (D3)', async () => {
  const router = await flowing();
  const asked = () => router.kernel.igmp.sent.filter(({ destination }) => destination === ip('224.0.0.1')).length;
  const before = asked();
  const reloads = Math.ceil(250 / 3.8);
  for (let n = 0; n < reloads; n++) {
    await router.next(BASE);
    await router.pass(3.5);
  }
  // the regular queries of these four minutes
  expect(asked() - before).toBeLessThanOrEqual(3);
  expect(router.leaves(ASKED)).toBe('lan');
  for (let n = 0; n < 10; n++) {
    await router.next(BASE);
    await router.pass(3.5);
  }
  expect(['', '-']).toContain(router.leaves(ASKED));
});

test('reloads while hosts are being asked ask no more than one start, and end one window (D3)', async () => {
  const router = await flowing();
  await router.next(BASE, 'crash', 20_000);
  const asked = () => router.kernel.igmp.sent.filter(({ destination }) => destination === ip('224.0.0.1')).length;
  const before = asked();
  for (let n = 0; n < 13; n++) {
    expect(router.leaves(ASKED)).toBe('lan');
    await router.pass(3.2);
    await router.next(BASE);
  }
  // one startup query was left; the member, who is dead, goes with the window of the first start
  expect(asked() - before).toBe(1);
  expect(['', '-']).toContain(router.leaves(ASKED));
});

test('a process that dies again and again keeps dead members no longer than one that lives through an answer (D3)', async () => {
  const router = await flowing();
  for (let n = 0; n < 12; n++) {
    await router.next(BASE, 'crash', 500);
    await router.pass(3.5);
  }
  expect(router.leaves(ASKED)).toBe('lan');
  await router.next(BASE, 'crash', 500);
  await router.pass(11.5);
  expect(router.leaves(ASKED)).toBe('');
});

test('after a longer gap hosts are asked again, and what they do not answer goes with the window (D3)', async () => {
  const router = await flowing();
  const asked = router.kernel.igmp.sent.length;
  await router.next(BASE, 'reload', 20_000);
  expect(router.kernel.igmp.sent.length).toBeGreaterThan(asked);
  expect(router.leaves(ASKED)).toBe('lan');
  await router.pass(50);
  expect(router.leaves(ASKED)).toBe('');
});

test('an interface whose owner comes by the control socket keeps its flows until it is back, over reloads too (D1)', async () => {
  const text = BASE.replace('  dmz: { owner: static }\n', '');
  const router = await new Router().start(text.replace(', to: [dmz]', ', to: [wan2]'));
  const { manager } = router.daemon;
  const { handle } = manager.register({ protocolId: 1234, componentId: 0, name: 'guest', callbacks: {} });
  await manager.takeInterface(handle!, router.index['dmz']!);
  await manager.addMembership(handle!, { source: ip('0.0.0.0'), group: ip(ASKED) }, router.index['dmz']!, 1);
  await router.packet(ASKED);
  expect(router.leaves(ASKED)).toBe('dmz');
  const after = text.replace(', to: [dmz]', ', to: [wan2]');
  for (let n = 0; n < 3; n++) {
    await router.next(after);
    await router.pass(3.5);
    expect(router.leaves(ASKED)).toBe('dmz');
  }
  // and no longer than the window of the first
  for (let n = 0; n < 10; n++) {
    await router.next(after);
    await router.pass(3.5);
  }
  expect(['', '-']).toContain(router.leaves(ASKED));
});

test('an output by an interface that the file no longer has is nothing to repair (D2)', async () => {
  const router = await flowing();
  await router.next(changed('lan: { igmp: true }', ''));
  await router.pass(20);
  expect(router.log.lines.filter(({ fields }) => fields['evt'] === 'kernel.repaired')).toEqual([]);
});
