/** The fake kernel keeps the contract that the real one is held to (test/netns/contract.test.ts). */
import { expect, test } from 'vitest';
import { formatIp, ip } from '../../src/base/ip.js';
import { type Ifindex, type MfcChange, type Upcall, type Vif, VIFS } from '../../src/port/kernel.js';
import { settle } from '../support/fake-clock.js';
import { FakeKernel } from '../support/fake-kernel.js';
import { FOREIGN_MAC } from '../support/igmp-frame.js';
import { type Device, type Ground, KERNEL_CONTRACT } from '../support/kernel-contract.js';

function fakeGround(kernel: FakeKernel): Ground {
  const devices: Record<Device, Ifindex> = {
    in: kernel.addDevice('in', '10.1.0.1/24'),
    out: kernel.addDevice('out', '10.2.0.1/24'),
    other: kernel.addDevice('other', '10.3.0.1/24'),
  };
  kernel.routes.set('0.0.0.0/0', { ifindex: devices.in, gateway: '10.1.0.2' });
  const upcalls: Upcall[] = [];
  const changes: (MfcChange | undefined)[] = [];
  kernel.mroute.onUpcalls((batch) => upcalls.push(...batch));
  kernel.mroute.onChange((change) => changes.push(change));
  return {
    ...kernel,
    upcalls,
    changes,
    ifindex: (device) => devices[device],
    deleteDevice: async (device) => kernel.deleteDevice(devices[device]),
    setDown: async (device) => kernel.changeDevice(devices[device], { up: false, running: false }),
    send: async (device, group, count) => {
      const source = ip({ in: '10.1.0.2', out: '10.2.0.2', other: '10.3.0.2' }[device]);
      for (let n = 0; n < count; n++) kernel.packet(source, group, devices[device]);
    },
    speak: async (device, source) => kernel.addressWatch.hear(devices[device], formatIp(source), FOREIGN_MAC),
    received: async (device, group) => kernel.delivered(devices[device]).filter((p) => p.group === group).length,
    until: async (what, ask) => {
      await settle();
      expect(await ask(), what).toBeTruthy();
    },
    quiet: settle,
  };
}

for (const { title, run } of KERNEL_CONTRACT) test(`fake kernel: ${title}`, () => run(fakeGround(new FakeKernel())));

test('fake kernel: a flow that nobody answers is forgotten after 10 s and reported again', async () => {
  // given an unresolved flow
  const kernel = new FakeKernel();
  const upcalls: Upcall[] = [];
  kernel.mroute.onUpcalls((batch) => upcalls.push(...batch));
  const device = kernel.addDevice('in', '10.1.0.1/24');
  kernel.mroute.addVif(0 as Vif, device);
  kernel.packet(ip('10.1.0.2'), ip('239.1.1.1'), device);
  kernel.clock.advance(9_999);
  kernel.packet(ip('10.1.0.2'), ip('239.1.1.1'), device);
  await settle();
  expect(upcalls).toHaveLength(1);
  // when its time is over
  kernel.clock.advance(1);
  kernel.packet(ip('10.1.0.2'), ip('239.1.1.1'), device);
  await settle();
  // then the next packet asks again
  expect(upcalls).toHaveLength(2);
});

test("fake kernel: another process's entries are static, replace ours and are notified", async () => {
  const kernel = new FakeKernel();
  const changes: (MfcChange | undefined)[] = [];
  kernel.mroute.onChange((change) => changes.push(change));
  const device = kernel.addDevice('in', '10.1.0.1/24');
  kernel.mroute.addVif(0 as Vif, device);
  const entry = { source: ip('10.1.0.2'), group: ip('239.1.1.1'), iif: 0 as Vif, ttls: new Uint8Array(VIFS) };
  kernel.mroute.addMfc(entry);
  kernel.mroute.foreign.addMfc(entry);
  await settle();
  expect(changes.map((change) => change?.entry.static)).toEqual([false, true]);
  expect(kernel.mroute.calls.addMfc).toBe(1);
});

test('fake kernel: a packet leaves only when its TTL is above the threshold, and never on a dead link', () => {
  const kernel = new FakeKernel();
  const [a, b] = [kernel.addDevice('a', '10.1.0.1/24'), kernel.addDevice('b', '10.2.0.1/24')];
  kernel.mroute.addVif(0 as Vif, a);
  kernel.mroute.addVif(1 as Vif, b);
  const ttls = new Uint8Array(VIFS);
  ttls[1] = 8;
  kernel.mroute.addMfc({ source: ip('10.1.0.2'), group: ip('239.1.1.1'), iif: 0 as Vif, ttls });
  const low = kernel.packet(ip('10.1.0.2'), ip('239.1.1.1'), a, 8);
  const high = kernel.packet(ip('10.1.0.2'), ip('239.1.1.1'), a, 9);
  kernel.changeDevice(b, { running: false });
  const dead = kernel.packet(ip('10.1.0.2'), ip('239.1.1.1'), a, 9);
  expect(kernel.timesDelivered(b, [low, high, dead])).toEqual([0, 1, 0]);
});
