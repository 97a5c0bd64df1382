/** The two routers under measurement: the C reference and the daemon, started the same way in the same place. */
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, openSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { inRouter } from './topology.mjs';

const ROOT = join(import.meta.dirname, '../..');
export const DAEMON = join(ROOT, 'dist/daemon/main.js');
const PROBE = join(import.meta.dirname, 'probe.mjs');
const START_LIMIT_MS = 10_000;

/** Two static instances that can own both links, the proxy with the senders' link as its upstream, or DVMRP on both. */
const OWNERS = {
  static: { owner: 'one', rest: 'static: { one: {}, two: {} }' },
  proxy: { owner: 'proxy', rest: 'proxy: { upstreams: [{ interface: send }] }' },
  dvmrp: { owner: 'dvmrp', rest: 'dvmrp: {}' },
};

/** Room for every group of a run; everything else is the default that users get. */
const ROOM = { maxGroups: 0, maxSources: 0 };
const ownersConfig = (igmp, { owner, rest }) => `
interfaces:
  recv: { owner: ${owner}, igmp: ${JSON.stringify({ ...ROOM, ...igmp })} }
  send: { owner: ${owner} }
${rest}
`;
const CONFIG = (socket, rest) => `
log: { level: warn }
control: { socket: ${socket} }
${rest}
`;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Nanoseconds on a processor so far, all threads. */
export function cpuNs(pid) {
  const ofThread = (tid) => Number(readFileSync(`/proc/${pid}/task/${tid}/schedstat`, 'utf8').split(' ')[0]);
  return readdirSync(`/proc/${pid}/task`).reduce((sum, tid) => sum + ofThread(tid), 0);
}

/** Wall and processor time of a process from its making until now. */
function sinceStart(startedNs, pid) {
  return { startMs: Number(process.hrtime.bigint() - startedNs) / 1e6, startCpuMs: cpuNs(pid) / 1e6 };
}

function startProcess(words, options) {
  const child = spawn(inRouter[0], [...inRouter.slice(1), ...words], options);
  const ended = new Promise((resolve) => child.once('exit', (code, signal) => resolve(signal ?? code)));
  return { child, ended };
}

async function stopProcess({ child, ended }) {
  child.kill('SIGTERM');
  const limit = setTimeout(() => child.kill('SIGKILL'), 5000);
  await ended;
  clearTimeout(limit);
}

/** `words`: more of its arguments. */
export async function startReference(reference, { words = [] } = {}) {
  const startedNs = process.hrtime.bigint();
  const proc = startProcess([reference.router, 'recv', 'send', ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  const lines = createInterface({ input: proc.child.stdout })[Symbol.asyncIterator]();
  await lines.next();
  return {
    name: 'reference',
    pid: proc.child.pid,
    ...sinceStart(startedNs, proc.child.pid),
    /** Rewrites every entry in place; microseconds. */
    async rewrite() {
      proc.child.kill('SIGUSR1');
      return JSON.parse((await lines.next()).value).us;
    },
    stop: () => stopProcess(proc),
  };
}

function tryConnect(path) {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => resolve(socket));
    socket.once('error', () => resolve(undefined));
  });
}

/** The connection, as soon as the socket answers. */
async function awaitSocket(path, proc, logFile) {
  let ended = false;
  proc.ended.then(() => (ended = true));
  for (const limit = Date.now() + START_LIMIT_MS; Date.now() < limit && !ended; await sleep(1)) {
    const socket = existsSync(path) ? await tryConnect(path) : undefined;
    if (socket) return socket;
  }
  throw new Error(
    `the daemon ${ended ? 'ended' : 'opened no control socket'}; its log:\n${readFileSync(logFile, 'utf8').slice(-4000)}`,
  );
}

/**
 * `probe`: load probe.mjs into it, which measures its event loop and its heap from inside. `igmp`: keys of recv's; `words`:
 * more of its arguments; `rest`: the whole configuration beside log and socket.
 */
export async function startDaemon({
  probe = false,
  nodeArgs = [],
  igmp = {},
  owners = 'static',
  words = [],
  rest,
} = {}) {
  if (!existsSync(DAEMON)) throw new Error(`${DAEMON} is missing; run "npm run setup" first`);
  const directory = mkdtempSync('/run/daemon-');
  const path = {
    socket: join(directory, 'control.sock'),
    config: join(directory, 'mgmd.yaml'),
    log: join(directory, 'log'),
  };
  writeFileSync(path.config, CONFIG(path.socket, rest ?? ownersConfig(igmp, OWNERS[owners])));
  const log = openSync(path.log, 'w');
  const preload = probe ? ['--import', PROBE] : [];
  const startedNs = process.hrtime.bigint();
  const command = [process.execPath, ...nodeArgs, ...preload, DAEMON, '--config', path.config, ...words];
  const proc = startProcess(command, { stdio: ['ignore', log, log, ...(probe ? ['ipc'] : [])], cwd: directory });
  const socket = await awaitSocket(path.socket, proc, path.log);
  const started = sinceStart(startedNs, proc.child.pid);
  socket.destroy();
  return {
    name: 'daemon',
    pid: proc.child.pid,
    ...started,
    directory,
    socketPath: path.socket,
    log: () => readFileSync(path.log, 'utf8'),
    /** Asks probe.mjs: 'reset', 'loop' or 'memory'. */
    ask: (question) =>
      new Promise((resolve) => {
        proc.child.once('message', resolve);
        proc.child.send(question);
      }),
    async stop() {
      await stopProcess(proc);
      rmSync(directory, { recursive: true, force: true });
    },
  };
}
