/**
 * npm run bench [-- NAME...] [--reference] [--repeats N] [--no-save] [--cpu-prof DIRECTORY]
 *
 * Runs the named measurements, or all, in namespaces of its own and prints one JSON line for each: the daemon's
 * figures, those of the C reference from the same run, and their ratio. `--reference` measures the C program alone;
 * `--cpu-prof` leaves the daemon's profiles for bench/profile.mjs, which costs it time.
 */
import { loadavg } from 'node:os';
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { burst } from './burst.mjs';
import { firstPacket } from './first-packet.mjs';
import { flood } from './flood.mjs';
import { handover } from './handover.mjs';
import { idle } from './idle.mjs';
import { saveResults } from './lib/results.mjs';
import { buildReference, enterNamespaces } from './lib/topology.mjs';
import { restart } from './restart.mjs';
import { start } from './start.mjs';
import { steady } from './steady.mjs';
import { upcall } from './upcall.mjs';
import { upstream } from './upstream.mjs';

const BENCHES = { 'first-packet': firstPacket, upcall, burst, upstream, handover, idle, steady, flood, start, restart };

function readArguments() {
  const options = {
    reference: { type: 'boolean' },
    'no-save': { type: 'boolean' },
    repeats: { type: 'string' },
    'cpu-prof': { type: 'string' },
  };
  const { values, positionals } = parseArgs({ options, allowPositionals: true });
  const unknown = positionals.filter((name) => !Object.hasOwn(BENCHES, name));
  if (unknown.length) {
    console.error(`no measurement is called ${unknown.join(', ')}; there are ${Object.keys(BENCHES).join(', ')}`);
    process.exit(64);
  }
  return {
    names: positionals.length ? positionals : Object.keys(BENCHES),
    referenceOnly: values.reference ?? false,
    save: !values['no-save'] && !values.reference && !values['cpu-prof'],
    repeats: Number(values.repeats ?? 3),
    profiles: values['cpu-prof'] && resolve(values['cpu-prof']),
  };
}

const { names, save, ...settings } = readArguments();
enterNamespaces();
const context = { ...settings, reference: buildReference() };
const results = {};
const failed = [];
for (const name of names) {
  try {
    const figures = await BENCHES[name](context);
    results[name] = { ...figures, measured: new Date().toISOString(), load: loadavg()[0] };
    console.log(JSON.stringify({ bench: name, ...results[name] }));
  } catch (error) {
    failed.push(name);
    console.error(`${name}: ${error.stack}`);
  }
}
if (save) saveResults(results);
process.exitCode = failed.length ? 1 : 0;
