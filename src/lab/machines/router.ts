/** The router's daemon as the laboratory drives and watches it: over its control socket, like anybody else. */
import { ControlClient, DaemonAway } from '../../control/client.js';
import type { CountersView, InterfaceView, ManagerEvent, MembershipView } from '../../mgm/snapshot.js';
import { RUN, type RouterInterface } from './plan.js';
import { monotonicMs, sleep } from '../time.js';
import type { RouterControl } from '../tour/tour.js';

const START_LIMIT_MS = 15_000;
const ASK_EVERY_MS = 20;

/** Resolves when the daemon serves both interfaces; `heard` gets its events from then on. */
export async function connectRouter(heard: (event: ManagerEvent) => void): Promise<Router> {
  const untilMs = monotonicMs() + START_LIMIT_MS;
  const client = await connect(untilMs);
  client.onEvent((event) => heard(event as unknown as ManagerEvent));
  await client.call('monitor.start');
  const router = new Router(client);
  while ((await router.interfaces()).filter(({ igmp }) => igmp).length < 2) {
    if (monotonicMs() > untilMs)
      throw new Error(`IGMP is not on both interfaces of the router after ${START_LIMIT_MS} ms`);
    await sleep(ASK_EVERY_MS);
  }
  return router;
}

async function connect(untilMs: number): Promise<ControlClient> {
  for (;;) {
    try {
      return await ControlClient.connect(RUN.socket);
    } catch (error) {
      if (!(error instanceof DaemonAway) || monotonicMs() > untilMs) throw error;
    }
    await sleep(ASK_EVERY_MS);
  }
}

export class Router implements RouterControl {
  readonly #client: ControlClient;

  constructor(client: ControlClient) {
    this.#client = client;
  }

  interfaces(): Promise<readonly InterfaceView[]> {
    return this.#client.rows<InterfaceView>('interfaces');
  }

  async take(name: RouterInterface, client: string): Promise<void> {
    await this.#client.call('take', { interface: name, client });
  }

  async release(name: RouterInterface, client: string): Promise<void> {
    await this.#client.call('release', { interface: name, client });
  }

  async handover(name: RouterInterface, from: string, to: string): Promise<void> {
    await this.#client.call('handover', { interface: name, from, to });
  }

  async join(name: RouterInterface, group: string): Promise<void> {
    await this.#client.call('join', { interface: name, group });
  }

  async leave(name: RouterInterface, group: string): Promise<void> {
    await this.#client.call('leave', { interface: name, group });
  }

  async counters(): Promise<CountersView> {
    const rows = await this.#client.rows<{ readonly name: string; readonly value: number }>('counters');
    return Object.fromEntries(rows.map(({ name, value }) => [name, value]));
  }

  async groups(name: RouterInterface, client: string): Promise<readonly string[]> {
    const rows = await this.#client.rows<MembershipView>('groups');
    return rows
      .filter((row) => row.interface === name && row.client === client && !row.stale)
      .map(({ group }) => group);
  }
}
