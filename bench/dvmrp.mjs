/**
 * node bench/dvmrp.mjs [NAME...]
 *
 * DVMRP through the whole daemon, in namespaces of its own, with a neighbour on either side (lib/dvmrp_peers.py): how long until
 * 10,000 routes of one neighbour have reached the other, what that costs; from a Graft to the first packet; and memory and
 * processor time with 1000 routes and a flow of each. Prints its figures; they are put into README.md by hand.
 */
import { execFileSync, spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { openControl } from './lib/control.mjs';
import { median } from './lib/figures.mjs';
import { cpuNs, sleep, startDaemon } from './lib/subjects.mjs';
import { enterNamespaces, resetTopology } from './lib/topology.mjs';

const PEERS = join(import.meta.dirname, 'lib/dvmrp_peers.py');
const ROUNDS = 3;
const IDLE_MS = 60_000;

/** The two neighbours; `ask` gives the figures of one word. */
async function startPeers(routes) {
  for (const [device, address] of [
    ['s0', '10.1.0.2/24'],
    ['h0', '10.2.0.2/24'],
  ])
    execFileSync('ip', ['address', 'add', address, 'dev', device]);
  const child = spawn('python3', [PEERS, String(routes)], { stdio: ['pipe', 'pipe', 'inherit'] });
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const answer = async () => JSON.parse((await lines.next()).value);
  await answer();
  return {
    ask(word) {
      child.stdin.write(`${word}\n`);
      return answer();
    },
    stop: () => child.kill(),
  };
}

async function withRouter(routes, measure) {
  resetTopology();
  const daemon = await startDaemon({ probe: true, owners: 'dvmrp' });
  const peers = await startPeers(routes);
  const client = await openControl(daemon);
  try {
    // A Probe that lists the router makes a neighbour at once.
    await peers.ask('probe');
    await until(
      'both neighbours',
      async () => (await client.rows('dvmrp.neighbors')).filter(({ state }) => state === 'two-way').length === 2,
    );
    return await measure({ daemon, peers, client });
  } finally {
    client.close();
    peers.stop();
    await daemon.stop();
  }
}

async function until(what, isSo) {
  for (let left = 300; left > 0; left--, await sleep(100)) if (await isSo()) return;
  throw new Error(`waited 30 s for ${what}`);
}

/** Longer than the time that changes wait for the next flash update. */
const REST_MS = 6000;

/** Processor time that work costs the daemon, without what it and its probe cost anyhow. */
async function cpuOf(daemon, work) {
  const quiet = cpuNs(daemon.pid);
  await sleep(1000);
  const [before, startedMs] = [cpuNs(daemon.pid), performance.now()];
  const figures = await work();
  await sleep(REST_MS);
  const basis = ((before - quiet) / 1000) * (performance.now() - startedMs);
  return { ...figures, cpuMs: (cpuNs(daemon.pid) - before - basis) / 1e6 };
}

const heldBytes = async (daemon) => {
  const { heapUsed, external } = await daemon.ask('memory');
  return heapUsed + external;
};

const routesUp = async (client) => (await client.rows('dvmrp.routes')).filter(({ state }) => state === 'up').length;

function convergence(routes) {
  return withRouter(routes, async ({ daemon, peers, client }) => {
    const before = await heldBytes(daemon);
    await daemon.ask('reset');
    const learn = await cpuOf(daemon, () => peers.ask('converge'));
    if ((await routesUp(client)) !== routes + 2) throw new Error('not all routes are there');
    const depend = await cpuOf(daemon, () => peers.ask('depend'));
    const again = await cpuOf(daemon, () => peers.ask('again'));
    const { maxMs } = await daemon.ask('loop');
    const held = (await heldBytes(daemon)) - before;
    const withdraw = await cpuOf(daemon, () => peers.ask('withdraw'));
    return {
      learn_ms: learn.ms,
      learn_cpu_ms: learn.cpuMs,
      depend_cpu_ms: depend.cpuMs,
      again_cpu_ms: again.cpuMs,
      loop_max_ms: maxMs,
      bytes_per_route: held / routes,
      withdraw_ms: withdraw.ms,
      withdraw_cpu_ms: withdraw.cpuMs,
    };
  });
}

function grafts() {
  return withRouter(1, async ({ peers }) => {
    await peers.ask('converge');
    await peers.ask('depend');
    return peers.ask('graft');
  });
}

/** DVMRP-129. */
function crowd() {
  return withRouter(1000, async ({ daemon, peers, client }) => {
    const before = await heldBytes(daemon);
    const quiet = cpuNs(daemon.pid);
    await sleep(5000);
    const basis = ((cpuNs(daemon.pid) - quiet) / 5000) * IDLE_MS;
    await peers.ask('converge');
    await peers.ask('depend');
    await sleep(1000);
    const withRoutes = await heldBytes(daemon);
    await peers.ask('flows');
    await until('the entries', async () => (await client.rows('mfc')).length === 1000);
    const withFlows = await heldBytes(daemon);
    // A minute in which both neighbours say what they have to, and everything is told once.
    const cpuBefore = cpuNs(daemon.pid);
    for (let left = IDLE_MS; left > 0; left -= 10_000) {
      await peers.ask('probe');
      if (left === IDLE_MS) for (const word of ['again', 'depend']) await peers.ask(word);
      await sleep(10_000);
    }
    return {
      bytes_per_route: (withRoutes - before) / 1000,
      bytes_per_flow: (withFlows - withRoutes) / 1000,
      cpu_ms_per_minute: (cpuNs(daemon.pid) - cpuBefore - basis) / 1e6,
    };
  });
}

async function rounds(name, measure, count = ROUNDS) {
  const runs = [];
  for (let n = 0; n < count; n++) runs.push(await measure());
  const figures = Object.keys(runs[0]).map((key) => [key, Number(median(runs.map((run) => run[key])).toPrecision(3))]);
  console.log(JSON.stringify({ bench: name, ...Object.fromEntries(figures) }));
}

const ALL = { routes: () => convergence(10_000), graft: grafts, crowd };
const asked = process.argv.slice(2);
const unknown = asked.filter((name) => !Object.hasOwn(ALL, name));
if (unknown.length) throw new Error(`no measurement is called ${unknown.join()}; there are ${Object.keys(ALL).join()}`);
enterNamespaces();
for (const name of asked.length ? asked : Object.keys(ALL))
  await rounds(`dvmrp-${name}`, ALL[name], name === 'crowd' ? 1 : ROUNDS);
