/** What keeps an upstream from asking as configured, in words for its operator; told once when it comes and once when it goes. */
import type { ProxyUpstream } from '../config/types.js';
import type { Clock, Timer } from '../port/clock.js';
import type { ForcedVersions, IgmpVersionNumber, Link } from '../port/kernel.js';
import type { Log } from '../port/log.js';

export interface UpstreamFacts {
  readonly config: ProxyUpstream;
  readonly link: Link;
  /** What the host side speaks there now. */
  readonly version: IgmpVersionNumber | undefined;
  readonly forced: ForcedVersions;
  /** Groups are asked there for some sources only, or without some. */
  readonly asksForSources: boolean;
}

/** Undefined: it asks as it should. */
export function upstreamProblem(facts: UpstreamFacts): string | undefined {
  const problems = [addressProblem(facts), versionProblem(facts), sourcesProblem(facts)];
  const found = problems.filter((problem) => problem !== undefined);
  return found.length > 0 ? found.join('; ') : undefined;
}

function addressProblem({ link: { addresses, name } }: UpstreamFacts): string | undefined {
  if (addresses.length > 0) return undefined;
  return `reports leave from 0.0.0.0, because ${name} has no IPv4 address, and switches and routers may ignore them; add one`;
}

function versionProblem({ config, link, version, forced }: UpstreamFacts): string | undefined {
  const wanted = config.version === 'auto' ? undefined : config.version;
  if (version === undefined || version === wanted) return undefined;
  const { all, own } = forced;
  const spoken = `${link.name} speaks IGMPv${version}` + (wanted === undefined ? '' : ` (configured: ${wanted})`);
  if (all !== undefined)
    return `${spoken}: net.ipv4.conf.all.force_igmp_version is ${all} and overrides it; set net.ipv4.conf.all.force_igmp_version to 0`;
  if (own !== wanted)
    return `${spoken}: another program set net.ipv4.conf.${link.name}.force_igmp_version to ${own ?? 0}; find out which`;
  return wanted === undefined
    ? undefined
    : `${spoken}: an IGMPv${version} querier is on the link; upgrade it, or configure version ${version}`;
}

function sourcesProblem({ version, asksForSources }: UpstreamFacts): string | undefined {
  if (version === undefined || version === 3 || !asksForSources) return undefined;
  return `IGMPv${version} cannot name sources, so all sources of a group are received; use an upstream that speaks IGMPv3`;
}

/** Nothing of the kernel tells when its settings change (netconf does not carry them), so they are compared this often. */
const COMPARE_EVERY_MS = 1000;
/** Everything is looked at every so many times, and when a setting differs. */
const LOOK_EVERY = 30;

export interface WatchParts {
  readonly clock: Clock;
  readonly log: Log;
  /** The kernel's settings for the upstreams, to be compared with what they were. */
  settings(): string;
  /** Asks the kernel which versions it speaks, before `look`. */
  refresh(then: () => void): void;
  /** Of the upstreams that are served, by interface; may put right what it finds. */
  look(): Iterable<{ readonly interface: string; readonly problem: string | null }>;
}

export class UpstreamWatch {
  readonly #parts: WatchParts;
  readonly #told = new Map<string, string>();
  #timer: Timer | undefined;
  #settings = '';
  #compared = 0;

  constructor(parts: WatchParts) {
    this.#parts = parts;
  }

  /** In a later turn, when the kernel has followed what was just set; from then on now and again. */
  start(): void {
    this.#compared = 0;
    this.#timer ??= this.#parts.clock.after(0, this.#compare);
  }

  stop(): void {
    this.#timer?.cancel();
    this.#timer = undefined;
    this.#told.clear();
  }

  readonly #compare = (): void => {
    this.#timer = this.#parts.clock.after(COMPARE_EVERY_MS, this.#compare);
    const isDue = this.#compared++ % LOOK_EVERY === 0;
    if (!isDue && this.#parts.settings() === this.#settings) return;
    this.#settings = this.#parts.settings();
    this.#parts.refresh(this.#look);
  };

  readonly #look = (): void => {
    if (this.#timer === undefined) return;
    for (const { interface: ifname, problem } of this.#parts.look()) this.#tell(ifname, problem);
    this.#settings = this.#parts.settings();
  };

  #tell(ifname: string, problem: string | null): void {
    const { log } = this.#parts;
    const before = this.#told.get(ifname) ?? null;
    if (problem === before) return;
    if (problem !== null) {
      this.#told.set(ifname, problem);
      return log.warn({ evt: 'proxy.upstream.limited', ifname, problem }, `upstream ${ifname}: ${problem}`);
    }
    this.#told.delete(ifname);
    log.info({ evt: 'proxy.upstream.limited', ifname, problem }, `upstream ${ifname} asks as configured again`);
  }
}
