import { expect, test } from 'vitest';
import { PauseLedger } from '../../../src/lab/tour/pauses.js';
import { ownGroup, ROUTER_ADDRESS, type RouterInterface } from '../../../src/lab/machines/plan.js';
import { type RouterControl, Tour, type TourParts } from '../../../src/lab/tour/tour.js';

/** A router that pauses, holds and makes good as it should, or with one fault. */
class PlayedRouter implements RouterControl {
  readonly calls: string[] = [];
  readonly ledger = new PauseLedger();
  tour: Tour | undefined;
  fault: 'none' | 'forgets hosts' | 'makes a call too many' | 'refuses' | 'reports what passed' = 'none';
  readonly #groups = new Map<RouterInterface, string[]>();
  #held: string[] = [];
  #made = 0;
  #atMs = 0;

  take = (name: RouterInterface, client: string) => this.#change(name, `take ${name} ${client}`);
  release = (name: RouterInterface, client: string) => this.#change(name, `release ${name} ${client}`);
  handover = (name: RouterInterface, from: string, to: string) => this.#change(name, `handover ${name} ${from} ${to}`);
  join = async (_name: RouterInterface, group: string) => void this.#held.push(group);
  leave = async (_name: RouterInterface, group: string) => {
    if (this.#held.includes(group)) this.#held = this.#held.filter((one) => one !== group);
    else this.#made++;
  };
  /** Answers in a later turn, as a socket does: the tour asks again and again. */
  counters = async () => {
    await new Promise((resolve) => setImmediate(resolve));
    return { 'membership.joins': this.#made };
  };
  groups = async (name: RouterInterface) => this.#groups.get(name) ?? [];

  hostJoins(name: RouterInterface, groups: readonly string[]): void {
    if (this.fault !== 'forgets hosts') this.#groups.set(name, [...groups]);
  }

  async #change(name: RouterInterface, call: string): Promise<void> {
    this.calls.push(call);
    if (this.fault === 'refuses') throw new Error('somebody else has it');
    this.#event('igmp.disabled', name);
    this.tour!.pauseBegan(name);
    await new Promise((resolve) => setImmediate(resolve));
    this.#made += this.#held.length + (this.fault === 'makes a call too many' ? 1 : 0);
    this.#event('igmp.enabled', name);
    const passing = this.fault === 'reports what passed' ? [ownGroup(this.tour!.changes, 2)] : [];
    for (const group of [...this.#held, ...passing])
      this.ledger.report({ kind: 'report', atMs: this.#atMs, from: ROUTER_ADDRESS[name], group, change: 'join' });
    this.#held = [];
  }

  #event(evt: 'igmp.disabled' | 'igmp.enabled', name: RouterInterface): void {
    this.#atMs += 100;
    this.ledger.event({ evt, atMs: this.#atMs, interface: name }, this.#atMs);
  }
}

async function toured(fault: PlayedRouter['fault'], stopped: () => boolean = () => false) {
  const router = new PlayedRouter();
  router.fault = fault;
  const tellHosts: TourParts['tellHosts'] = (name, order) => {
    router.hostJoins(
      name,
      [order(0), order(1)].flatMap(({ join }) => join),
    );
    return 2;
  };
  const tour = new Tour({
    control: router,
    ledger: router.ledger,
    tellHosts,
    onChange: () => undefined,
    patienceMs: 0,
  });
  router.tour = tour;
  await tour.run(0, stopped);
  return { router, tour };
}

test('a round is IGMP alone, a protocol, another one by hand-over, and back, for both interfaces', async () => {
  const { router, tour } = await toured('none');
  expect(router.calls).toEqual([
    'take recv static',
    'handover recv static static2',
    'release recv static2',
    'take send static',
    'handover send static static2',
    'release send static2',
  ]);
  expect(tour.failures).toEqual([]);
  expect(router.ledger.closed()).toHaveLength(6);
});

test('a stop ends the tour after the change that is on its way', async () => {
  let asked = 0;
  const { tour } = await toured('none', () => asked++ > 0);
  expect(tour.changes).toBe(1);
});

test.each<[PlayedRouter['fault'], string]>([
  ['forgets hosts', 'a host joined 239.8.1.0 during a pause of recv, and IGMP has not added it after the pause'],
  ['makes a call too many', 'change 1 (recv): 1 membership calls were held, and 2 were made after the pause'],
  ['refuses', 'static takes recv: somebody else has it'],
  ['reports what passed', '239.9.1.2 was joined and left inside one pause, and the router reported it all the same'],
])('a router that %s is found out', async (fault, sentence) => {
  const { tour } = await toured(fault);
  expect(tour.failures).toContain(sentence);
});
