/**
 * node bench/hostile.mjs [NAME...]
 *
 * What strangers and readers do to the whole daemon with its defaults and a heap of 384 MB, in namespaces of its own: sources,
 * random groups, joins behind a proxy. Prints the largest resident size and the longest event-loop delay of each;
 * they are put into README.md by hand. Each takes under a minute.
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

const ALL = { sources, random, proxy };

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
