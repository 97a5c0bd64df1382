/** Gate and pins of a pause in their order, over a gate and pools that remember. */
import { expect, test } from 'vitest';
import { formatIp, ip, ipv4, toU32 } from '../../../src/base/ip.js';
import type { NativePauseGate } from '../../../src/kernel/addon.js';
import { HostPause } from '../../../src/kernel/membership/host-pause.js';
import { MembershipGate } from '../../../src/kernel/membership/membership.js';
import { ANY_SOURCE_FILTER, type Ifindex, type Link } from '../../../src/port/kernel.js';
import { RecordingLog } from '../../support/recording-log.js';
import { FakeMembershipPool } from './fake-membership-pool.js';

const ETH1 = 3 as Ifindex;
const ETH2 = 4 as Ifindex;
const G1 = ip('239.1.1.1');
const G2 = ip('239.1.1.2');
const ADDRESSES: Readonly<Record<number, readonly string[]>> = {
  3: ['10.1.0.1', '10.9.9.9'],
  4: ['10.2.0.1', '10.9.9.9'],
};

function bed(options: { readonly gate?: boolean; readonly route?: Ifindex; readonly refuses?: number } = {}) {
  const calls: string[] = [];
  const refused = new Set<string>();
  const key = (ifindex: number, address: number) => `${ifindex} ${formatIp(ipv4(address))}`;
  const gate: NativePauseGate = {
    mark: 7,
    refuse(ifindex, address) {
      calls.push('refuse');
      refused.add(key(ifindex, address));
      return options.refuses ?? 0;
    },
    allow(ifindex, address) {
      calls.push('allow');
      refused.delete(key(ifindex, address));
      return 0;
    },
    close: () => void calls.push('gate closed'),
  };
  const pool = (name: string) => () => {
    const one = new FakeMembershipPool();
    const push = one.calls.push.bind(one.calls);
    one.calls.push = (...words) => {
      calls.push(...words.map((word) => `${name} ${word}`));
      return push(...words);
    };
    return one;
  };
  const link = (ifindex: Ifindex) => ({
    addresses: ADDRESSES[ifindex]!.map((address) => ({ address: ip(address) })),
  });
  const log = new RecordingLog();
  const host = new HostPause({
    gate: options.gate === false ? undefined : gate,
    openPool: pool('pin'),
    links: { byIndex: (ifindex) => link(ifindex) as unknown as Link },
    memberships: () => {
      calls.push('list');
      return [{ group: G1, users: 2, sources: [] }];
    },
    routeTo: () => options.route,
    log,
  });
  const membership = new MembershipGate(pool('own'), [], { host });
  return { membership, host, log, refused, takeCalls: () => calls.splice(0) };
}

test('the gate closes before anything is listed, and opens before what waited goes out; the pins go last', () => {
  const { membership, takeCalls } = bed({ route: ETH1 });
  membership.pause(ETH1);
  expect(takeCalls()).toEqual(['refuse', 'refuse', 'refuse', 'refuse', 'list', 'pin join 3 1', 'list']);
  membership.set('test', ETH1, G2, ANY_SOURCE_FILTER);
  expect(takeCalls()).toEqual([]);
  membership.resume(ETH1);
  expect(takeCalls()).toEqual(['allow', 'allow', 'allow', 'allow', 'own join 3 2', 'pin leave 3 1']);
});

test('refused is what names the interface: its index, its addresses, and nothing where routes to groups lead there', () => {
  const { membership, refused } = bed({ route: ETH1 });
  membership.pause(ETH1);
  expect([...refused].sort()).toEqual(['0 0.0.0.0', '0 10.1.0.1', '0 10.9.9.9', '3 0.0.0.0']);
  // what two paused interfaces have in common stays until both are resumed
  membership.pause(ETH2);
  membership.resume(ETH1);
  expect([...refused].sort()).toEqual(['0 10.2.0.1', '0 10.9.9.9', '4 0.0.0.0']);
  membership.resume(ETH2);
  expect([...refused]).toEqual([]);
});

test('a second pause and a resume without a pause do nothing', () => {
  const { membership, takeCalls } = bed();
  membership.resume(ETH1);
  expect(takeCalls()).toEqual([]);
  membership.pause(ETH1);
  takeCalls();
  membership.pause(ETH1);
  expect(takeCalls()).toEqual([]);
});

test('what mgmd alone has joined needs no pin', () => {
  const { membership, takeCalls } = bed({ gate: false });
  membership.set('a', ETH1, G1, ANY_SOURCE_FILTER);
  takeCalls();
  membership.pause(ETH1);
  expect(takeCalls()).toEqual(['list']);
});

test('an interface that is gone opens the gate and takes its pins along; the end closes everything', () => {
  const { membership, host, refused, takeCalls } = bed();
  membership.pause(ETH1);
  membership.interfaceGone(ETH1);
  expect([...refused]).toEqual([]);
  membership.pause(ETH2);
  takeCalls();
  membership.close();
  expect(takeCalls()).toEqual(['gate closed', 'pin leave 4 1']);
  host.end(ETH2);
  expect(takeCalls()).toEqual([]);
});

test('a gate that cannot be closed is told, and the pins are placed all the same', () => {
  const { membership, log, takeCalls } = bed({ refuses: 7 });
  membership.pause(ETH1);
  expect(log.of('pause.gate.refused')[0]?.fields).toMatchObject({ ifindex: ETH1, code: 'E2BIG' });
  expect(takeCalls()).toContain(`pin join 3 ${toU32(G1) & 0xff}`);
});
