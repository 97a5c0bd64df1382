/**
 * A daemon's life: from what a predecessor left, through serving, to one of three ends. It *stops* (everything is released
 * and the kernel's table emptied), it *leaves* (the service manager keeps the sockets, and whoever starts next goes on), or
 * it *becomes* another program: a successor by `--handoff`, or itself with a new configuration.
 */
import { dirname, join } from 'node:path';
import type { ParsedConfig } from '../config/parse.js';
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
  passingOn,
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

export interface Wakes {
  /** Aborted when the daemon is told to end. */
  readonly stop: AbortSignal;
  /** Calls back whenever it is told to read its configuration again. */
  onReload(reload: () => void): void;
}

export interface LifeParts {
  readonly given: Arguments;
  readonly parsed: ParsedConfig;
  readonly log: Log;
  readonly threshold: LogThreshold;
  readonly version: string;
  readonly wakes: Wakes;
  /** The configuration file as it is now, or what is wrong with it. */
  readonly readAgain: () => ParsedConfig | readonly string[];
}

/** What it was told to do. */
type End = 'stopped' | 'handed-off' | 'reloading';

export async function live(parts: LifeParts): Promise<ExitCode> {
  const { given, parsed, log, wakes } = parts;
  const { config } = parsed;
  const service = await openServiceManager(process.env, log);
  const stored = passedByParent(process.env, process.pid);
  const handed = given.handoff === undefined ? [] : takenFromPredecessor(loadAddon(), given.handoff, log);
  const { predecessor, useless } = predecessorOf([...stored, ...handed], config.table, log);
  for (const { name } of useless) service.letGo(name);
  const state = new StateFile(join(runtimeFolder(process.env) ?? dirname(config.control.socket), 'state.json'), log);
  const saved = predecessor && state.load(config.table);
  const names = new DescriptorNames(config.table, predecessor);
  const clock = new SystemClock();
  const poolOpened = service.keepsDescriptors ? (fd: number) => service.keep(names.newPool(), fd) : undefined;
  const kernelOptions = { config, clock, log, wait: given.wait, stop: wakes.stop };
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
  return new Life(parts, { service, state, saver, names, kernel, daemon }).serve(warm !== undefined);
}

interface Organs {
  readonly service: ServiceManager;
  readonly state: StateFile;
  readonly saver: StateSaver;
  readonly names: DescriptorNames;
  readonly kernel: Kernel;
  readonly daemon: Daemon;
}

class Life {
  readonly #parts: LifeParts;
  readonly #organs: Organs;
  #status = '';
  #saveDueMs = 0;

  constructor(parts: LifeParts, organs: Organs) {
    this.#parts = parts;
    this.#organs = organs;
  }

  async serve(warm: boolean): Promise<ExitCode> {
    const { service, daemon, kernel, saver } = this.#organs;
    const { given, log, wakes } = this.#parts;
    this.#sayThatWeServe(warm);
    const beat = setInterval(() => this.#beat(), Math.min(BEAT_MS, (service.watchdogMs ?? Infinity) / 2));
    this.#beat();
    let handoff: HandoffServer | undefined;
    const end = await new Promise<End>((resolve) => {
      if (wakes.stop.aborted) resolve('stopped');
      wakes.stop.addEventListener('abort', () => resolve('stopped'));
      wakes.onReload(() => {
        if (this.#mayReload()) resolve('reloading');
      });
      if (given.handoff !== undefined) handoff = this.#offerHandoff(given.handoff, () => resolve('handed-off'));
    });
    clearInterval(beat);
    handoff?.close();
    if (end === 'handed-off') return EXIT.done;
    if (end === 'reloading') return this.#becomeAnew();
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

  #sayThatWeServe(warm: boolean): void {
    const { service } = this.#organs;
    const { log, version, parsed } = this.#parts;
    const { file } = parsed.config;
    const upMs = Math.round(process.uptime() * 1000);
    log.info({ evt: 'daemon.started', pid: process.pid, version, file, upMs, warm }, `mgmd serves as ${file} says`);
    service.ready();
  }

  /** Runs on the event loop, so it stops when that does. */
  #beat(): void {
    const { service, state, daemon } = this.#organs;
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

  #mayReload(): boolean {
    const { readAgain, log, parsed } = this.#parts;
    const read = readAgain();
    if ('config' in read) return true;
    log.error(
      { evt: 'daemon.reload.refused', complaints: read },
      `${parsed.config.file} has errors, so mgmd goes on as before: ${read.join('; ')}`,
    );
    return false;
  }

  #offerHandoff(path: string, done: () => void): HandoffServer {
    const { log } = this.#parts;
    return new HandoffServer({
      path,
      addon: loadAddon(),
      log,
      peerUid: peerUidReader(),
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

  /** The same program in the same process, with the sockets as its inheritance: it reads its configuration as at a start. */
  async #becomeAnew(): Promise<ExitCode> {
    const { service } = this.#organs;
    const { log } = this.#parts;
    log.info(
      { evt: 'daemon.reload.requested' },
      'mgmd begins again with the configuration as it is now; streams go on',
    );
    service.reloading();
    const passed = await this.#letGo();
    const env = { ...process.env, ...passingOn(passed, process.pid) };
    const errno = loadAddon().replaceProcess(
      process.execPath,
      [process.execPath, ...process.execArgv, ...process.argv.slice(1)],
      Object.entries(env).map(([name, value]) => `${name}=${value ?? ''}`),
      Int32Array.from(passed, ({ fd }) => fd),
    );
    log.error({ evt: 'daemon.reload.failed', errno }, `${process.execPath} cannot be started again (errno ${errno})`);
    return EXIT.osError;
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
