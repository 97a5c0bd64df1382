/**
 * node bench/hostile.mjs [NAME...]
 *
 * What strangers and readers do to the whole daemon with its defaults and a heap of 384 MB, in namespaces of its own: sources,
 * random groups, joins behind a proxy, neighbours of DVMRP, readers of the control socket. Prints the largest resident size and
 * the longest event-loop delay of each, in brackets what the daemon itself ran of it; they are put into README.md by hand. Each
 * takes under a minute.
 */
import { execFileSync, spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { openControl } from './lib/control.mjs';
import { sleep, startDaemon } from './lib/subjects.mjs';
import { enterNamespaces, inRouter, resetTopology } from './lib/topology.mjs';

const HEAP_MB = 384;
const IGMP_ON_BOTH = 'interfaces: { recv: { igmp: true }, send: { igmp: true } }';

async function speaker(script, ...words) {
  const child = spawn('python3', [join(import.meta.dirname, 'lib', script), ...words], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => JSON.parse((await lines.next()).value);
  await answer();
  return {
    ask(word, options) {
      child.stdin.write(`${word} ${options ? JSON.stringify(options) : ''}\n`);
      return answer();
    },
    stop: () => child.kill(),
  };
}

function peakMb(pid) {
  return Number(/^VmHWM:\s+(\d+)/m.exec(readFileSync(`/proc/${pid}/status`, 'utf8'))[1]) / 1024;
}

/** The router starts with `rest` as its configuration; `act` gets what it needs and returns figures of its own. */
async function attacked({ rest, limits = [] }, act) {
  resetTopology();
  const daemon = await startDaemon({ probe: true, nodeArgs: [`--max-old-space-size=${HEAP_MB}`], rest });
  for (const limit of limits) execFileSync('prlimit', ['--pid', String(daemon.pid), limit]);
  const strangers = await speaker('strangers.py');
  const client = await openControl(daemon);
  try {
    // V8 collects once, some time after the start.
    await sleep(3000);
    await daemon.ask('reset');
    const figures = await act({ daemon, strangers, client });
    const { maxMs, p99Ms, ownMs } = await daemon.ask('loop');
    return { peak_mb: peakMb(daemon.pid), longest_turn_ms: maxMs, own_ms: ownMs, p99_turn_ms: p99Ms, ...figures };
  } finally {
    client.close();
    strangers.stop();
    await daemon.stop();
  }
}

/** The longest turn since the last time it was asked, beside the work that `act` is. */
async function longest(daemon, act) {
  await daemon.ask('reset');
  await act();
  const { maxMs, ownMs } = await daemon.ask('loop');
  return `${maxMs.toFixed(1)} (${ownMs.toFixed(1)})`;
}

function flap(device) {
  const set = (state) => execFileSync(inRouter[0], [...inRouter.slice(1), 'ip', 'link', 'set', device, state]);
  set('down');
  set('up');
}

/** 4,096 groups x 256 sources on each of two links, then a link that goes down and comes back. */
const sources = () =>
  attacked({ rest: IGMP_ON_BOTH }, async ({ daemon, strangers, client }) => {
    const turn = {};
    turn.flood_ms = await longest(daemon, () =>
      strangers.ask('sources', { reports: 12_288, perReport: 86, groups: 4096, hosts: 1, rate: 2400, seconds: 20 }),
    );
    turn.many_hosts_ms = await longest(daemon, () =>
      strangers.ask('sources', { reports: 12_288, perReport: 300, groups: 4096, hosts: 200, rate: 2400, seconds: 15 }),
    );
    const on = await client.rows('igmp.interfaces');
    turn.flap_ms = await longest(daemon, async () => {
      flap('recv');
      await sleep(3000);
    });
    return { groups: on.map((row) => row.groups).join('+'), ...turn };
  });

/** Data to 200,000 random groups, a wanted stream beside it, then a link that goes down and comes back. */
const random = () =>
  attacked({ rest: IGMP_ON_BOTH }, async ({ daemon, strangers }) => {
    await strangers.ask('joins', { link: 'h0', net: '10.2.0.0', groups: 64, rate: 100, seconds: 1 });
    const figures = await strangers.ask('random', { packets: 200_000, rate: 10_000, seconds: 25 });
    const { ms } = await strangers.ask('first', { group: '239.1.0.5', seconds: 10 });
    const flap_ms = await longest(daemon, async () => {
      flap('send');
      await sleep(3000);
    });
    return { sent: figures.sent, first_packet_ms: ms, flap_ms };
  });

/** One host joins 4,096 groups downstream of a proxy that has 1,024 descriptors. */
const proxy = () => {
  const rest =
    'interfaces: { send: { owner: proxy }, recv: { owner: proxy, igmp: true } }\nproxy: { upstreams: [{ interface: send }] }';
  return attacked({ rest, limits: ['--nofile=1024:1024'] }, async ({ strangers, client }) => {
    await strangers.ask('joins', { link: 'h0', net: '10.2.0.0', groups: 4096, rate: 100, seconds: 5 });
    await sleep(8000);
    return { groups: (await client.rows('igmp.interfaces'))[0].groups };
  });
};

/** 50,000 groups of one host on one link: the flood, a link that goes down and comes back, and all expiring at once. */
const groups = () => {
  const igmp = { maxGroups: 60_000, queryInterval: '5s', queryResponseInterval: '1s' };
  const rest = `interfaces: { recv: { igmp: ${JSON.stringify(igmp)} }, send: { igmp: true } }`;
  return attacked({ rest }, async ({ daemon, strangers, client }) => {
    const join = () => strangers.ask('joins', { link: 'h0', net: '10.2.0.0', groups: 50_000, rate: 200, seconds: 10 });
    const there = async () => (await client.rows('igmp.interfaces')).find((row) => row.interface === 'recv')?.groups;
    const turn = { flood_ms: await longest(daemon, join) };
    const held = await there();
    turn.flap_ms = await longest(daemon, async () => {
      flap('recv');
      await sleep(2000);
    });
    await join();
    turn.expiry_ms = await longest(daemon, () => sleep(14_000));
    return { groups: held, left: await there(), ...turn };
  });
};

/** 50,000 sources on each of two links with raised limits, in one group and in many: the flood, a link that flaps, a hand-over, expiry. */
const wide = () => {
  const igmp = JSON.stringify({
    maxSources: 0,
    maxSourcesPerGroup: 65_535,
    queryInterval: '5s',
    queryResponseInterval: '1s',
  });
  const rest = `interfaces: { recv: { owner: one, igmp: ${igmp} }, send: { igmp: ${igmp} } }
igmp: { maxSources: 0 }
static: { one: {}, two: {} }`;
  return attacked({ rest }, async ({ daemon, strangers, client }) => {
    const counts = async () => (await client.rows('igmp.sources')).length;
    const turn = {};
    for (const groups of [1, 100]) {
      const flood = () =>
        strangers.ask('sources', { reports: 200, perReport: 250, groups, hosts: 1, rate: 100, seconds: 15 });
      turn[`flood_${groups}_ms`] = await longest(daemon, flood);
      turn[`sources_${groups}`] = await counts();
      turn[`handover_${groups}_ms`] = await longest(daemon, async () => {
        await client.call('handover', { interface: 'recv', from: 'one', to: 'two' });
        await sleep(3000);
      });
      await client.call('handover', { interface: 'recv', from: 'two', to: 'one' });
      turn[`release_${groups}_ms`] = await longest(daemon, async () => {
        await client.call('release', { interface: 'recv', client: 'igmp' });
        await sleep(2000);
      });
      await client.call('take', { interface: 'recv', client: 'igmp' });
      await flood();
      turn[`flap_${groups}_ms`] = await longest(daemon, async () => {
        flap('recv');
        await sleep(2000);
      });
      await flood();
      turn[`expiry_${groups}_ms`] = await longest(daemon, () => sleep(14_000));
    }
    return { ...turn, left: await counts() };
  });
};

/** DVMRP with a neighbour on either side; `act` gets what says the words of dvmrp_peers.py. */
const amongRouters = (routes, act) =>
  attacked({ rest: 'interfaces: { recv: { owner: dvmrp }, send: { owner: dvmrp } }\ndvmrp: {}' }, async (given) => {
    for (const [device, address] of [
      ['s0', '10.1.0.2/24'],
      ['h0', '10.2.0.2/24'],
    ])
      execFileSync('ip', ['address', 'add', address, 'dev', device]);
    const peers = await speaker('dvmrp_peers.py', String(routes));
    const probing = setInterval(() => void peers.ask('probe'), 5000);
    try {
      await peers.ask('probe');
      await sleep(1000);
      await peers.ask('converge');
      await peers.ask('depend');
      await sleep(1000);
      return await act({ ...given, peers });
    } finally {
      clearInterval(probing);
      peers.stop();
    }
  });

/** What the router counts of a link. */
async function countsOf(client, name) {
  const row = (await client.rows('dvmrp.statistics')).find((one) => one.interface === name);
  return { reports: row?.received.report ?? 0, strangers: row?.dropped.unknownNeighbor ?? 0 };
}

function must(what, is, meant) {
  if (is !== meant) throw new Error(`${what}: ${is}, not ${meant}`);
}

/** 20,000 sources to one group, then 50 prunes of single sources a second: of strangers, who are refused, and of a neighbour. */
const prunes = () =>
  amongRouters(100, async ({ daemon, peers, client }) => {
    const turn = { sources_ms: await longest(daemon, () => peers.ask('sources')) };
    const held = async () => (await client.rows('dvmrp.prunes')).filter(({ host }) => host !== null).length;
    let sent = 0;
    turn.strangers_ms = await longest(daemon, async () => ({ sent } = await peers.ask('strange')));
    must('prunes of strangers that were refused', (await countsOf(client, 'recv')).strangers, sent);
    must('prunes of strangers that were kept', await held(), 0);
    turn.prunes_ms = await longest(daemon, async () => ({ sent } = await peers.ask('prunes')));
    must('prunes of a neighbour', await held(), sent);
    return { ...turn, entries: (await client.rows('mfc')).length };
  });

/** 280 Reports a second whose metrics go up and down, 10,000 routes. */
const reports = () =>
  amongRouters(10_000, async ({ daemon, peers, client }) => {
    const before = await countsOf(client, 'send');
    let told;
    const reports_ms = await longest(daemon, async () => (told = await peers.ask('flapping')));
    const learned = (await client.rows('dvmrp.routes')).filter(({ kind }) => kind === 'learned');
    must('Reports that were heard', (await countsOf(client, 'send')).reports - before.reports, told.sent);
    const changed = learned.filter(({ metric }) => metric === told.metric + 1).length;
    must('routes with the metric told last', changed, 10_000);
    return { reports_ms, reports: told.sent };
  });

/** All places of readers but some ask for 12,000 entries at once, a join meanwhile; then one asks for what 60,000 more have left. */
const readers = () =>
  attacked({ rest: IGMP_ON_BOTH }, async ({ daemon, strangers, client }) => {
    const fill = (sources, packets) => strangers.ask('flows', { packets, sources, rate: 8000, seconds: 10 });
    const turn = {};
    const join = async () => {
      const startedMs = performance.now();
      await client.call('join', { interface: 'recv', group: `239.7.0.${Math.floor(Math.random() * 250) + 1}` });
      return performance.now() - startedMs;
    };
    await fill(100, 12_000);
    const others = await Promise.all(Array.from({ length: 54 }, () => openControl(daemon)));
    let rows = 0;
    turn.many_ms = await longest(daemon, async () => {
      const read = Promise.all(others.map((each) => each.rows('mfc')));
      await sleep(300);
      turn.join_ms = await join();
      for (const each of await read) rows += each.length;
    });
    for (const each of others) each.close();
    await fill(100, 60_000);
    turn.one_ms = await longest(daemon, async () => {
      turn.entries = (await client.rows('mfc')).length;
    });
    return { rows, ...turn };
  });

/** 5,000 joins by mgmctl's way, one after the other. */
const operator = () =>
  attacked({ rest: IGMP_ON_BOTH }, async ({ daemon, client }) => {
    const startedMs = performance.now();
    const joins_ms = await longest(daemon, async () => {
      for (let n = 0; n < 5000; n++)
        await client.call('join', { interface: 'recv', group: `239.8.${n >> 8}.${n & 255}` });
    });
    return { all_seconds: (performance.now() - startedMs) / 1000, joins_ms };
  });

const ALL = { sources, groups, wide, random, prunes, reports, readers, operator, proxy };

const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(ALL, name));
if (unknown.length) throw new Error(`no measurement is called ${unknown.join()}; there are ${Object.keys(ALL).join()}`);
enterNamespaces();
for (const name of asked.length ? asked : Object.keys(ALL)) {
  const figures = await ALL[name]();
  const rounded = Object.entries(figures).map(([key, of]) => [
    key,
    typeof of === 'number' ? Number(of.toPrecision(3)) : of,
  ]);
  console.log(JSON.stringify({ bench: `hostile-${name}`, ...Object.fromEntries(rounded) }));
}
