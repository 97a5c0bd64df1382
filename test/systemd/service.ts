/** mgmd as systemd runs it in this container: its state, its process, what it says of itself. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { ControlClient } from '../../src/control/client.js';
import type { InterfaceView, MembershipView } from '../../src/mgm/snapshot.js';
import { eventually } from '../support/eventually.js';

/** Above what the service itself may take to start. */
const START_LIMIT_MS = 20_000;

interface NeighborRow {
  readonly neighbor: string;
  readonly state: string;
}

interface RouteRow {
  readonly originSubnet: string;
  readonly fromGateway: string | null;
  readonly state: string;
  readonly dependents: readonly string[];
}

export interface Ran {
  readonly status: number | null;
  readonly output: string;
}

/** Runs a command to its end, whatever that is. */
export function attempt(command: string, ...args: readonly string[]): Ran {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 26 });
  return { status, output: error ? String(error) : `${stdout}${stderr}`.trim() };
}

/** The same where nothing else than success will do. */
export function must(command: string, ...args: readonly string[]): string {
  const { status, output } = attempt(command, ...args);
  if (status !== 0) throw new Error(`${command} ${args.join(' ')} ended with ${status}:\n${output}`);
  return output;
}

export class Service {
  readonly unit: string;
  readonly socket: string;

  constructor(unit = 'mgmd.service', socket = '/run/mgmd/mgmd.sock') {
    this.unit = unit;
    this.socket = socket;
  }

  /** `systemctl VERB`, which returns when the service is there, or gone. Throws with what the journal says. */
  does(verb: 'start' | 'stop' | 'restart' | 'reload'): void {
    // Somebody who restarts it ten times in a row means it.
    attempt('systemctl', 'reset-failed', this.unit);
    const { status, output } = attempt('systemctl', verb, this.unit);
    if (status !== 0) throw new Error(`systemctl ${verb} ${this.unit}: ${output}\n${this.journal(40)}`);
  }

  property(name: string): string {
    return must('systemctl', 'show', '--value', '--property', name, this.unit);
  }

  get pid(): number {
    return Number(this.property('MainPID'));
  }

  signal(signal: NodeJS.Signals): void {
    process.kill(this.pid, signal);
  }

  /** Waits until systemd has started another process in place of `pid`, and this one is ready. */
  async restarted(pid: number, withinMs = START_LIMIT_MS): Promise<void> {
    attempt('systemctl', 'reset-failed', this.unit);
    await eventually(
      `systemd to start ${this.unit} again`,
      () => {
        const [now, state] = must('systemctl', 'show', '--value', '-p', 'MainPID', '-p', 'ActiveState', this.unit)
          .split('\n')
          .sort();
        return Number(now) !== pid && Number(now) > 0 && state === 'active';
      },
      { withinMs, everyMs: 150 },
    ).catch((error: unknown) => {
      throw new Error(`${String(error)}\n${this.journal(40)}`);
    });
  }

  /** Settings of the unit for a test. */
  dropIn(name: string, text: string): void {
    mkdirSync(this.#dropIns, { recursive: true });
    writeFileSync(`${this.#dropIns}/${name}.conf`, text);
    must('systemctl', 'daemon-reload');
  }

  removeDropIns(): void {
    if (!existsSync(this.#dropIns)) return;
    rmSync(this.#dropIns, { recursive: true });
    must('systemctl', 'daemon-reload');
  }

  get #dropIns(): string {
    return `/run/systemd/system/${this.unit}.d`;
  }

  connect(): Promise<ControlClient> {
    return ControlClient.connect(this.socket);
  }

  async version(): Promise<string> {
    const client = await this.connect();
    client.close();
    return client.hello.version;
  }

  /** Returns a way to read what the journal has got since now. */
  journalFromNow(): () => string {
    const words = ['--no-pager', '-o', 'cat', '-u', this.unit];
    const cursor = /^-- cursor: (.*)$/m.exec(must('journalctl', ...words, '-n', '1', '--show-cursor'))?.[1] ?? '';
    return () => must('journalctl', ...words, `--after-cursor=${cursor}`);
  }

  journal(lines: number): string {
    return attempt('journalctl', '--no-pager', '-o', 'short-precise', '-n', String(lines), '-u', this.unit).output;
  }

  /** Who owns which interface, one line each. */
  async ownership(): Promise<readonly string[]> {
    const rows = await this.#rows<InterfaceView>('interfaces');
    return rows.map(({ name, owner, igmp, state, phase }) => `${name} ${owner} igmp:${igmp} ${state} ${phase}`).sort();
  }

  /** Every membership that is not stale, one line each. */
  async groups(): Promise<readonly string[]> {
    const rows = await this.#rows<MembershipView>('groups');
    const live = rows.filter(({ stale }) => !stale);
    return live.map((row) => `${row.source} ${row.group} ${row.interface} ${row.client}`).sort();
  }

  /** The DVMRP neighbours, and every route with its next hop and who depends on us for it. */
  async dvmrp(): Promise<readonly string[]> {
    const [neighbors, routes] = await Promise.all([
      this.#rows<NeighborRow>('dvmrp.neighbors'),
      this.#rows<RouteRow>('dvmrp.routes'),
    ]);
    return [
      ...neighbors.map(({ neighbor, state }) => `neighbour ${neighbor} ${state}`),
      ...routes.map((row) => `${row.originSubnet} from ${row.fromGateway} ${row.state} for ${row.dependents.join()}`),
    ].sort();
  }

  async #rows<T extends object>(view: string): Promise<readonly T[]> {
    const client = await this.connect();
    try {
      return await client.rows<T>(view);
    } finally {
      client.close();
    }
  }
}
