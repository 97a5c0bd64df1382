#!/usr/bin/env node
/** `npm start`: the hand-over lab in namespaces of its own, or with --config the daemon on this machine's interfaces. */
import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { type Flags, parseFlags, USAGE } from './flags.js';
import { findNamespaces, spawnInside } from './machines/namespaces.js';

/** sysexits.h */
const EX_USAGE = 64;
const EX_OSERR = 71;
const EX_NOPERM = 77;

function module(name: string): string {
  return fileURLToPath(new URL(name, import.meta.url));
}

/** As in packaging/npm/mgmd: no signal opens a debugger before the daemon listens to signals. */
const NO_DEBUGGER = [
  '--no-inspect',
  '--no-inspect-brk',
  '--no-inspect-wait',
  '--inspect-port=192.0.2.1:9229',
  ...(process.allowedNodeEnvironmentFlags.has('--disable-sigusr1') ? ['--disable-sigusr1'] : []),
];

function main(): void {
  process.on('SIGUSR1', () => undefined);
  const flags = parseFlags(process.argv.slice(2));
  if (!flags.ok) return fail(EX_USAGE, `${flags.error}\n\n${USAGE}`);
  if (flags.value.help) return void process.stdout.write(USAGE);
  if (flags.value.config !== undefined) return runDaemon(flags.value.config);
  runLab(flags.value);
}

function runDaemon(config: string): void {
  if (process.getuid?.() !== 0)
    return fail(
      EX_NOPERM,
      'the daemon on the interfaces of this machine needs root: sudo npm start -- --config FILE (or try it without, in the lab: npm start)',
    );
  const daemon = [process.execPath, ...NO_DEBUGGER, module('../daemon/main.js'), '--config', config];
  endWith(spawn('setpriv', ['--pdeathsig', 'TERM', ...daemon], { stdio: 'inherit' }), (child, signal) =>
    child.kill(signal),
  );
}

function runLab({ keep, seconds }: Flags): void {
  const namespaces = findNamespaces(process.getuid?.() === 0);
  if (!namespaces.ok) return fail(namespaces.error.exitCode, namespaces.error.message);
  const words = [String(seconds), keep ? 'keep' : 'end', namespaces.value.ownUser ? 'user' : 'root'];
  const child = spawnInside(namespaces.value, module('./inside.js'), words);
  endWith(child, () => child.connected && child.send('stop'));
}

/** Our exit code is the child's; a signal to us is passed on, and the child's end ends us. */
function endWith(child: ChildProcess, passOn: (child: ChildProcess, signal: NodeJS.Signals) => void): void {
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, () => passOn(child, signal));
  child.on('error', (error) => fail(EX_OSERR, `${child.spawnfile} cannot be run: ${error.message}`));
  child.on('exit', (code, signal) => {
    process.exitCode = code ?? (signal === 'SIGINT' || signal === 'SIGTERM' ? 0 : EX_OSERR);
  });
}

function fail(exitCode: number, message: string): void {
  process.stderr.write(`mgmd lab: ${message}\n`);
  process.exitCode = exitCode;
}

main();
