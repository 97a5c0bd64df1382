/**
 * A host: joins groups and counts what arrives from sender.mjs. Commands on stdin, one JSON object a line:
 * {"join":"239.1.1.1","source":"10.0.0.2"?}, {"joinAll":{"first":...,"count":...}}, {"leave":...,"source"?}, {"report":true}.
 * Each is answered by one JSON line; `report` by {received, duplicated, reordered, lost, groups}. `lost` counts the
 * numbers that are missing between the first and the last that arrived, per group; the caller knows how many were sent.
 */
import { createSocket } from 'node:dgram';
import { createInterface } from 'node:readline';
import { expandGroups } from './groups.mjs';

const { address, port } = JSON.parse(process.argv[2]);
const PER_SOCKET = 20; // net.ipv4.igmp_max_memberships
const flows = new Map();
const holders = [];
const heldBy = new Map();
const totals = { received: 0, duplicated: 0, reordered: 0 };

const data = createSocket({ type: 'udp4', reuseAddr: true });
data.on('message', (payload, peer) => {
  const key = `${peer.address} ${payload.readUInt32BE(0)}`;
  const sequence = payload.readUInt32BE(4);
  let flow = flows.get(key);
  if (!flow) flows.set(key, (flow = { first: sequence, last: -1, count: 0, seen: new Set() }));
  if (flow.seen.has(sequence)) {
    totals.duplicated++;
    return;
  }
  flow.seen.add(sequence);
  flow.count++;
  totals.received++;
  if (sequence < flow.last) totals.reordered++;
  flow.first = Math.min(flow.first, sequence);
  flow.last = Math.max(flow.last, sequence);
});

function holder() {
  let free = holders.find((candidate) => candidate.joined < PER_SOCKET);
  if (!free) {
    free = { socket: createSocket({ type: 'udp4', reuseAddr: true }), joined: 0 };
    holders.push(free);
    return new Promise((resolve) => free.socket.bind(0, () => resolve(free)));
  }
  return free;
}

async function join(group, source) {
  const by = await holder();
  if (source) by.socket.addSourceSpecificMembership(source, group, address);
  else by.socket.addMembership(group, address);
  by.joined++;
  heldBy.set(`${source ?? '*'} ${group}`, by);
}

function leave(group, source) {
  const by = heldBy.get(`${source ?? '*'} ${group}`);
  if (source) by.socket.dropSourceSpecificMembership(source, group, address);
  else by.socket.dropMembership(group, address);
  by.joined--;
  heldBy.delete(`${source ?? '*'} ${group}`);
}

function report() {
  let lost = 0;
  for (const flow of flows.values()) lost += flow.last - flow.first + 1 - flow.count;
  return { ...totals, lost, flows: flows.size };
}

async function obey(command) {
  if (command.join) await join(command.join, command.source);
  if (command.joinAll) for (const group of expandGroups(command.joinAll)) await join(group);
  if (command.leave) leave(command.leave, command.source);
  return command.report ? report() : { ok: true };
}

// IP_MULTICAST_ALL is on by default, so one data socket receives for all the holders.
data.bind(port, () => {
  data.setRecvBufferSize(4 << 20);
  process.stdout.write('{"ready":true}\n');
});
let queue = Promise.resolve();
createInterface({ input: process.stdin }).on('line', (line) => {
  queue = queue.then(async () => {
    const answer = await obey(JSON.parse(line)).catch((error) => ({ error: String(error) }));
    process.stdout.write(`${JSON.stringify(answer)}\n`);
  });
});
process.stdin.on('end', () => process.exit(0));
