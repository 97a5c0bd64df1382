/** Methods of the control socket -> calls of the operator. One object per connection, because cursors and monitors belong to one. */
import { type Answer, whenAnswered } from '../base/answer.js';
import type { HandoverView, ManagerEvent } from '../mgm/snapshot.js';
import { type Done, ERROR } from './messages.js';
import type { Operator, Outcome } from './operator.js';
import { type Page, Pages } from './pages.js';
import { Params, RequestError } from './params.js';

export interface Peer {
  readonly mayWrite: boolean;
  /** Who asks, for refusals: "uid 1000". */
  readonly who: string;
  notify(event: ManagerEvent): void;
}

type Method = (params: Params) => Answer<unknown>;

export class Handlers {
  readonly #operator: Operator;
  readonly #peer: Peer;
  readonly pages = new Pages();
  #stopMonitor: (() => void) | undefined;
  readonly #reads: Readonly<Record<string, Method>> = {
    'daemon.status': () => this.#operator.status(),
    'show.more': (params) => this.#more(params.count('more')),
    'monitor.start': () => this.#monitor(true),
    'monitor.stop': () => this.#monitor(false),
  };
  readonly #writes: Readonly<Record<string, Method>> = {
    take: (params) => this.#take(params),
    release: (params) => this.#release(params),
    join: (params) => this.#join(params),
    leave: (params) => this.#leave(params),
    'log.level': (params) => this.#logLevel(params),
  };

  constructor(operator: Operator, peer: Peer) {
    this.#operator = operator;
    this.#peer = peer;
  }

  /** Its events are wanted. */
  get monitors(): boolean {
    return this.#stopMonitor !== undefined;
  }

  /** The result, or a `Page` that is still to be made. Throws (or rejects with) a RequestError for everything that is refused. */
  call(method: string, rawParams: unknown): Answer<unknown> {
    const params = new Params(method, rawParams);
    // A dry run changes nothing, so whoever may read may ask.
    if (method === 'handover') return this.#handover(params);
    const view = method.startsWith('show.') ? this.#operator.views.get(method.slice(5)) : undefined;
    if (view) return this.pages.first(view);
    const read = Object.hasOwn(this.#reads, method) ? this.#reads[method] : undefined;
    if (read) return read(params);
    const write = Object.hasOwn(this.#writes, method) ? this.#writes[method] : undefined;
    if (!write) throw this.#unknown(method);
    this.#mustWrite(method);
    return write(params);
  }

  /** The connection is gone. */
  close(): void {
    this.#stopMonitor?.();
    this.#stopMonitor = undefined;
    this.pages.clear();
  }

  #take(params: Params): Answer<Done> {
    const name = params.text('interface');
    const client = params.text('client');
    const what = `cannot give ${name} to ${client}`;
    return answered(this.#operator.take(name, client), what, `gave ${name} to ${client}`);
  }

  #release(params: Params): Answer<Done> {
    const name = params.text('interface');
    const client = params.textOrNone('client');
    const whom = client ?? 'its owner';
    return answered(
      this.#operator.release(name, client),
      `cannot take ${name} away from ${whom}`,
      `took ${name} away from ${whom}`,
    );
  }

  #handover(params: Params): Answer<HandoverView> {
    const [name, from, to] = [params.text('interface'), params.text('from'), params.text('to')];
    const dryRun = params.flag('dryRun');
    if (!dryRun) this.#mustWrite('handover');
    return whenAnswered(this.#operator.handover(name, from, to, dryRun), (view) => {
      if (view.code !== 'NO_ERROR') throw refused(view, `cannot hand ${name} over from ${from} to ${to}`);
      return view;
    });
  }

  #join(params: Params): Answer<Done> {
    const name = params.text('interface');
    const flow = flowText(params);
    const answer = this.#operator.join(name, params.group('group'), params.sourceOrNone('source'));
    return answered(answer, `cannot join ${flow} on ${name}`, `joined ${flow} on ${name}`);
  }

  #leave(params: Params): Answer<Done> {
    const name = params.text('interface');
    const flow = flowText(params);
    const answer = this.#operator.leave(name, params.group('group'), params.sourceOrNone('source'));
    return answered(answer, `cannot leave ${flow} on ${name}`, `left ${flow} on ${name}`);
  }

  #logLevel(params: Params): Answer<Done> {
    const level = params.text('level');
    return answered(this.#operator.setLogLevel(level), 'cannot change the log level', `set the log level to ${level}`);
  }

  #monitor(on: boolean): Done {
    this.#stopMonitor?.();
    this.#stopMonitor = on ? this.#operator.onEvent((event) => this.#peer.notify(event)) : undefined;
    return { code: 'NO_ERROR', message: on ? 'events follow' : 'no more events' };
  }

  #more(number: number): Page {
    const page = this.pages.more(number);
    if (page) return page;
    throw new RequestError(ERROR.invalidParams, `show.more: there is no open page ${number}; ask for the view again`);
  }

  #mustWrite(method: string): void {
    if (this.#peer.mayWrite) return;
    throw new RequestError(
      ERROR.notPermitted,
      `${method}: ${this.#peer.who} may look but not change anything; do it as root or as the user mgmd runs as`,
    );
  }

  #unknown(method: string): RequestError {
    const views = [...this.#operator.views.keys()];
    const known = method.startsWith('show.')
      ? `views are ${views.join(', ')}`
      : `methods are ${['show.VIEW', 'handover', ...Object.keys(this.#reads), ...Object.keys(this.#writes)].join(', ')}`;
    return new RequestError(ERROR.unknownMethod, `there is no method "${method.slice(0, 80)}"; ${known}`);
  }
}

/** "(*, 239.1.1.1)". */
function flowText(params: Params): string {
  return `(${params.textOrNone('source') ?? '*'}, ${params.text('group')})`;
}

function answered(answer: Answer<Outcome>, whatNot: string, what: string): Answer<Done> {
  return whenAnswered(answer, (outcome) => {
    if (outcome.code !== 'NO_ERROR') throw refused(outcome, whatNot);
    return { code: 'NO_ERROR', message: outcome.message ?? what };
  });
}

function refused({ code, detail, message }: Outcome, whatNot: string): RequestError {
  const why = message ?? (detail === undefined ? code : `${code} (${detail})`);
  return new RequestError(ERROR.refused, `${whatNot}: ${why}`, { code, ...(detail === undefined ? {} : { detail }) });
}
