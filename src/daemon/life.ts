/**
 * A daemon's life: from what a predecessor left, through serving, to one of three ends. It *stops* (everything is released
 * and the kernel's table emptied), it *leaves* (the service manager keeps the sockets, and whoever starts next goes on), or
 * it is *succeeded*: by another process with `--handoff`, or by the next life in this one with a new configuration
 * ([ADR 13](docs/adr/0013-a-reload-stays-in-the-process.md)).
 */
import { dirname, join } from 'node:path';
import { formatComplaint, type ParsedConfig } from '../config/parse.js';
import type { Config } from '../config/types.js';
import { loadAddon } from '../kernel/addon.js';
import type { Kernel } from '../kernel/system.js';
import type { AdoptionResult } from '../mgm/adoption.js';
import type { Log } from '../port/log.js';
import type { Arguments } from './arguments.js';
import {
  DescriptorNames,
  type NamedDescriptor,
  passedByParent,
  type Predecessor,
  predecessorOf,
  takenFromPredecessor,
} from './descriptors.js';
import { EXIT, type ExitCode } from './exit-codes.js';
import { HandoffServer } from './handoff.js';
import { openServiceManager, type ServiceManager } from './notify.js';
import type { LogThreshold } from './pino-log.js';
import { runtimeFolder } from './runtime-folder.js';
import { isServiceStopping } from './service-job.js';
import type { Signals } from './signals.js';
import { groupIdOf, obtainKernel, peerUidReader, reportLeftovers } from './start.js';
import { StateFile } from './state-file.js';
import { StateSaver } from './state-saver.js';
import { SystemClock } from './system-clock.js';
import { Daemon } from './wiring.js';

/** How often the status line is told, and the state saved. */
const BEAT_MS = 5000;
/** A state that takes long to save, ten thousand routes, is saved less often: at most this part of the time. */
const SAVING_SHARE = 0.002;
/** Between an answer and its arrival here. */
const SLACK_MS = 1000;

export interface LifeParts {
  readonly given: Arguments;
  readonly parsed: ParsedConfig;
  readonly log: Log;
  readonly threshold: LogThreshold;
  readonly version: string;
  readonly signals: Pick<Signals, 'stop' | 'onceReload'>;
  /** The configuration file as it is now, or what is wrong with it. */
  readonly readAgain: () => ParsedConfig | readonly string[];
}

/** What it was told to do; a configuration: to go on with that. */
type End = 'stopped' | 'handed-off' | ParsedConfig;

/** What a life begins with. */
interface Beginning {
  readonly parsed: ParsedConfig;
  /** On the clock of `performance.now()`. */
  readonly atMs: number;
  readonly service: ServiceManager;
  /** Sockets of the life before. The service manager knows them by the same names. */
  readonly stored: readonly NamedDescriptor[];
  /** Sockets of another process, by `--handoff`. */
  readonly handed: readonly NamedDescriptor[];
}

/** Resolves at the end of the last life. */
export async function live(parts: LifeParts): Promise<ExitCode> {
  const { given, parsed, log } = parts;
  const service = await openServiceManager(process.env, log);
  const stored = passedByParent(process.env, process.pid);
  const handed = given.handoff === undefined ? [] : takenFromPredecessor(loadAddon(), given.handoff, log);
  if (!handed) return EXIT.unavailable;
  let next: Beginning | ExitCode = { parsed, atMs: 0, service, stored, handed };
  while (typeof next === 'object') next = await liveOnce(parts, next);
  return next;
}

async function liveOnce(parts: LifeParts, beginning: Beginning): Promise<Beginning | ExitCode> {
  const { given, log, signals } = parts;
  const { parsed, service, stored, handed } = beginning;
  const { config, warnings } = parsed;
  parts.threshold.level = config.log.level;
  for (const warning of warnings) log.warn({ evt: 'config.warned', ...warning }, formatComplaint(warning));
  const { predecessor, useless } = predecessorOf([...stored, ...handed], config.table, log);
  for (const { name } of useless) service.letGo(name);
  const state = new StateFile(join(runtimeFolder(process.env) ?? dirname(config.control.socket), 'state.json'), log);
  const saved = predecessor && state.load(config.table);
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
    control: { peerUid: peerUidReader(), groupId: groupIdOf('mgmd') },
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
    return problem.inUse ? EXIT.unavailable : EXIT.osError;
  }
  return new Life(parts, beginning, { state, saver, names, kernel, daemon, clock }).serve(warm !== undefined);
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
  #status = '';
  #saveDueMs = 0;

  constructor(parts: LifeParts, beginning: Beginning, organs: Organs) {
    this.#parts = parts;
    this.#beginning = beginning;
    this.#organs = organs;
  }

  async serve(warm: boolean): Promise<Beginning | ExitCode> {
    const { daemon, kernel, saver } = this.#organs;
    const { service } = this.#beginning;
    const { log } = this.#parts;
    this.#sayThatWeServe(warm);
    const beat = setInterval(() => this.#beat(), Math.min(BEAT_MS, (service.watchdogMs ?? Infinity) / 2));
    this.#beat();
    const end = await this.#untilTold();
    clearInterval(beat);
    if (end === 'handed-off') return EXIT.done;
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
    let handoff: HandoffServer | undefined;
    let stopped: () => void = () => undefined;
    const end = await new Promise<End>((resolve) => {
      stopped = () => resolve('stopped');
      if (signals.stop.aborted) stopped();
      signals.stop.addEventListener('abort', stopped);
      this.#awaitReload(resolve);
      if (given.handoff !== undefined) handoff = this.#offerHandoff(given.handoff, () => resolve('handed-off'));
    });
    signals.stop.removeEventListener('abort', stopped);
    handoff?.close();
    return end;
  }

  /** A file with errors changes nothing, and the next SIGHUP is awaited. */
  #awaitReload(resolve: (end: ParsedConfig) => void): void {
    const { readAgain, log, signals } = this.#parts;
    const { config } = this.#beginning.parsed;
    signals.onceReload(() => {
      const read = readAgain();
      if ('config' in read) return resolve(read);
      log.error(
        { evt: 'daemon.reload.refused', complaints: read },
        `${config.file} has errors, so mgmd goes on as before: ${read.join('; ')}`,
      );
      this.#awaitReload(resolve);
    });
  }

  #sayThatWeServe(warm: boolean): void {
    const { service, atMs, parsed } = this.#beginning;
    const { log, version } = this.#parts;
    const { file } = parsed.config;
    const upMs = Math.round(performance.now() - atMs);
    log.info({ evt: 'daemon.started', pid: process.pid, version, file, upMs, warm }, `mgmd serves as ${file} says`);
    service.ready();
  }

  /** Runs on the event loop, so it stops when that does. */
  #beat(): void {
    const { state, daemon } = this.#organs;
    const { service } = this.#beginning;
    service.isWell();
    if (performance.now() >= this.#saveDueMs) {
      const startedMs = performance.now();
      state.save(daemon.state(false));
      this.#saveDueMs = startedMs + Math.max(BEAT_MS, (performance.now() - startedMs) / SAVING_SHARE) - BEAT_MS / 2;
    }
    const status = daemon.summary();
    if (status !== this.#status) service.status(status);
    this.#status = status;
  }

  #offerHandoff(path: string, done: () => void): HandoffServer {
    const { log } = this.#parts;
    return new HandoffServer({
      path,
      addon: loadAddon(),
      log,
      peerUid: peerUidReader(),
      descriptors: () => this.#organs.names.named(this.#organs.kernel.descriptors()),
      letGo: () => this.#letGo(),
      done,
    });
  }

  /** The control socket closes, the state is saved; the kernel's table and memberships stay as they are. */
  async #letGo(): Promise<readonly NamedDescriptor[]> {
    const { daemon, state, saver, kernel, names } = this.#organs;
    await daemon.leave();
    saver.stop();
    state.save(daemon.state(true));
    return names.named(kernel.descriptors());
  }

  /** The next life reads everything from the kernel and the saved state, as after a restart. Nothing of this one goes on. */
  async #beginAnew(parsed: ParsedConfig): Promise<Beginning> {
    const { kernel, clock } = this.#organs;
    const { service } = this.#beginning;
    const atMs = performance.now();
    this.#parts.log.info(
      { evt: 'daemon.reload.requested' },
      'mgmd begins again with the configuration as it is now; streams go on',
    );
    service.reloading();
    const stored = await this.#letGo();
    clock.close();
    kernel.abandon();
    return { parsed, atMs, service, stored, handed: [] };
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
