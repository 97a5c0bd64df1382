#!/usr/bin/env node
/** `mgmd`: from the command line to a running daemon and back. The only file that knows signals and ends the process. */
import { readFileSync } from 'node:fs';
import { formatComplaint, type ParsedConfig } from '../config/parse.js';
import type { Log } from '../port/log.js';
import { HELP, readArguments } from './arguments.js';
import { readConfigFile } from './config-file.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { live, type Wakes } from './life.js';
import { LimitedLog } from './limited-log.js';
import { isJournal, LogThreshold, PinoLog, standardOutput } from './pino-log.js';
import { runtimeFolder } from './runtime-folder.js';
import { SystemClock } from './system-clock.js';

/** A stop that hangs is a fault; the service manager would wait much longer. */
const STOP_LIMIT_MS = 5000;

async function main(argv: readonly string[]): Promise<ExitCode> {
  const given = readArguments(argv);
  if (!given.ok) return complain(EXIT.usage, given.error);
  const { help, version, check, config: file } = given.value;
  if (help) return tell(HELP);
  if (version) return tell(`mgmd ${ownVersion()}\n`);
  const parsed = readConfig(file);
  if (!('config' in parsed)) {
    for (const line of parsed) process.stderr.write(`${line}\n`);
    return EXIT.config;
  }
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
  const wakes = listenToSignals(log);
  const readAgain = () => readConfig(file);
  const limited = new LimitedLog(log, new SystemClock());
  return live({ given: given.value, parsed, log: limited, threshold, version: ownVersion(), wakes, readAgain });
}

/** What signals say. SIGTERM and SIGINT end the daemon, SIGHUP lets it read its configuration again. */
function listenToSignals(log: Log): Wakes {
  const stop = new AbortController();
  for (const signal of ['SIGTERM', 'SIGINT'] as const) {
    process.once(signal, () => {
      log.info({ evt: 'daemon.stop.requested', signal }, `${signal}: mgmd ends`);
      giveUpLater(log);
      stop.abort();
    });
  }
  let reload: () => void = () => undefined;
  process.on('SIGHUP', () => reload());
  return { stop: stop.signal, onReload: (handler) => (reload = handler) };
}

function giveUpLater(log: Log): void {
  const limit = setTimeout(() => {
    log.error({ evt: 'daemon.stop.hung' }, `mgmd did not end within ${STOP_LIMIT_MS / 1000} s and is ended now`);
    process.exit(EXIT.software);
  }, STOP_LIMIT_MS);
  limit.unref();
}

function readConfig(file: string): ParsedConfig | readonly string[] {
  return readConfigFile(file, defaultSocket());
}

/** Beside the other files of this instance, where systemd gave it a directory of its own. */
function defaultSocket(): string | undefined {
  const folder = runtimeFolder(process.env);
  return folder && `${folder}/mgmd.sock`;
}

/** A mistake of ours: loud, with its stack, and over. Without a service manager that keeps the sockets the kernel forgets our vifs. */
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
