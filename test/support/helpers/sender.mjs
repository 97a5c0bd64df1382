/**
 * Sends sequence-numbered UDP to multicast groups, round robin, paced by the clock; prints JSON lines.
 * argv[2]: {"from":"10.0.0.2","groups":["239.1.1.1"],"port":5000,"ratePerSec":1000,"count":0,"ttl":8}; count 0 = until stopped.
 * `groups` may also be {"first":"239.1.0.1","count":10000}. Payload: group index u32, sequence number u32 (per group).
 */
import { createSocket } from 'node:dgram';
import { expandGroups } from './groups.mjs';

const { from, groups, port, ratePerSec, count = 0, ttl = 8 } = JSON.parse(process.argv[2]);
const targets = expandGroups(groups);
const socket = createSocket('udp4');
const next = new Uint32Array(targets.length);
let sent = 0;
let inFlight = 0;
let stopping = false;

function sendOne() {
  const index = sent % targets.length;
  const payload = Buffer.allocUnsafe(8);
  payload.writeUInt32BE(index, 0);
  payload.writeUInt32BE(next[index]++, 4);
  sent++;
  inFlight++;
  socket.send(payload, port, targets[index], () => inFlight--);
}

/** Closing drops what send() has taken and not yet given to the kernel, so the last packets are waited for. */
function finish() {
  if (inFlight > 0) return setImmediate(finish);
  socket.close(() => process.stdout.write(`${JSON.stringify({ sent, perGroup: next[0] })}\n`));
}

socket.bind(0, from, () => {
  socket.setMulticastTTL(ttl);
  socket.setMulticastInterface(from);
  socket.setMulticastLoopback(false);
  socket.setSendBufferSize(1 << 20);
  process.stdout.write('{"ready":true}\n');
  const start = performance.now();
  const tick = () => {
    const due = Math.floor(((performance.now() - start) * ratePerSec) / 1000);
    const target = count > 0 ? Math.min(due, count) : due;
    for (let burst = 0; sent < target && burst < 200; burst++) sendOne();
    if (stopping || (count > 0 && sent >= count)) finish();
    else setTimeout(tick, 1);
  };
  tick();
});
for (const signal of ['SIGTERM', 'SIGINT'])
  process.on(signal, () => {
    stopping = true;
  });
