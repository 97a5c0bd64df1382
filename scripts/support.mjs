/** What the scripts share: the root, running a command, and what is below a folder. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, readdirSync, statSync } from 'node:fs';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

/** A failure that is the user's to mend: shown without a stack. */
export class Refusal extends Error {}

/** Runs `body`; a Refusal becomes its text on stderr and exit code 1. */
export function main(name, body) {
  try {
    body();
  } catch (error) {
    if (!(error instanceof Refusal)) throw error;
    console.error(`${name}: ${error.message}`);
    process.exitCode = 1;
  }
}

/** Runs a command in the root with our terminal. Returns its exit code, 128 for a signal. */
export function run(command, args, options = {}) {
  const { status, error } = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (error) throw new Refusal(`${command} cannot be started: ${error.message}`);
  return status ?? 128;
}

/** Runs a command in the root and keeps what it prints, which is shown only when it fails. */
export function runQuietly(what, command, args, options = {}) {
  const { status, signal, error, stdout, stderr } = spawnSync(command, args, {
    cwd: root,
    encoding: 'utf8',
    stdio: ['ignore', 'pipe', 'pipe'],
    maxBuffer: 1 << 28,
    ...options,
  });
  if (error) throw new Refusal(`${what}: ${command} cannot be started: ${error.message}`);
  if (status === 0) return stdout;
  process.stderr.write(stdout + stderr);
  throw new Refusal(`${what} failed (${signal ?? `exit code ${status}`}); its output is above.`);
}

/** Whether a command is on a PATH. */
export function hasCommand(name, searched = process.env['PATH'] ?? '') {
  return searched.split(':').some((folder) => {
    try {
      accessSync(path.join(folder, name), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** All files below a folder of the root, or the file itself, in a fixed order. */
export function filesBelow(name) {
  const full = path.join(root, name);
  const stat = statSync(full, { throwIfNoEntry: false });
  if (!stat) return [];
  if (stat.isFile()) return [name];
  return readdirSync(full)
    .sort()
    .flatMap((entry) => filesBelow(path.join(name, entry)));
}
