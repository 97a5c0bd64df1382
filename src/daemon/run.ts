/** From the command line to a running daemon and back. */
import { readFileSync } from 'node:fs';
import { formatComplaint, type ParsedConfig } from '../config/parse.js';
import type { Log } from '../port/log.js';
import { HELP, readArguments } from './process/arguments.js';
import { checkConfigFile, readConfigFile } from './config-file.js';
import { EXIT, type ExitCode } from './process/exit-codes.js';
import { live } from './life.js';
import { LimitedLog } from './limited-log.js';
import { Output } from './process/output.js';
import { isJournal, LogThreshold, PinoLog } from './pino-log.js';
import { runtimeFolder } from './state/runtime-folder.js';
import { closeDebugger, type Signals } from './process/signals.js';
import { SystemClock } from './process/system-clock.js';

/** A stop that hangs is a fault; the service manager would wait much longer. */
const STOP_LIMIT_MS = 5000;
/** What the end waits for whoever reads the log. */
const FAREWELL_MS = 500;

export async function run(argv: readonly string[], signals: Signals): Promise<ExitCode> {
  // A signal that came before ours was in force has been acted on by now.
  setImmediate(closeDebugger);
  const given = readArguments(argv);
  if (!given.ok) return complain(EXIT.usage, [`mgmd: ${given.error}`], signals);
  const { help, version, check, config: file } = given.value;
  if (help) return tell(HELP, signals);
  if (version) return tell(`mgmd ${ownVersion()}\n`, signals);
  const parsed = check ? await checkConfigFile(file, defaultSocket(), new SystemClock()) : readConfig(file);
  if (!('config' in parsed)) return complain(EXIT.config, parsed, signals);
  if (check) {
    await complain(EXIT.done, parsed.warnings.map(formatComplaint), signals);
    return tell(`${file}: configuration OK\n`, signals);
  }
  const threshold = new LogThreshold();
  const output = Output.to(1);
  const log = PinoLog.to(output, threshold, isJournal(process.env['JOURNAL_STREAM']));
  output.onLoss = (lines) => log.warn({ evt: 'log.lost', lines }, sentenceOfLoss(lines));
  process.once('uncaughtException', (error) => crash(log, output, error));
  process.once('unhandledRejection', (error) => crash(log, output, error));
  signals.onStop((signal) => {
    log.info({ evt: 'daemon.stop.requested', signal }, `${signal}: mgmd ends`);
    giveUpLater(log, output);
  });
  const readAgain = () => readConfig(file);
  const limited = new LimitedLog(log, new SystemClock());
  const lostLines = () => output.lostLines;
  const own = { given: given.value, parsed, log: limited, threshold, version: ownVersion(), lostLines };
  const code = await live({ ...own, signals, readAgain });
  output.flush(FAREWELL_MS);
  return code;
}

function sentenceOfLoss(lines: number): string {
  return `lost ${lines} log ${lines === 1 ? 'line' : 'lines'}: the reader of standard output was too slow, or the disk is full`;
}

function giveUpLater(log: Log, output: Output): void {
  const limit = setTimeout(() => {
    log.error({ evt: 'daemon.stop.hung' }, `mgmd did not end within ${STOP_LIMIT_MS / 1000} s and is ended now`);
    output.flush(FAREWELL_MS);
    process.exit(EXIT.software);
  }, STOP_LIMIT_MS);
  limit.unref();
}

/** The configuration, or the lines that say what is wrong with it. */
function readConfig(file: string): ParsedConfig | readonly string[] {
  return readConfigFile(file, defaultSocket());
}

/** Beside the other files of this instance, where systemd gave it a directory of its own. */
function defaultSocket(): string | undefined {
  const folder = runtimeFolder(process.env);
  return folder && `${folder}/mgmd.sock`;
}

/** A mistake of ours: loud, with its stack, and over. Without a service manager that keeps the sockets the kernel forgets our vifs. */
function crash(log: Log, output: Output, error: unknown): never {
  const stack = error instanceof Error ? error.stack : String(error);
  log.error({ evt: 'daemon.crashed', stack }, 'internal error, exiting; please report the stack');
  output.flush(FAREWELL_MS);
  process.exit(EXIT.software);
}

async function tell(text: string, signals: Signals): Promise<ExitCode> {
  signals.leaveToTheSystem();
  await written(process.stdout, text);
  return EXIT.done;
}

async function complain(code: ExitCode, lines: readonly string[], signals: Signals): Promise<ExitCode> {
  signals.leaveToTheSystem();
  await written(process.stderr, lines.map((line) => `${line}\n`).join(''));
  return code;
}

/** Resolves when the reader has it all, or has gone. */
function written(stream: NodeJS.WriteStream, text: string): Promise<void> {
  return new Promise((resolve) => {
    stream.once('error', () => resolve());
    stream.write(text, () => resolve());
  });
}

function ownVersion(): string {
  const manifest = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(manifest) as { readonly version: string }).version;
}
