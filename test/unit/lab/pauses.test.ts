import { expect, test } from 'vitest';
import { PauseLedger } from '../../../src/lab/tour/pauses.js';
import type { ReportChange } from '../../../src/lab/traffic/messages.js';
import type { ManagerEvent } from '../../../src/mgm/snapshot.js';

/** The daemon's clock started 1,000 ms after the machine's; an event takes 1 ms or more to arrive. */
const OFFSET = 1_000;

function ledger() {
  const all = new PauseLedger();
  const event = (evt: ManagerEvent['evt'], atMs: number, fields: object = {}, delayMs = 1) =>
    all.event({ evt, atMs, interface: 'recv', ...fields }, atMs + OFFSET + delayMs);
  const report = (group: string, change: ReportChange, daemonMs: number, from = '10.2.0.1') =>
    all.report({ kind: 'report', group, change, from, atMs: daemonMs + OFFSET + 1 });
  return { all, event, report };
}

test('a pause with nothing in it is closed and has a length', () => {
  const { all, event } = ledger();
  event('igmp.disabled', 100);
  expect(all.open('recv')).toBeDefined();
  event('igmp.enabled', 180, {}, 30);
  expect(all.open('recv')).toBeUndefined();
  expect(all.lengthsMs()).toEqual([80]);
  expect(all.crossings()).toEqual([]);
});

test('a membership call that a reading inside the pause shows has crossed it; one after it has not', () => {
  const { all, event } = ledger();
  all.reading(4);
  event('igmp.disabled', 100);
  all.reading(4);
  all.reading(5);
  event('igmp.enabled', 180);
  all.reading(9);
  expect(all.crossings()).toEqual(['pause 1 (recv): the daemon made 1 membership calls']);
});

test('a report whose first copy falls into the pause has crossed it, on the LAN of the paused interface only', () => {
  const { all, event, report } = ledger();
  event('igmp.disabled', 100);
  event('igmp.enabled', 180, {}, 50);
  report('239.9.0.1', 'join', 140);
  report('239.9.0.2', 'join', 140, '10.1.0.1');
  expect(all.crossings()).toEqual(['pause 1 (recv): the router reported a join of 239.9.0.1, 40.0 ms into the pause']);
});

test('the kernel repeating an earlier report, or answering a query, in a pause is no crossing', () => {
  const { all, event, report } = ledger();
  report('239.9.0.1', 'join', 50);
  event('igmp.disabled', 100);
  report('239.9.0.1', 'join', 140);
  report('239.9.0.9', 'state', 150);
  event('igmp.enabled', 180);
  report('239.9.0.3', 'leave', 181);
  expect(all.crossings()).toEqual([]);
  expect(all.reported('239.9.0.3', 'leave')).toBe(true);
  expect(all.reported('239.9.0.3', 'join')).toBe(false);
});

test('what IGMP changes in the manager during the pause has crossed it; other clients and interfaces may go on', () => {
  const { all, event } = ledger();
  event('igmp.disabled', 100);
  event('membership.added', 110, { client: 'igmp', group: '239.8.1.0' });
  event('membership.added', 111, { client: 'static', group: '239.8.1.0' });
  event('membership.deleted', 112, { client: 'igmp', group: '239.8.1.0', interface: 'send' });
  event('igmp.enabled', 180);
  event('membership.added', 181, { client: 'igmp', group: '239.8.2.0' });
  expect(all.crossings()).toEqual(["pause 1 (recv): IGMP changed the manager's groups: membership.added 239.8.1.0"]);
});
