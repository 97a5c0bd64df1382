/**
 * The laboratory's own user, network, mount and process namespaces. Everything in them ends with their first process,
 * and that one ends with `npm start`, also when that is killed with SIGKILL: nothing is left behind.
 */
import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { err, ok, type Result } from '../base/result.js';

/** Root needs no user namespace; anybody else becomes root of a new one. */
function unshareArgs(uid: number): readonly string[] {
  return [...(uid === 0 ? [] : ['--user', '--map-root-user']), '--net', '--mount', '--pid', '--fork', '--kill-child'];
}

export interface Refusal {
  /** sysexits: 71 the system refuses, 77 the permission is missing. */
  readonly exitCode: 71 | 77;
  readonly message: string;
}

/** Makes the namespaces once, for nothing, to see whether it can be done; 10 ms. */
export function checkNamespaces(uid: number): Result<void, Refusal> {
  const tried = spawnSync('unshare', [...unshareArgs(uid), 'true'], { encoding: 'utf8' });
  if (tried.error)
    return err({
      exitCode: 71,
      message: `unshare(1) cannot be run: ${tried.error.message}. It is in the package util-linux.`,
    });
  if (tried.status === 0) return ok(undefined);
  const said = tried.stderr.trim().replace(/^unshare: /, '');
  const advice =
    uid === 0
      ? 'This root may not make them (a container without CAP_SYS_ADMIN?): run it where root is real root.'
      : 'Run it as root, or allow user namespaces (sysctl kernel.unprivileged_userns_clone=1, user.max_user_namespaces, ' +
        'kernel.apparmor_restrict_unprivileged_userns=0).';
  return err({
    exitCode: 77,
    message: `the lab needs network namespaces of its own, and they were refused: ${said}. ${advice}`,
  });
}

/** Runs a module of the laboratory as the first process of new namespaces, with the terminal and a channel to here. */
export function spawnInside(uid: number, module: string, args: readonly string[]): ChildProcess {
  const inside = [process.execPath, '--enable-source-maps', module, ...args];
  return spawn('setpriv', ['--pdeathsig', 'KILL', 'unshare', ...unshareArgs(uid), ...inside], {
    stdio: ['inherit', 'inherit', 'inherit', 'ipc'],
  });
}
