/**
 * A daemon's life: from what a predecessor left, through serving, to one of three ends. It *stops* (everything is released
 * and the kernel's table emptied), it *leaves* (the service manager keeps the sockets, and whoever starts next goes on), or
 * it is *succeeded*: by another process with `--handoff`, or by the next life in this one with a new configuration
 * ([ADR 13](docs/adr/0013-a-reload-stays-in-the-process.md)).
 */
import { closeSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { formatComplaint, type ParsedConfig } from '../config/parse.js';
import type { Config } from '../config/types.js';
import { ok } from '../base/result.js';
import { loadAddon } from '../kernel/addon.js';
import type { Kernel } from '../kernel/system.js';
import type { AdoptionResult } from '../mgm/entries/adoption.js';
import type { Log } from '../port/log.js';
import type { Arguments } from './process/arguments.js';
import {
  DescriptorNames,
  type NamedDescriptor,
  passedByParent,
  type Predecessor,
  predecessorOf,
} from './state/descriptors.js';
import { EXIT, type ExitCode } from './process/exit-codes.js';
import { HandoffServer, SERVING_MS, Successor } from './state/handoff.js';
import { openServiceManager, type ServiceManager } from './process/notify.js';
import type { LogThreshold } from './pino-log.js';
import { runtimeFolder } from './state/runtime-folder.js';
import { isServiceStopping } from './process/service-job.js';
import type { Signals } from './process/signals.js';
import { groupIdOf, obtainKernel, peerUidReader, reportLeftovers } from './start.js';
import { StateFile } from './state/state-file.js';
import { StateSaver } from './state/state-saver.js';
import { SystemClock } from './process/system-clock.js';
import { type Takeover, takeOver } from './state/takeover.js';
import { Daemon } from './wiring.js';

/** How often the status line is told, and the state saved. */
const BEAT_MS = 5000;
/** A state that takes long to save, ten thousand routes, is saved less often: at most this part of the time. */
const SAVING_SHARE = 0.002;
const LONGEST_PAUSE_MS = 120_000;
/** So many errors of a new configuration are in the log: a line of all would be longer than the log holds. */
const COMPLAINTS = 20;
/** Between an answer and its arrival here. */
const SLACK_MS = 1000;

export interface LifeParts {
  readonly given: Arguments;
  readonly parsed: ParsedConfig;
  readonly log: Log;
  readonly threshold: LogThreshold;
  readonly version: string;
  /** Lines of the log that were lost. */
  readonly lostLines: () => number;
  readonly signals: Pick<Signals, 'stop' | 'onceReload'>;
  /** The configuration file as it is now, or what is wrong with it. */
  readonly readAgain: () => ParsedConfig | readonly string[];
}

/** What it was told to do; a configuration: to go on with that. A successor: to give it everything. */
type End = 'stopped' | 'taken-back' | Successor | ParsedConfig;

/** What a life begins with. */
interface Beginning {
  readonly parsed: ParsedConfig;
  /** On the clock of `performance.now()`. */
  readonly atMs: number;
  readonly service: ServiceManager;
  /** Sockets of the life before. The service manager knows them by the same names. */
  readonly stored: readonly NamedDescriptor[];
  /** Sockets of another process, by `--handoff`. */
  readonly takeover?: Takeover | undefined;
  /** Where the life before has saved its state, if not where this one does. */
  readonly statePath?: string | undefined;
  /** A successor that was told to end may still answer on the control socket. */
  readonly replaces?: boolean;
  /** The life before, if this one cannot serve. Its descriptors are ours to close. */
  readonly fallback?: Fallback | undefined;
}

interface Fallback {
  readonly parsed: ParsedConfig;
  readonly stored: readonly NamedDescriptor[];
}

/** Resolves at the end of the last life. */
export async function live(parts: LifeParts): Promise<ExitCode> {
  const { given, parsed, log, signals } = parts;
  const service = await openServiceManager(process.env, log);
  const stored = passedByParent(process.env, process.pid);
  const takeover = await takeoverBy(given.handoff, log, signals.stop);
  if (!takeover.ok) return takeover.error;
  const first = { parsed, atMs: 0, service, stored, takeover: takeover.value, statePath: takeover.value?.statePath };
  let next: Beginning | ExitCode = first;
  while (typeof next === 'object') next = await liveOnce(parts, next);
  return next;
}

function takeoverBy(path: string | undefined, log: Log, stop: AbortSignal): ReturnType<typeof takeOver> {
  if (path === undefined) return Promise.resolve(ok(undefined));
  return takeOver({ addon: loadAddon(), path, log, clock: new SystemClock(), stop });
}

async function liveOnce(parts: LifeParts, beginning: Beginning): Promise<Beginning | ExitCode> {
  const life = await begin(parts, beginning);
  return life instanceof Life ? life.serve() : goBack(parts, beginning, life);
}

/** After a reload whose configuration cannot be served, as the line before says, mgmd goes on with the one before. */
function goBack({ log, signals }: LifeParts, beginning: Beginning, code: ExitCode): Beginning | ExitCode {
  const { fallback, service, statePath } = beginning;
  if (!fallback || signals.stop.aborted) return code;
  const { file } = fallback.parsed.config;
  log.error(
    { evt: 'daemon.reload.refused', complaints: [] },
    `cannot serve as ${file} says now: the line before has the reason; mgmd goes on with the configuration before`,
  );
  return { ...fallback, service, statePath, atMs: performance.now() };
}

/** The exit code after the reason has been logged. */
async function begin(parts: LifeParts, beginning: Beginning): Promise<Life | ExitCode> {
  const { given, log, signals } = parts;
  const { parsed, service, stored, takeover, statePath, replaces = false } = beginning;
  const { config, warnings } = parsed;
  parts.threshold.level = config.log.level;
  for (const warning of warnings) log.warn({ evt: 'config.warned', ...warning }, formatComplaint(warning));
  const { predecessor, useless } = predecessorOf([...stored, ...(takeover?.descriptors ?? [])], config.table, log);
  for (const { name } of useless) service.letGo(name);
  const state = new StateFile(join(runtimeFolder(process.env) ?? dirname(config.control.socket), 'state.json'), log);
  const saved = predecessor && new StateFile(statePath ?? state.path, log).load(config.table);
  const names = new DescriptorNames(config.table, predecessor);
  const clock = new SystemClock();
  const poolOpened = service.keepsDescriptors ? (fd: number) => service.keep(names.newPool(), fd) : undefined;
  const kernelOptions = { config, clock, log, wait: given.wait, stop: signals.stop };
  const opened = await obtainKernel({ ...kernelOptions, predecessor, poolOpened });
  if (!opened.ok) return opened.error === 'stopped' ? EXIT.done : opened.error;
  const { kernel, inherited } = opened.value;
  if (!inherited) {
    for (const { name } of stored) service.letGo(name);
    reportLeftovers(kernel, log);
  }
  if (service.keepsDescriptors && !(inherited && stored.length > 0)) keepRouting(service, names, kernel);
  const saver = new StateSaver({ clock, save: () => state.save(daemon.state(false)) });
  const daemon: Daemon = new Daemon({
    config,
    kernel: { ...kernel, start: () => startKernel(kernel) },
    clock,
    log,
    threshold: parts.threshold,
    version: parts.version,
    lostLines: parts.lostLines,
    control: { peerUid: peerUidReader(), groupId: groupIdOf('mgmd'), replaces },
    saved: inherited ? saved : undefined,
    changed: () => saver.changed(),
  });
  const windowEnded = (result: AdoptionResult) => endWindow(result, predecessor, kernel, service, log);
  const warm = inherited ? { windowMs: windowOf(config), answerMs: answerOf(config), ended: windowEnded } : undefined;
  const problem = await daemon.start(warm);
  if (problem) {
    log.error({ evt: 'control.refused' }, problem.message);
    // What was inherited may be inherited again: the next try can find the control socket free.
    if (!inherited) await stopAll(daemon, kernel, log);
    clock.close();
    kernel.abandon();
    return problem.inUse ? EXIT.unavailable : EXIT.osError;
  }
  return new Life(parts, beginning, { state, saver, names, kernel, daemon, clock }, inherited);
}

interface Organs {
  readonly state: StateFile;
  readonly saver: StateSaver;
  readonly names: DescriptorNames;
  readonly kernel: Kernel;
  readonly daemon: Daemon;
  readonly clock: SystemClock;
}

class Life {
  readonly #parts: LifeParts;
  readonly #beginning: Beginning;
  readonly #organs: Organs;
  readonly #inherited: boolean;
  #status = '';
  #saveDueMs = 0;
  #ends = false;

  constructor(parts: LifeParts, beginning: Beginning, organs: Organs, inherited: boolean) {
    this.#parts = parts;
    this.#beginning = beginning;
    this.#organs = organs;
    this.#inherited = inherited;
  }

  async serve(): Promise<Beginning | ExitCode> {
    const { daemon, kernel, saver } = this.#organs;
    const { service } = this.#beginning;
    const { log } = this.#parts;
    this.#sayThatWeServe();
    const beat = setInterval(() => this.#beat(), Math.min(BEAT_MS, (service.watchdogMs ?? Infinity) / 2));
    this.#beat();
    const end = await this.#untilTold();
    clearInterval(beat);
    this.#ends = true;
    if (end === 'taken-back') return this.#yield();
    if (end instanceof Successor) return this.#giveTo(end);
    if (end !== 'stopped') return this.#beginAnew(end);
    service.stopping();
    if (service.keepsDescriptors && !(await isServiceStopping())) {
      await this.#letGo();
      log.info({ evt: 'daemon.left' }, 'mgmd ends; the service manager keeps its sockets, and streams go on');
      return EXIT.done;
    }
    saver.stop();
    await stopAll(daemon, kernel, log);
    return EXIT.done;
  }

  async #untilTold(): Promise<End> {
    const { given, signals } = this.#parts;
    const { takeover } = this.#beginning;
    let handoff: HandoffServer | undefined;
    let stopped: () => void = () => undefined;
    const end = await new Promise<End>((resolve) => {
      stopped = () => resolve('stopped');
      if (signals.stop.aborted) stopped();
      signals.stop.addEventListener('abort', stopped);
      this.#awaitReload(resolve);
      if (takeover?.takenBack.aborted) return resolve('taken-back');
      takeover?.takenBack.addEventListener('abort', () => resolve('taken-back'));
      if (given.handoff !== undefined) handoff = this.#offerHandoff(given.handoff, resolve);
    });
    signals.stop.removeEventListener('abort', stopped);
    // Who took everything back listens there as well.
    if (end !== 'taken-back') handoff?.close();
    return end;
  }

  /** A file with errors changes nothing, and the next SIGHUP is awaited. */
  #awaitReload(resolve: (end: ParsedConfig) => void): void {
    const { readAgain, log, signals } = this.#parts;
    signals.onceReload(() => {
      const read = readAgain();
      if ('config' in read) return resolve(read);
      const complaints = read.slice(0, COMPLAINTS);
      const more = read.length > COMPLAINTS ? `; and ${read.length - COMPLAINTS} more, which mgmd --check lists` : '';
      log.error(
        { evt: 'daemon.reload.refused', complaints },
        `cannot reload; mgmd goes on with the configuration it has: ${complaints.join('; ')}${more}`,
      );
      this.#awaitReload(resolve);
    });
  }

  #sayThatWeServe(): void {
    const { service, atMs, parsed, takeover, fallback } = this.#beginning;
    const { log, version } = this.#parts;
    const { file } = parsed.config;
    const upMs = Math.round(performance.now() - atMs);
    log.info(
      { evt: 'daemon.started', pid: process.pid, version, file, upMs, warm: this.#inherited },
      `mgmd started with ${file}`,
    );
    service.ready();
    takeover?.serving();
    for (const { fd } of fallback?.stored ?? []) closeSync(fd);
  }

  /** Runs on the event loop, so it stops when that does. */
  #beat(): void {
    const { daemon } = this.#organs;
    const { service } = this.#beginning;
    service.isWell();
    if (performance.now() >= this.#saveDueMs) void this.#save();
    const status = daemon.summary();
    if (status !== this.#status) service.status(status);
    this.#status = status;
  }

  async #save(): Promise<void> {
    const { state, daemon } = this.#organs;
    const startedMs = performance.now();
    this.#saveDueMs = Infinity;
    await daemon.prepareState();
    // What is saved at the end is the last word.
    if (this.#ends) return;
    state.save(daemon.state(false));
    const pauseMs = Math.min((performance.now() - startedMs) / SAVING_SHARE, LONGEST_PAUSE_MS);
    this.#saveDueMs = startedMs + Math.max(BEAT_MS, pauseMs) - BEAT_MS / 2;
  }

  #offerHandoff(path: string, taken: (successor: Successor) => void): HandoffServer {
    const { log } = this.#parts;
    return new HandoffServer({
      path,
      addon: loadAddon(),
      log,
      peerUid: peerUidReader(),
      descriptors: () => this.#organs.names.named(this.#organs.kernel.descriptors()),
      taken,
    });
  }

  /** The control socket closes, the state is saved; the kernel's table and memberships stay as they are. */
  async #letGo(): Promise<readonly NamedDescriptor[]> {
    const { daemon, state, saver, kernel, names } = this.#organs;
    await daemon.leave();
    await daemon.prepareState();
    this.#ends = true;
    saver.stop();
    state.save(daemon.state(true));
    return names.named(kernel.descriptors());
  }

  /** The next life reads everything from the kernel and the saved state, as after a restart. Nothing of this one goes on. */
  async #beginAnew(parsed: ParsedConfig): Promise<Beginning> {
    const { service, parsed: before } = this.#beginning;
    const { names, kernel, state } = this.#organs;
    const atMs = performance.now();
    this.#parts.log.info({ evt: 'daemon.reload.requested' }, 'reloading the configuration; forwarding continues');
    service.reloading();
    const fallback = { parsed: before, stored: names.named(kernel.descriptors()) };
    return { parsed, atMs, service, stored: await this.#fallSilent(), statePath: state.path, fallback };
  }

  /** Keeps the sockets until the successor serves; if it does not, the next life goes on with them. */
  async #giveTo(successor: Successor): Promise<Beginning | ExitCode> {
    const { log, given, signals } = this.#parts;
    const { parsed, service } = this.#beginning;
    const path = given.handoff;
    log.info(
      { evt: 'daemon.handed-off', path },
      `a successor takes over by ${path}; mgmd lets go and ends when it serves`,
    );
    const stored = await this.#fallSilent();
    const { path: statePath } = this.#organs.state;
    if (await successor.serves(statePath, new SystemClock(), signals.stop)) return EXIT.done;
    log.error(
      { evt: 'daemon.handoff.taken-back', path },
      `the successor ended, or did not serve within ${SERVING_MS / 1000} s: mgmd goes on; look for the reason in its log`,
    );
    return { parsed, atMs: performance.now(), service, stored, statePath, replaces: true };
  }

  /** The predecessor goes on with the table. */
  #yield(): ExitCode {
    const { clock, kernel } = this.#organs;
    this.#parts.log.error(
      { evt: 'daemon.handoff.failed', path: this.#parts.given.handoff },
      `mgmd took longer than ${SERVING_MS / 1000} s to serve, so its predecessor goes on; mgmd ends`,
    );
    clock.close();
    kernel.abandon();
    return EXIT.unavailable;
  }

  /** Saves the state and stops acting; the result keeps the kernel's table and memberships as they are. */
  async #fallSilent(): Promise<readonly NamedDescriptor[]> {
    const { kernel, clock } = this.#organs;
    const stored = await this.#letGo();
    clock.close();
    kernel.abandon();
    return stored;
  }
}

function keepRouting(service: ServiceManager, names: DescriptorNames, kernel: Kernel): void {
  const fd = kernel.duplicateSocket();
  if (typeof fd === 'number') service.keep(names.routing, fd);
}

/** The end of the restart window: who wanted something has said so, and what only the predecessor held is given up. */
function endWindow(
  { adopted, kept, swept }: AdoptionResult,
  predecessor: Predecessor | undefined,
  kernel: Kernel,
  service: ServiceManager,
  log: Log,
): void {
  kernel.membership.releaseInherited();
  for (const { name } of predecessor?.memberships ?? []) service.letGo(name);
  log.info(
    { evt: 'daemon.warm-start.ended', adopted, kept, swept },
    `the restart window is over: ${kept} of ${adopted} flows of the predecessor are still there`,
  );
}

async function stopAll(daemon: Daemon, kernel: Kernel, log: Log): Promise<void> {
  await daemon.stop();
  kernel.close();
  log.info({ evt: 'daemon.stopped' }, 'mgmd has released every interface and the table');
}

function startKernel(kernel: Kernel): void {
  const error = kernel.start();
  if (error) throw error;
}

function answerOf({ interfaces }: Config): number {
  return SLACK_MS + Math.max(0, ...interfaces.map(({ igmp }) => igmp?.queryResponseIntervalMs ?? 0));
}

/** Never so short that hosts could not have answered every one of the startup queries. */
function windowOf({ restart, interfaces }: Config): number {
  const asked = interfaces.map(({ igmp }) =>
    igmp ? (igmp.startupQueryCount - 1) * igmp.startupQueryIntervalMs + igmp.queryResponseIntervalMs + SLACK_MS : 0,
  );
  return Math.max(restart.windowMs, ...asked);
}
