/** Runs the laboratory: starts everybody, waits until the streams flow, makes the tour, drains, judges. */
import type { ManagerEvent } from '../mgm/snapshot.js';
import { type Host, startDaemon, startHost } from './machines/crew.js';
import { clockText, ownerLine, picture, type Screen, streamsLine, verdictLines } from './tour/display.js';
import { exploreHints } from './tour/hints.js';
import { monotonicMs, sleep } from './time.js';
import type { FromHost, OtherGroups, ToReceiver, ToSender } from './traffic/messages.js';
import { Observations } from './tour/observations.js';
import { HOSTS, type RouterInterface, SENDER } from './machines/plan.js';
import { connectRouter, type Router } from './machines/router.js';
import { Tour } from './tour/tour.js';
import { judge } from './tour/verdict.js';

export interface LaboratoryOptions {
  /** What the whole run is to take, start and end included; 0: no tour. */
  readonly seconds: number;
  readonly keep: boolean;
  /** It has a user namespace of its own. */
  readonly ownUser: boolean;
}

/** What drain and end take of the whole, about. */
const END_MS = 700;
/** Every stream has to have brought more at this many looks in a row before counting begins. */
const LOOKS_IN_FLOW = 4;
const LOOK_EVERY_MS = 100;
const FLOW_LIMIT_MS = 15_000;
/** The kernel reports what the daemon joined at its start once more within 1 s (RFC 3376 section 5.1): not in a pause. */
const REPEATED_REPORTS_MS = 1_200;
/** How long packets may be on their way after the sender stopped. */
const DRAIN_LIMIT_MS = 2_000;
const DRAW_EVERY_MS = 100;
const OWNERS_EVERY_MS = 500;
const PLAIN_EVERY_MS = 2_000;

export class Laboratory {
  readonly #screen: Screen;
  readonly #options: LaboratoryOptions;
  readonly #startedMs = monotonicMs();
  readonly #seen = new Observations(this.#startedMs);
  readonly #receivers: Host<ToReceiver>[] = [];
  #router: Router | undefined;
  #sender: Host<ToSender> | undefined;
  #tour: Tour | undefined;
  #doing = 'starting';
  /** The daemon has joined its own groups. */
  #joinedMs = 0;
  #stopped = false;
  #wake: () => void = () => undefined;

  constructor(screen: Screen, options: LaboratoryOptions) {
    this.#screen = screen;
    this.#options = options;
  }

  /** Ends the tour, or --keep; the verdict is given all the same. */
  stop(): void {
    this.#stopped = true;
    this.#wake();
  }

  /** The exit code: 0 passed, 1 failed. Throws when the laboratory itself cannot go on. */
  async run(): Promise<number> {
    const repeating = [
      setInterval(() => this.#draw(), DRAW_EVERY_MS),
      setInterval(() => this.#lookAtOwners(), OWNERS_EVERY_MS),
      setInterval(() => this.#screen.line(this.#plainLine()), PLAIN_EVERY_MS),
    ];
    await this.#startRouter();
    await this.#startHosts();
    await this.#waitForFlow();
    for (const receiver of this.#receivers) receiver.tell({ kind: 'begin' });
    // The kernel repeats what it reported at the start; in a pause that would count as a crossing.
    await sleep(this.#joinedMs + REPEATED_REPORTS_MS - monotonicMs());
    if (this.#options.seconds > 0) await this.#makeTour();
    if (this.#options.keep && !this.#stopped) await this.#stayUp();
    await this.#drain();
    for (const repeated of repeating) clearInterval(repeated);
    return this.#giveVerdict();
  }

  async #startRouter(): Promise<void> {
    let died: (error: Error) => void = () => undefined;
    const death = new Promise<never>((_, reject) => {
      died = reject;
    });
    startDaemon((sentence) => {
      this.#fail(sentence);
      died(new Error(sentence));
    });
    this.#router = await Promise.race([connectRouter((event) => this.#event(event)), death]);
    death.catch(() => undefined); // from now on it is one more failure
    this.#joinedMs = monotonicMs();
    this.#doing = 'waiting for the streams';
    this.#lookAtOwners();
  }

  async #startHosts(): Promise<void> {
    const heard = (message: FromHost) => this.#seen.heard(message);
    const gone = (sentence: string) => this.#fail(sentence);
    const receivers = Object.values(HOSTS).map(({ namespace }) =>
      startHost<ToReceiver>(namespace, 'receiver', heard, gone),
    );
    const sender = startHost<ToSender>(SENDER.namespace, 'sender', heard, gone);
    this.#receivers.push(...(await Promise.all(receivers)));
    this.#sender = await sender;
    for (const receiver of this.#receivers) receiver.tell({ kind: 'join-streams' });
    this.#sender.tell({ kind: 'start' });
  }

  /** Counting begins when every stream flows: the first packets of a flow wait for its entry and may be too many. */
  async #waitForFlow(): Promise<void> {
    const untilMs = monotonicMs() + FLOW_LIMIT_MS;
    let before = '';
    for (let looks = 0; looks < LOOKS_IN_FLOW && !this.#stopped; ) {
      await sleep(LOOK_EVERY_MS);
      const now = this.#seen
        .streams()
        .map(({ received }) => received)
        .join();
      looks = this.#seen.allFlowing() && now !== before ? looks + 1 : 0;
      before = now;
      if (monotonicMs() > untilMs)
        throw new Error(`not every stream came through in ${FLOW_LIMIT_MS} ms: ${streamsLine(this.#seen.streams())}`);
    }
  }

  async #makeTour(): Promise<void> {
    this.#tour = new Tour({
      control: this.#router!,
      ledger: this.#seen.ledger,
      tellHosts: (name, order) => this.#tellHosts(name, order),
      onChange: (sentence) => {
        this.#doing = sentence;
        this.#screen.line(`${clockText(this.#elapsedMs())} ${sentence}`);
      },
    });
    const spentMs = this.#elapsedMs() + END_MS;
    await this.#tour.run(this.#options.seconds * 1000 - spentMs, () => this.#stopped);
    this.#seen.failures.push(...this.#tour.failures);
    if (this.#tour.changes === 0) this.#fail('it was stopped before the first change of owner');
  }

  /** The hosts on the router's LAN `name`, in the order of their numbers. */
  #tellHosts(name: RouterInterface, order: (host: number) => OtherGroups): number {
    const hosts = name === 'send' ? [this.#sender!] : this.#receivers;
    hosts.forEach((host, number) => {
      host.tell(order(number));
    });
    return hosts.length;
  }

  async #stayUp(): Promise<void> {
    this.#doing = 'staying up; Ctrl-C ends it';
    this.#screen.say(exploreHints(this.#options.ownUser));
    await new Promise<void>((resolve) => {
      this.#wake = resolve;
    });
  }

  async #drain(): Promise<void> {
    this.#doing = 'draining';
    this.#sender!.tell({ kind: 'stop' });
    const untilMs = monotonicMs() + DRAIN_LIMIT_MS;
    while (monotonicMs() < untilMs && !this.#seen.allHere()) await sleep(LOOK_EVERY_MS);
    await sleep(2 * LOOK_EVERY_MS); // a duplicate may still come, and be told
  }

  #fail(sentence: string): void {
    this.#seen.failures.push(sentence);
    this.stop();
  }

  #event(event: ManagerEvent): void {
    const line = this.#seen.event(event, monotonicMs());
    if (event.evt === 'igmp.disabled') this.#tour?.pauseBegan(event['interface'] as RouterInterface);
    if (line === undefined) return;
    this.#screen.line(line);
    this.#lookAtOwners();
  }

  #lookAtOwners(): void {
    this.#router?.interfaces().then(
      (views) => {
        this.#seen.interfaces = views;
      },
      () => undefined, // a daemon that is gone is noticed by its end
    );
  }

  #draw(): void {
    const { interfaces, changes, happened, ledger } = this.#seen;
    const elapsedMs = this.#elapsedMs();
    const pauses = ledger.closed().length;
    const streams = this.#seen.measured();
    this.#screen.draw(picture({ elapsedMs, doing: this.#doing, interfaces, streams, changes, pauses, happened }));
  }

  #plainLine(): string {
    const owners = this.#seen.interfaces.map((view) => ownerLine(view).trim().replace(/ {2,}/g, ' '));
    return [
      clockText(this.#elapsedMs()),
      [streamsLine(this.#seen.measured()) || this.#doing, ...owners].join('; '),
    ].join(' ');
  }

  #elapsedMs(): number {
    return monotonicMs() - this.#startedMs;
  }

  #giveVerdict(): number {
    const outcome = this.#seen.outcome();
    const verdict = judge(outcome);
    this.#draw();
    for (const line of verdictLines(outcome, verdict, this.#seen.ledger.lengthsMs())) this.#screen.say(line);
    return verdict.passed ? 0 : 1;
  }
}
