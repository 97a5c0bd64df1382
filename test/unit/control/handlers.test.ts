/** Methods of the control socket against an operator that writes down what it is told. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Handlers } from '../../../src/control/handlers.js';
import type { RowsPage } from '../../../src/control/messages.js';
import type { Page } from '../../../src/control/pages.js';
import { RequestError } from '../../../src/control/params.js';
import { FakeOperator } from '../../support/fake-operator.js';

function given({ mayWrite = true } = {}) {
  const operator = new FakeOperator();
  const events: unknown[] = [];
  const handlers = new Handlers(operator, { mayWrite, who: 'uid 1000', notify: (event) => events.push(event) });
  return { operator, handlers, events };
}

/** The page that a call gives, made and read as a client reads it. */
function pageOf(handlers: Handlers, method: string, params: object = {}, nowMs = 0): RowsPage {
  const page = handlers.call(method, params) as Page;
  while (page.step()) continue;
  return JSON.parse(handlers.pages.complete(page, nowMs)) as RowsPage;
}

/** The error of a call that is meant to be refused. */
async function refusal(call: () => unknown): Promise<{ code: number; message: string; data: unknown }> {
  try {
    await call();
  } catch (error) {
    expect(error).toBeInstanceOf(RequestError);
    const { code, message, data } = error as RequestError;
    return { code, message, data };
  }
  throw new Error('it was not refused');
}

test('every change reaches the operator with its words parsed', () => {
  const { operator, handlers } = given();
  handlers.call('take', { interface: 'eth1', client: 'static' });
  handlers.call('release', { interface: 'eth1' });
  handlers.call('release', { interface: 'eth1', client: 'igmp' });
  handlers.call('handover', { interface: 'eth1', from: 'static', to: 'static2', dryRun: true });
  handlers.call('join', { interface: 'eth0', group: '239.1.1.1' });
  handlers.call('leave', { interface: 'eth0', group: '232.1.1.1', source: '10.0.0.1' });
  handlers.call('log.level', { level: 'debug' });
  expect(operator.calls).toEqual([
    'take eth1 static',
    'release eth1 undefined',
    'release eth1 igmp',
    'handover eth1 static static2 true',
    'join eth0 239.1.1.1 *',
    'leave eth0 232.1.1.1 10.0.0.1',
    'log debug',
  ]);
});

test('a change that worked says so in a sentence', () => {
  const { handlers } = given();
  expect(handlers.call('take', { interface: 'eth1', client: 'static' })).toEqual({
    code: 'NO_ERROR',
    message: 'gave eth1 to static',
  });
});

test("a refusal carries the manager's code and detail as data and a sentence that says why", async () => {
  const { operator, handlers } = given();
  const why = { code: 'ERROR_ALREADY_EXISTS', detail: 'ownedByOther', message: 'static owns eth1' };
  operator.outcome = Promise.resolve(why);
  expect(await refusal(() => handlers.call('take', { interface: 'eth1', client: 'static2' }))).toEqual({
    code: 1,
    message: 'cannot give eth1 to static2: static owns eth1',
    data: { code: 'ERROR_ALREADY_EXISTS', detail: 'ownedByOther' },
  });
  operator.handoverCode = {
    code: 'ERROR_NOT_FOUND',
    detail: 'noSuchClient',
    message: 'no protocol named x is registered',
  };
  expect(await refusal(() => handlers.call('handover', { interface: 'eth1', from: 'x', to: 'y' }))).toMatchObject({
    message: 'cannot hand eth1 over from x to y: no protocol named x is registered',
  });
});

test('whoever may only read may look and ask for a dry run, and change nothing', async () => {
  const { operator, handlers } = given({ mayWrite: false });
  expect(pageOf(handlers, 'show.interfaces')).toMatchObject({ rows: [{ interface: 'eth1' }] });
  expect(handlers.call('handover', { interface: 'eth1', from: 'a', to: 'b', dryRun: true })).toMatchObject({
    done: false,
  });
  for (const method of ['take', 'release', 'handover', 'join', 'leave', 'log.level']) {
    const params = { interface: 'eth1', client: 'a', from: 'a', to: 'b', group: '239.1.1.1', level: 'debug' };
    expect(await refusal(() => handlers.call(method, params))).toMatchObject({ code: 2, message: /uid 1000 may look/ });
  }
  expect(operator.calls).toEqual(['handover eth1 a b true']);
});

test('parameters that do not fit are answered with the name and what fits', async () => {
  const { handlers } = given();
  const messages = await Promise.all(
    [
      () => handlers.call('take', { interface: 'eth1' }),
      () => handlers.call('take', 7),
      () => handlers.call('join', { interface: 'eth1', group: '10.0.0.1' }),
      () => handlers.call('join', { interface: 'eth1', group: '239.1.1.1', source: 'x' }),
      () => handlers.call('handover', { interface: 'a', from: 'b', to: 'c', dryRun: 'yes' }),
    ].map(async (call) => (await refusal(call)).message),
  );
  expect(messages).toEqual([
    'take: "client" must be a text of 1 to 256 characters',
    'take: the parameters must be an object with named values',
    'join: "group" must be a multicast group from 224.0.1.0 to 239.255.255.255 (got "10.0.0.1")',
    'join: "source" must be a unicast IPv4 address (got "x")',
    'handover: "dryRun" must be true or false',
  ]);
});

test('an unknown method or view is answered with the known ones', async () => {
  const { handlers } = given();
  expect((await refusal(() => handlers.call('show.nothing', {}))).message).toContain('views are interfaces, groups');
  expect((await refusal(() => handlers.call('toString', {}))).message).toContain('methods are show.VIEW, handover');
});

test('a view of many rows comes in pages, and no row is made before its page is asked for (A4)', () => {
  const { operator, handlers } = given();
  let made = 0;
  const rowOf = (at: number) => ({ group: `239.0.${at >> 8}.${at & 255}`, text: 'x'.repeat(50) });
  function* rows() {
    for (let at = 0; at < 10_000; at++, made++) yield rowOf(at);
  }
  operator.views.set('groups', { rows, columns: ['group'] });
  const collected: unknown[] = [];
  let page = pageOf(handlers, 'show.groups');
  expect(page.columns).toEqual(['group']);
  for (; ; page = pageOf(handlers, 'show.more', { more: page.more })) {
    expect(JSON.stringify(page).length).toBeLessThan(300 * 1024);
    collected.push(...page.rows);
    expect(made - collected.length).toBeLessThanOrEqual(1);
    if (page.more === undefined) break;
  }
  expect(collected).toEqual(Array.from({ length: 10_000 }, (_, at) => rowOf(at)));
});

const BIG = Array.from({ length: 10_000 }, () => ({ text: 'x'.repeat(100) }));

test('only so many tables are kept open for one connection, and an unknown page is refused', async () => {
  const { operator, handlers } = given();
  operator.show('groups', () => BIG);
  const first = pageOf(handlers, 'show.groups');
  for (let i = 0; i < 4; i++) pageOf(handlers, 'show.groups');
  expect((await refusal(() => handlers.call('show.more', { more: first.more }))).message).toContain('no open page');
});

test('a cursor that nobody uses for half a minute is forgotten, and lets go of what it reads (A4)', async () => {
  const { operator, handlers } = given();
  let open = 0;
  function* rows() {
    open++;
    try {
      yield* BIG;
    } finally {
      open--;
    }
  }
  operator.views.set('groups', { rows });
  const { more } = pageOf(handlers, 'show.groups', {}, 1000);
  handlers.pages.forgetIdle(30_999);
  expect(open).toBe(1);
  handlers.pages.forgetIdle(31_000);
  expect(open).toBe(0);
  expect((await refusal(() => handlers.call('show.more', { more }))).message).toContain('no open page');
});

test('events come after monitor.start, once each, and no more after monitor.stop or the end', () => {
  const { operator, handlers, events } = given();
  const raise = (client: string) => operator.raise({ evt: 'client.registered', atMs: 1, client });
  raise('early');
  handlers.call('monitor.start', {});
  handlers.call('monitor.start', {});
  raise('heard');
  handlers.call('monitor.stop', {});
  raise('unheard');
  handlers.call('monitor.start', {});
  handlers.close();
  raise('late');
  expect(events).toEqual([{ evt: 'client.registered', atMs: 1, client: 'heard' }]);
  expect(operator.handlers.size).toBe(0);
});

test('no method and no parameters whatever raise anything but a RequestError', () => {
  const { handlers } = given();
  const method = fc.oneof(
    fc.string(),
    fc.constantFrom(
      'take',
      'release',
      'handover',
      'join',
      'leave',
      'show.more',
      'show.groups',
      'monitor.start',
      'log.level',
    ),
  );
  const params = fc.oneof(
    fc.anything(),
    fc.record({
      interface: fc.anything(),
      client: fc.anything(),
      group: fc.anything(),
      more: fc.anything(),
      from: fc.anything(),
    }),
  );
  fc.assert(
    fc.property(method, params, (name, value) => {
      try {
        void handlers.call(name, value);
      } catch (error) {
        expect(error).toBeInstanceOf(RequestError);
      }
    }),
  );
});
