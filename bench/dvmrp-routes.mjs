/**
 * node bench/dvmrp-routes.mjs
 *
 * The DVMRP route table by itself, without sockets: a neighbour tells 10,000 routes as bytes, tells them again, and is lost;
 * two other neighbours are told about it. What that costs in processor time and memory; then the longest-prefix match of
 * 100,000 prefixes. Times are the best of several rounds: they should not depend on who else uses the machine.
 */
import { ip, ipv4, maskOf, toU32 } from '../dist/base/ip.js';
import { Lpm } from '../dist/base/lpm.js';
import { decodeHeader } from '../dist/dvmrp/wire/header.js';
import { compareRoutes, decodeReport, ReportEntries, ReportWriter } from '../dist/dvmrp/wire/report.js';
import { RouteTable } from '../dist/dvmrp/routes/route-table.js';

const ROUTES = 10_000;
const PREFIXES = 100_000;
const ROUNDS = 7;
const CONFIG = { reportIntervalMs: 60_000, bodyLimit: 508, maxRoutes: 1_000_000, maxRoutesPerNeighbor: 1_000_000 };
const INTERFACE = { metric: 1, advertisedOffset: 0, filterIn: [], filterOut: [], pointToPoint: false };

/** Chance that is the same every time (xorshift). */
function chance(seed) {
  let state = seed;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

function prefixes(count, next) {
  const found = new Map();
  while (found.size < count) {
    const length = 16 + (next() % 9);
    const network = (0x0b000000 + (next() % 0xd0000000)) & toU32(maskOf(length));
    if (network >>> 24 !== 127 && network >>> 24 < 224)
      found.set(`${network}/${length}`, { network: ipv4(network), length });
  }
  return [...found.values()];
}

function reports(routes, metric) {
  const messages = [];
  const writer = new ReportWriter((message) => messages.push(message.slice()));
  for (const { network, length } of [...routes].sort(compareRoutes)) writer.add(network, length, metric);
  writer.flush();
  return messages;
}

/** Three interfaces with a neighbour each; the first one's routes are told to the others. */
class Subject {
  sent = { messages: 0, octets: 0 };
  nowMs = 0;

  constructor() {
    const none = () => undefined;
    this.table = new RouteTable(CONFIG, {
      sendReport: (_ifindex, _to, message) => {
        this.sent.messages++;
        this.sent.octets += message.length;
      },
      dependentAdded: none,
      dependentRemoved: none,
      dfChanged: none,
      routeChanged: none,
      upstreamChanged: none,
      lost: none,
      ignored: none,
    });
    this.table.start(0);
    this.entries = new ReportEntries();
    for (const ifindex of [1, 2, 3]) {
      const subnet = { network: ip(`10.200.${ifindex}.0`), length: 24 };
      this.table.interfaceUp(0, ifindex, ip(`10.200.${ifindex}.1`), [subnet], INTERFACE);
      this.table.peerUp(ifindex, ip(`10.200.${ifindex}.2`));
    }
  }

  hear(ifindex, messages) {
    for (const message of messages) {
      if (!decodeHeader(message).ok || decodeReport(message, this.entries)) throw new Error('a Report does not decode');
      this.table.heardReport(this.nowMs, ifindex, ip(`10.200.${ifindex}.2`), this.entries);
    }
  }

  /** Runs everything that is due in the next `ms`. */
  run(ms) {
    const untilMs = this.nowMs + ms;
    for (let next = this.table.nextDeadlineMs; next <= untilMs; next = this.table.nextDeadlineMs) {
      this.nowMs = Math.max(this.nowMs, next);
      this.table.timeout(this.nowMs);
    }
    this.nowMs = untilMs;
  }
}

const cpuMs = (action) => {
  const before = process.cpuUsage();
  action();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1000;
};

const heapMb = () => {
  globalThis.gc?.();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return (heapUsed + arrayBuffers) / 2 ** 20;
};

function convergence(told, poisoned) {
  const subject = new Subject();
  const memory = heapMb();
  const learn = cpuMs(() => subject.hear(1, told));
  const flash = cpuMs(() => subject.run(0));
  const dependents = cpuMs(() => [2, 3].forEach((ifindex) => subject.hear(ifindex, poisoned)));
  subject.run(59_000);
  const refresh = cpuMs(() => subject.hear(1, told));
  const held = heapMb() - memory;
  subject.sent = { messages: 0, octets: 0 };
  const interval = cpuMs(() => subject.run(60_000));
  const { messages } = subject.sent;
  const lose = cpuMs(() => subject.table.loseRoutes(subject.nowMs, 1, ip('10.200.1.2')));
  const forget = cpuMs(() => subject.run(121_000));
  if (subject.table.size !== 3) throw new Error(`${subject.table.size} routes are left`);
  return { learn, flash, dependents, refresh, interval, messages, lose, forget, held };
}

function best(runs) {
  const names = Object.keys(runs[0]);
  return Object.fromEntries(names.map((name) => [name, Math.min(...runs.map((run) => run[name]))]));
}

function matching() {
  const next = chance(7);
  const list = prefixes(PREFIXES, next);
  const addresses = Array.from({ length: 1 << 17 }, () => ipv4(next()));
  const runs = Array.from({ length: ROUNDS }, () => {
    const lpm = new Lpm();
    let found = 0;
    const insert = cpuMs(() => list.forEach((prefix, id) => lpm.insert(prefix, id)));
    const lookup = cpuMs(() => {
      for (const address of addresses) if (lpm.lookup(address) >= 0) found++;
    });
    const remove = cpuMs(() => list.forEach((prefix) => lpm.remove(prefix)));
    if (found === 0 || lpm.size !== 0) throw new Error('the trie does not find, or keeps, what it should');
    return { insert: insert / PREFIXES, lookup: lookup / addresses.length, remove: remove / PREFIXES };
  });
  return best(runs);
}

const routes = prefixes(ROUTES, chance(1));
const told = reports(routes, 3);
const poisoned = reports(routes, 37);
const line = (name, value, unit) => console.log(`${name.padEnd(44)}${value.toFixed(1).padStart(9)} ${unit}`);

const { learn, flash, dependents, refresh, interval, messages, lose, forget, held } = best(
  Array.from({ length: ROUNDS }, () => convergence(told, poisoned)),
);
console.log(`${ROUTES} routes from one neighbour in ${told.length} Reports, two other neighbours:`);
line('learn all of them', learn, 'ms CPU');
line('flash update to three interfaces', flash, 'ms CPU');
line('two neighbours register as dependents', dependents, 'ms CPU');
line('the neighbour repeats all of them', refresh, 'ms CPU');
line(`a report interval, ${messages} Reports out`, interval, 'ms CPU');
line('the neighbour is lost', lose, 'ms CPU');
line('tell that, and forget after the hold-down', forget, 'ms CPU');
line(
  'memory per route with two dependents',
  (held * 2 ** 20) / ROUTES,
  globalThis.gc ? 'octets' : 'octets (use --expose-gc)',
);

const { insert, lookup, remove } = matching();
console.log(`longest-prefix match among ${PREFIXES} prefixes of 16 to 24 bits:`);
line('look-up', lookup * 1e6, 'ns CPU');
line('insert', insert * 1e6, 'ns CPU');
line('remove', remove * 1e6, 'ns CPU');
