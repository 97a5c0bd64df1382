import { expect, test } from 'vitest';
import { formatIp, ip, toU32 } from '../../../src/base/ip.js';
import {
  type NativeIgmpSocket,
  SLOT_BYTES,
  SLOT_HEADER_BYTES,
  SLOT_ROUTER_ALERT,
  SLOT_TRUNCATED,
  SLOT_UPCALL,
  SLOTS,
} from '../../../src/kernel/addon.js';
import { decodeUpcall, IgmpSocket } from '../../../src/kernel/igmp-socket.js';
import type { IgmpPacket, Ifindex, Upcall } from '../../../src/port/kernel.js';

interface Given {
  readonly packet: readonly number[];
  readonly flags?: number;
  readonly payloadAt?: number;
  readonly ifindex?: number;
}

/** The addon's socket: a test puts packets into the slab and calls the batch handler. */
class FakeIgmpSocket implements NativeIgmpSocket {
  readonly slab = new Uint8Array(SLOTS * SLOT_BYTES);
  readonly sent: string[] = [];
  sendErrno = 0;
  #onBatch: (count: number) => void = () => {};

  setReceiveBuffer(bytes: number): number {
    return bytes;
  }

  start(onBatch: (count: number) => void): number {
    this.#onBatch = onBatch;
    return 0;
  }

  stop(): void {}

  send(ifindex: number, source: number, destination: number, payload: Uint8Array): number {
    this.sent.push(`${ifindex} ${source.toString(16)} ${destination.toString(16)} ${payload.length}`);
    return this.sendErrno;
  }

  close(): void {}

  duplicate(): number {
    return 100;
  }

  /** One wake-up with these batches. */
  deliver(...batches: readonly (readonly Given[])[]): void {
    for (const batch of batches) {
      for (const [slot, given] of batch.entries()) this.#put(slot, given);
      this.#onBatch(batch.length);
    }
    this.#onBatch(0);
  }

  #put(slot: number, { packet, flags = 1, payloadAt = 24, ifindex = 3 }: Given): void {
    const words = new Uint32Array(this.slab.buffer, slot * SLOT_BYTES, 6);
    words.set([packet.length, ifindex, toU32(ip('10.1.0.2')), toU32(ip('224.0.0.22')), flags, payloadAt]);
    this.slab.set(packet, slot * SLOT_BYTES + SLOT_HEADER_BYTES);
  }
}

function igmp(type: number, ...rest: readonly number[]): Given {
  return { packet: [...new Uint8Array(24).fill(0x46), type, ...rest], flags: 1 | SLOT_ROUTER_ALERT };
}

function upcall(last: number, type = 1, vif = 2): Given {
  const header = [0x45, 0, 0, 0, 0, 0, 0, 0, type, 0, vif, 0, 10, 1, 0, 2, 239, 1, 1, last];
  return { packet: [...header, ...new Uint8Array(8).fill(0xee)], flags: SLOT_UPCALL, payloadAt: 0 };
}

function bed() {
  const native = new FakeIgmpSocket();
  const socket = new IgmpSocket(native);
  expect(socket.start()).toBeUndefined();
  return { native, socket };
}

test('the IGMP type picks the subscriber; what nobody wants is counted', () => {
  const { native, socket } = bed();
  const heard: string[] = [];
  socket.subscribe([0x11, 0x16], ({ payload }) => heard.push(`igmp ${payload[0]?.toString(16)}`));
  socket.subscribe([0x13], () => heard.push('dvmrp'));
  native.deliver([igmp(0x11, 1), igmp(0x13, 2), igmp(0x16, 3), igmp(0x99, 4)]);
  expect(heard).toEqual(['igmp 11', 'dvmrp', 'igmp 16']);
  expect(socket.counters()).toEqual({ packets: 3, upcalls: 0, unknownType: 1, malformed: 0 });
});

test('a second subscriber for a type is a mistake of the wiring', () => {
  const { socket } = bed();
  socket.subscribe([0x11], () => {});
  expect(() => socket.subscribe([0x16, 0x11], () => {})).toThrow('0x11');
});

test('a packet tells where it came from, its TTL and its payload without the IP header', () => {
  const { native, socket } = bed();
  const seen: unknown[] = [];
  socket.subscribe([0x16], ({ ifindex, source, destination, ttl, routerAlert, payload }) =>
    seen.push([ifindex, formatIp(source), formatIp(destination), ttl, routerAlert, [...payload]]),
  );
  native.deliver([igmp(0x16, 7, 8), { ...igmp(0x16, 9), flags: 64, ifindex: 4 }]);
  expect(seen).toEqual([
    [3, '10.1.0.2', '224.0.0.22', 1, true, [0x16, 7, 8]],
    [4, '10.1.0.2', '224.0.0.22', 64, false, [0x16, 9]],
  ]);
});

test('the packet object and, for equally long packets, its payload are the same ones again', () => {
  const { native, socket } = bed();
  const packets = new Set<IgmpPacket>();
  const payloads = new Set<Uint8Array>();
  socket.subscribe([0x16], (packet) => {
    packets.add(packet);
    payloads.add(packet.payload);
  });
  for (let n = 0; n < 5; n++) native.deliver([igmp(0x16, n)]);
  expect([packets.size, payloads.size]).toEqual([1, 1]);
});

test('packets without a payload and truncated ones are counted, not delivered', () => {
  const { native, socket } = bed();
  let heard = 0;
  socket.subscribe([0x16], () => heard++);
  native.deliver([
    { packet: [...new Uint8Array(20)], payloadAt: 20 },
    { packet: [], payloadAt: 0 },
    { ...igmp(0x16), flags: SLOT_TRUNCATED },
  ]);
  expect(heard).toBe(0);
  expect(socket.counters().malformed).toBe(3);
});

test('the upcalls of a wake-up come together, after its packets, newest first', () => {
  const { native, socket } = bed();
  const order: string[] = [];
  socket.subscribe([0x16], () => order.push('igmp'));
  socket.onUpcalls((upcalls) => order.push(upcalls.map(({ group }) => formatIp(group)).join()));
  native.deliver([upcall(1), igmp(0x16)], [upcall(2), igmp(0x16), upcall(3)]);
  expect(order).toEqual(['igmp', 'igmp', '239.1.1.3,239.1.1.2,239.1.1.1']);
  native.deliver([igmp(0x16)]);
  expect(order).toHaveLength(4);
});

test('an upcall is a copy: the next batch does not change it', () => {
  const { native, socket } = bed();
  const kept: Upcall[] = [];
  socket.onUpcalls((upcalls) => kept.push(...upcalls));
  native.deliver([upcall(1)]);
  native.deliver([upcall(9)]);
  expect(kept[0]?.packet[19]).toBe(1);
  expect(kept[0]?.packet).toHaveLength(20);
});

test('each kind of upcall has its packet: the header, or for whole-packet kinds what follows', () => {
  const bytes = (type: number) => Uint8Array.from(upcall(1, type).packet);
  expect(decodeUpcall(bytes(1))).toMatchObject({
    kind: 'nocache',
    vif: 2,
    source: ip('10.1.0.2'),
    group: ip('239.1.1.1'),
  });
  expect(decodeUpcall(bytes(2))).toMatchObject({ kind: 'wrongvif' });
  expect(decodeUpcall(bytes(3))).toMatchObject({ kind: 'wholepkt', packet: new Uint8Array(8).fill(0xee) });
  expect(decodeUpcall(bytes(4))?.kind).toBe('wrvifwhole');
});

test('an upcall that makes no sense is counted', () => {
  const { native, socket } = bed();
  const heard: unknown[] = [];
  socket.onUpcalls((upcalls) => heard.push(...upcalls));
  const short = { ...upcall(1), packet: upcall(1).packet.slice(0, 19) };
  native.deliver([upcall(1, 9), upcall(1, 0), upcall(1, 1, 32), short]);
  expect(heard).toEqual([]);
  expect(socket.counters()).toMatchObject({ upcalls: 0, malformed: 4 });
});

test('a refused send says from where, to where and what to do', () => {
  const { native, socket } = bed();
  const send = () => socket.send(3 as Ifindex, ip('10.1.0.1'), ip('224.0.0.1'), new Uint8Array(8));
  expect(send()).toBeUndefined();
  expect(native.sent).toEqual(['3 a010001 e0000001 8']);
  native.sendErrno = 101;
  const error = send();
  expect(error?.code).toBe('ENETUNREACH');
  expect(error?.message).toContain('from 10.1.0.1 to 224.0.0.1');
});
