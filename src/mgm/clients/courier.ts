/**
 * Every call from the manager to a client, and the order of calls from clients (D-CB-1 to D-CB-3).
 *
 * A request is asked at once and goes on at once when the client answers at once. Notifications leave after the call that
 * caused them has returned, in a microtask: no turn of the event loop is lost, and no client is called from inside another
 * client's call. A client's call made from inside a request callback waits until the running operation is over. To one
 * client everything arrives in the order it was decided.
 */
import { type Answer, isLater } from '../../base/answer.js';
import type { Core } from '../core.js';
import type { Client } from '../state.js';

export type Outcome = 'answered' | 'failed' | 'late' | 'dead';

/** For RPF, creation, local join and prune answers (D-CB-1). */
export const DECISION_LIMIT_MS = 500;
/** For disable, enable and offers (D-CB-1). */
export const ACKNOWLEDGE_LIMIT_MS = 2000;
/** Deliveries in one go before other work of the event loop gets its turn. */
const DELIVERIES_PER_TURN = 2048;
/** Microtasks that a late answer gets to travel up a client's chain of awaits before the next message follows it. */
const TICKS_FOR_A_REPLY = 16;

interface Message {
  readonly deliver: () => void;
  /** The late answer to a call of the client's own. */
  readonly isReply: boolean;
}

export class Courier {
  readonly #core: Core;
  #depth = 0;
  readonly #waitingCalls: (() => void)[] = [];
  readonly #boxes = new Map<Client, Message[]>();
  readonly #asked = new Map<Client, Set<() => void>>();
  #pumpDue = false;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Runs a client's call: now, or, when it was made from inside a request callback, after the running operation. */
  perform<T>(operation: () => Answer<T>): Answer<T> {
    if (this.#depth === 0) return this.enter(operation);
    return new Promise((resolve) => {
      this.#waitingCalls.push(() => resolve(this.enter(operation)));
      this.#schedulePump();
    });
  }

  /** Runs one step of the manager; calls that clients make meanwhile wait. */
  enter<T>(step: () => T): T {
    this.#depth++;
    try {
      return step();
    } finally {
      this.#depth--;
    }
  }

  /** Delivers `call` after the running operation. A client that throws is logged, nobody else suffers. */
  notify(client: Client, what: string, call: () => void): void {
    this.#post(client, () => {
      client.delivered++;
      try {
        call();
      } catch (error) {
        this.#failed(client, what, error);
      }
    });
  }

  /** A notification whose answer matters: asked in its turn, `next` gets the answer as with `ask`. */
  request<T>(client: Client, what: string, call: () => Answer<T>, next: (reply: T | undefined) => void): void {
    this.#post(client, () => {
      void this.enter(() => this.#put(client, what, DECISION_LIMIT_MS, call, next));
    });
  }

  /** Gives a late answer to a call, in its place among the client's messages; a dead client's promises are kept too. */
  reply(client: Client, give: () => void): void {
    if (client.alive) this.#post(client, give, true);
    else give();
  }

  /**
   * Asks a client and goes on with its answer: in the same turn when it is there, else when it comes, at the latest after
   * `limitMs`. `next` gets undefined unless the outcome is 'answered'.
   */
  ask<T, U>(
    client: Client,
    what: string,
    limitMs: number,
    call: () => Answer<T>,
    next: (reply: T | undefined, outcome: Outcome) => Answer<U>,
  ): Answer<U> {
    this.#empty(client);
    return this.#put(client, what, limitMs, call, next);
  }

  /** Resolves when what waits for clients now has been delivered. */
  async delivered(): Promise<void> {
    const waiting = [...this.#boxes.keys()];
    await Promise.all(waiting.map((client) => new Promise<void>((resolve) => this.reply(client, resolve))));
  }

  /** The client is gone: what it was asked counts as unanswered, what waits for it is dropped. */
  forget(client: Client): void {
    const box = this.#boxes.get(client) ?? [];
    this.#boxes.delete(client);
    for (const { isReply, deliver } of box) if (isReply) deliver();
    const asked = this.#asked.get(client);
    this.#asked.delete(client);
    for (const giveUp of asked ?? []) giveUp();
  }

  #put<T, U>(
    client: Client,
    what: string,
    limitMs: number,
    call: () => Answer<T>,
    next: (reply: T | undefined, outcome: Outcome) => Answer<U>,
  ): Answer<U> {
    client.delivered++;
    let answer: Answer<T>;
    try {
      answer = call();
    } catch (error) {
      this.#failed(client, what, error);
      return next(undefined, 'failed');
    }
    return isLater(answer) ? this.#await(client, what, limitMs, answer, next) : next(answer, 'answered');
  }

  #await<T, U>(
    client: Client,
    what: string,
    limitMs: number,
    answer: Promise<T>,
    next: (reply: T | undefined, outcome: Outcome) => Answer<U>,
  ): Promise<U> {
    return new Promise((resolve) => {
      let open = true;
      const settle = (reply: T | undefined, outcome: Outcome): void => {
        if (!open) return;
        open = false;
        timer.cancel();
        this.#asked.get(client)?.delete(giveUp);
        resolve(this.enter(() => next(reply, outcome)));
      };
      const giveUp = (): void => settle(undefined, 'dead');
      const timer = this.#core.ports.clock.after(limitMs, () => {
        if (open) this.#failed(client, what, `no answer within ${limitMs} ms`);
        settle(undefined, 'late');
      });
      this.#askedOf(client).add(giveUp);
      answer.then(
        (reply) => settle(reply, 'answered'),
        (error: unknown) => {
          if (open) this.#failed(client, what, error);
          settle(undefined, 'failed');
        },
      );
    });
  }

  #askedOf(client: Client): Set<() => void> {
    let asked = this.#asked.get(client);
    if (!asked) this.#asked.set(client, (asked = new Set()));
    return asked;
  }

  #post(client: Client, deliver: () => void, isReply = false): void {
    if (!client.alive) return;
    const box = this.#boxes.get(client);
    if (box) box.push({ deliver, isReply });
    else this.#boxes.set(client, [{ deliver, isReply }]);
    this.#schedulePump();
  }

  /** What was decided for this client before the question that comes now. */
  #empty(client: Client): void {
    const box = this.#boxes.get(client);
    if (!box) return;
    this.#boxes.delete(client);
    for (const { deliver, isReply } of box) if (client.alive || isReply) deliver();
  }

  #schedulePump(ticks = 1): void {
    if (this.#pumpDue) return;
    this.#pumpDue = true;
    const wait = (left: number): void => {
      void Promise.resolve().then(() => (left > 1 ? wait(left - 1) : this.#pump()));
    };
    wait(ticks);
  }

  #pump(): void {
    this.#pumpDue = false;
    for (let left = DELIVERIES_PER_TURN; left > 0; left--) {
      const delivered = this.#deliverNext();
      if (delivered === 'nothing') return;
      if (delivered === 'reply') return this.#schedulePump(TICKS_FOR_A_REPLY);
    }
    this.#pumpDue = true;
    this.#core.ports.clock.after(0, () => this.#pump());
  }

  /** Waiting calls first: they were made before anything that was decided since. */
  #deliverNext(): 'message' | 'reply' | 'nothing' {
    const call = this.#waitingCalls.shift();
    if (call) {
      call();
      return 'message';
    }
    const [first] = this.#boxes;
    if (!first) return 'nothing';
    const [client, box] = first;
    const { deliver, isReply } = box.shift()!;
    if (box.length === 0) this.#boxes.delete(client);
    if (client.alive || isReply) deliver();
    return isReply ? 'reply' : 'message';
  }

  #failed(client: Client, what: string, error: unknown): void {
    client.failures++;
    this.#core.count(`callback.failed.${what}`);
    this.#core.ports.log.warn(
      { evt: 'callback.failed', client: client.name, callback: what, reason: String(error) },
      `${client.name} did not answer its ${what} callback properly (${String(error)}); the default counts`,
    );
  }
}
