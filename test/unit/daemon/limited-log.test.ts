/** Lines that come again and again, whoever causes them (A6, F54). */
import { expect, test } from 'vitest';
import { LimitedLog } from '../../../src/daemon/limited-log.js';
import { FakeClock } from '../../support/fake-clock.js';
import { RecordingLog } from '../../support/recording-log.js';

function made() {
  const [clock, recording] = [new FakeClock(), new RecordingLog()];
  return { clock, recording, log: new LimitedLog(recording, clock) };
}

test('a link that flaps a thousand times causes a few lines, and the next says how many were held back (A6, F54)', () => {
  const { clock, recording, log } = made();
  for (let n = 0; n < 1000; n++) log.info({ evt: 'interface.appeared', ifname: 'ppp0' }, 'ppp0 has appeared');
  expect(recording.lines).toHaveLength(20);
  clock.advance(10_000);
  log.info({ evt: 'interface.appeared', ifname: 'ppp0' }, 'ppp0 has appeared');
  expect(recording.lines[20]!.fields).toMatchObject({ evt: 'interface.appeared', ifname: 'ppp0', heldBack: 980 });
});

test('the last line of a burst is written when no other follows, with the number of those before it (A6, F54)', () => {
  const { clock, recording, log } = made();
  for (let n = 1; n <= 50; n++) log.child({ ifname: 'ppp0' }).warn({ evt: 'callback.failed', n }, `failure ${n}`);
  clock.advance(60_000);
  expect(recording.lines).toHaveLength(21);
  expect(recording.lines[20]).toMatchObject({ message: 'failure 50', fields: { n: 50, heldBack: 29 } });
});

test('interfaces without number are not remembered (A6)', () => {
  const { clock, recording, log } = made();
  for (let n = 0; n < 10_000; n++) log.info({ evt: 'interface.appeared', ifname: `veth${n}` }, 'has appeared');
  clock.advance(60_000);
  expect(recording.lines.length).toBeLessThanOrEqual(256 + 20 + 1);
});

test('one interface, client or kind of line does not silence another (A6, F54)', () => {
  const { recording, log } = made();
  for (let n = 0; n < 100; n++) log.warn({ evt: 'callback.failed', client: 'dvmrp' }, 'dvmrp failed');
  log.warn({ evt: 'callback.failed', client: 'igmp' }, 'igmp failed');
  log.child({ mod: 'igmp', ifname: 'eth0' }).warn({ evt: 'igmp.address.missed' }, 'no address');
  log.child({ mod: 'igmp', ifname: 'eth1' }).warn({ evt: 'igmp.address.missed' }, 'no address');
  expect(recording.lines.slice(20).map(({ fields }) => fields.evt)).toEqual([
    'callback.failed',
    'igmp.address.missed',
    'igmp.address.missed',
  ]);
});

test('what has a limit of its own, and what mgmd says of itself, passes (A6)', () => {
  const { recording, log } = made();
  for (let n = 0; n < 50; n++) {
    log.warn({ evt: 'kernel.refused', heldBack: n }, 'refused');
    log.info({ evt: 'daemon.started' }, 'started');
    log.debug({ evt: 'kernel.notifications.lost' }, 'lost');
  }
  expect(recording.lines).toHaveLength(150);
});
