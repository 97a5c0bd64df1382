#!/usr/bin/env node
/** `mgmd`: from the command line to a running daemon and back. The only file that knows signals and ends the process. */
import { readFileSync } from 'node:fs';
import { formatComplaint, parseConfig, type ParsedConfig } from '../config/parse.js';
import type { Kernel } from '../kernel/system.js';
import type { Log } from '../port/log.js';
import { type Arguments, HELP, readArguments } from './arguments.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { openServiceManager, type ServiceManager } from './notify.js';
import { isJournal, LogThreshold, PinoLog, standardOutput } from './pino-log.js';
import { groupIdOf, obtainKernel, peerUidReader, reportLeftovers } from './start.js';
import { SystemClock } from './system-clock.js';
import { Daemon } from './wiring.js';

/** A stop that hangs is a fault; the service manager would wait much longer. */
const STOP_LIMIT_MS = 5000;

async function main(argv: readonly string[]): Promise<ExitCode> {
  const given = readArguments(argv);
  if (!given.ok) return complain(EXIT.usage, given.error);
  const { help, version, check, config: file } = given.value;
  if (help) return tell(HELP);
  if (version) return tell(`mgmd ${ownVersion()}\n`);
  const parsed = readConfig(file);
  if ('exit' in parsed) return parsed.exit;
  if (check) {
    for (const warning of parsed.warnings) process.stderr.write(`${formatComplaint(warning)}\n`);
    return tell(`${file} is a good configuration\n`);
  }
  const threshold = new LogThreshold();
  threshold.level = parsed.config.log.level;
  const log = PinoLog.to(standardOutput(), threshold, isJournal(process.env['JOURNAL_STREAM']));
  process.once('uncaughtException', (error) => crash(log, error));
  process.once('unhandledRejection', (error) => crash(log, error));
  for (const warning of parsed.warnings) log.warn({ evt: 'config.warned', ...warning }, formatComplaint(warning));
  return run(given.value, parsed, log, threshold);
}

async function run(given: Arguments, { config }: ParsedConfig, log: Log, threshold: LogThreshold): Promise<ExitCode> {
  const stop = stopSignal(log);
  const manager = await openServiceManager(process.env['NOTIFY_SOCKET'], log);
  const clock = new SystemClock();
  const opened = await obtainKernel({ config, clock, log, wait: given.wait, stop });
  if (!opened.ok) return opened.error === 'stopped' ? EXIT.done : opened.error;
  const kernel = opened.value;
  reportLeftovers(kernel, log);
  const daemon = new Daemon({
    config,
    kernel: { ...kernel, start: () => startKernel(kernel) },
    clock,
    log,
    threshold,
    version: ownVersion(),
    control: { peerUid: peerUidReader(), groupId: groupIdOf('mgmd') },
  });
  const problem = await daemon.start();
  if (problem) log.error({ evt: 'control.refused' }, problem.message);
  else await serve(log, manager, config.file, stop);
  await stopAll(daemon, kernel, log);
  if (!problem) return EXIT.done;
  return problem.inUse ? EXIT.unavailable : EXIT.osError;
}

/** Resolves when the daemon is told to end. */
async function serve(log: Log, manager: ServiceManager, file: string, stop: AbortSignal): Promise<void> {
  const upMs = Math.round(process.uptime() * 1000);
  log.info(
    { evt: 'daemon.started', pid: process.pid, version: ownVersion(), file, upMs },
    `mgmd serves as ${file} says`,
  );
  manager.ready(`serving as ${file} says`);
  if (!stop.aborted) await new Promise<void>((resolve) => stop.addEventListener('abort', () => resolve()));
  manager.stopping();
}

async function stopAll(daemon: Daemon, kernel: Kernel, log: Log): Promise<void> {
  const limit = setTimeout(() => {
    log.error({ evt: 'daemon.stop.hung' }, `mgmd did not end within ${STOP_LIMIT_MS / 1000} s and is ended now`);
    process.exit(EXIT.software);
  }, STOP_LIMIT_MS);
  await daemon.stop();
  kernel.close();
  clearTimeout(limit);
  log.info({ evt: 'daemon.stopped' }, 'mgmd has released every interface and the table');
}

function startKernel(kernel: Kernel): void {
  const error = kernel.start();
  if (error) throw error;
}

/** Aborted by the first SIGTERM or SIGINT. */
function stopSignal(log: Log): AbortSignal {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ evt: 'daemon.stop.requested', signal }, `${signal}: mgmd releases everything and ends`);
      stop.abort();
    });
  }
  process.on('SIGHUP', () =>
    log.warn(
      { evt: 'daemon.reload.ignored' },
      'SIGHUP changes nothing: restart mgmd to let it read its configuration again',
    ),
  );
  return stop.signal;
}

function readConfig(file: string): ParsedConfig | { readonly exit: ExitCode } {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    return {
      exit: complain(EXIT.config, `the configuration ${file} cannot be read: ${why}; name another with --config FILE`),
    };
  }
  const parsed = parseConfig(text, file);
  if (parsed.ok) return parsed.value;
  for (const complaint of parsed.error) process.stderr.write(`${formatComplaint(complaint)}\n`);
  return { exit: EXIT.config };
}

/** A mistake of ours: loud, with its stack, and over. The kernel forgets our vifs with the socket. */
function crash(log: Log, error: unknown): never {
  const stack = error instanceof Error ? error.stack : String(error);
  log.error({ evt: 'daemon.crashed', stack }, 'mgmd has a fault and ends; please report the stack');
  process.exit(EXIT.software);
}

function tell(text: string): ExitCode {
  process.stdout.write(text);
  return EXIT.done;
}

function complain(code: ExitCode, message: string): ExitCode {
  process.stderr.write(`mgmd: ${message}\n`);
  return code;
}

function ownVersion(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { readonly version: string }).version;
}

// What suspects are called when another daemon finds the table held (F01).
process.title = 'mgmd';
// Nothing of ours is left to wait for, and what was written has been written: pipes and files are synchronous here.
process.exit(await main(process.argv.slice(2)));
