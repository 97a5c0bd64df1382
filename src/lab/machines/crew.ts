/** The laboratory's machines as processes in their namespaces: hosts that take orders, and the router's daemon. */
import { type ChildProcess, spawn } from 'node:child_process';
import { openSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { FromHost, ToReceiver, ToSender } from '../traffic/messages.js';
import { ROUTER, RUN } from './plan.js';
import { inNamespace } from './topology.js';

/** How long a process may take to its first word. */
const READY_MS = 15_000;

function module(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

export interface Host<Order extends ToSender | ToReceiver> {
  tell(order: Order): void;
}

/** Starts a host's process; resolves when it is ready. `gone` is called when it ends, `heard` with everything it says. */
export function startHost<Order extends ToSender | ToReceiver>(
  namespace: string,
  script: 'sender' | 'receiver',
  heard: (message: FromHost) => void,
  gone: (sentence: string) => void,
): Promise<Host<Order>> {
  const child = spawn('ip', inNamespace(namespace, [process.execPath, module(`../traffic/${script}.js`), namespace]), {
    stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
    detached: true, // Ctrl-C on the terminal is ours: the hosts end with us
  });
  return new Promise((resolve, reject) => {
    const late = setTimeout(() => reject(new Error(`${namespace} was not ready after ${READY_MS} ms`)), READY_MS);
    child.on('message', (message: FromHost) => {
      if (message.kind !== 'ready') return heard(message);
      clearTimeout(late);
      resolve({ tell: (order) => void child.send(order) });
    });
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      const sentence = `the process of ${namespace} ended (${signal ?? `exit code ${code}`})`;
      reject(new Error(sentence));
      gone(sentence);
    });
  });
}

/** The real daemon in the router's namespace; `gone` is called when it ends. Its log goes to RUN.log. */
export function startDaemon(gone: (sentence: string) => void): ChildProcess {
  const log = openSync(RUN.log, 'a');
  const node = [
    process.execPath,
    '--import',
    module('./hold.js'),
    module('../../daemon/main.js'),
    '--config',
    RUN.config,
  ];
  const child = spawn('ip', inNamespace(ROUTER, node), { stdio: ['ignore', log, log], detached: true });
  child.on('error', (error) => gone(`the daemon could not be started: ${error.message}`));
  child.on('exit', (code, signal) => gone(`the daemon ended (${signal ?? `exit code ${code}`})`));
  return child;
}

/** The end of the daemon's log. */
export function lastWords(): string {
  return readFileSync(RUN.log, 'utf8').trimEnd().split('\n').slice(-8).join('\n');
}
