/**
 * The laboratory's own user, network, mount and process namespaces. Everything in them ends with their first process,
 * and that one ends with `npm start`, also when that is killed with SIGKILL: nothing is left behind.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { err, ok, type Result } from '../../base/result.js';

const ISOLATED = ['--net', '--mount', '--pid', '--fork', '--kill-child'];
const AS_ROOT = ['--user', '--map-root-user'];

/** `ip` and others may be in sbin, which is not on every user's PATH. */
const ENVIRONMENT = { ...process.env, PATH: `${process.env['PATH'] ?? ''}:/usr/sbin:/sbin` };

export interface Refusal {
  /** sysexits: 71 the system refuses, 77 the permission is missing. */
  readonly exitCode: 71 | 77;
  readonly message: string;
}

export interface Namespaces {
  /** For unshare(1). */
  readonly args: readonly string[];
  /** A user namespace is among them. */
  readonly ownUser: boolean;
}

/**
 * The namespaces that can be made here, found out by making them for nothing (10 ms). Real root needs no user namespace;
 * anybody else, and the root of a container, becomes root of a new one.
 */
export function findNamespaces(isRoot: boolean): Result<Namespaces, Refusal> {
  const said: string[] = [];
  for (const ownUser of isRoot ? [false, true] : [true]) {
    const args = [...(ownUser ? AS_ROOT : []), ...ISOLATED];
    const tried = spawnSync('unshare', [...args, 'true'], { encoding: 'utf8', env: ENVIRONMENT });
    if (tried.status === 0) return ok({ args, ownUser });
    if (tried.error) return err(missing(tried.error));
    said.push(tried.stderr.trim());
  }
  return err({
    exitCode: 77,
    message: `the lab needs network namespaces of its own, and they were refused: ${said.join('; ')}. ${advice(isRoot)}`,
  });
}

function missing(error: Error): Refusal {
  return { exitCode: 71, message: `unshare(1) cannot be run: ${error.message}. It is in the package util-linux.` };
}

function advice(isRoot: boolean): string {
  const allow =
    'allow them (sysctl user.max_user_namespaces and user.max_net_namespaces, kernel.unprivileged_userns_clone=1, ' +
    'kernel.apparmor_restrict_unprivileged_userns=0)';
  return isRoot ? `Give this container CAP_SYS_ADMIN and CAP_NET_ADMIN, or ${allow}.` : `Run it as root, or ${allow}.`;
}

/** Runs a module of the laboratory as the first process of new namespaces, with the terminal and a channel to here. */
export function spawnInside(namespaces: Namespaces, module: string, words: readonly string[]): ChildProcess {
  const inside = [process.execPath, '--enable-source-maps', module, ...words];
  return spawn('setpriv', ['--pdeathsig', 'KILL', 'unshare', ...namespaces.args, ...inside], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
    env: ENVIRONMENT,
  });
}
