/** Dated results: bench/results/YYYY-MM-DD.json, and the newest as a table in bench/README.md. */
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { join } from 'node:path';
import { tableOf } from './targets.mjs';

const BENCH = join(import.meta.dirname, '..');
const MARKS = ['<!-- results: written by run.mjs -->', '<!-- end of results -->'];

function machine() {
  const list = cpus();
  return { kernel: release(), node: process.version, cpu: list[0].model, cpus: list.length };
}

/** Adds to what the same day has already, so that one program can be run again by itself. */
export function saveResults(results) {
  const date = new Date().toISOString().slice(0, 10);
  const file = join(BENCH, 'results', `${date}.json`);
  mkdirSync(join(BENCH, 'results'), { recursive: true });
  const before = existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {};
  const all = { date, ...machine(), results: { ...before.results, ...results } };
  writeFileSync(file, `${JSON.stringify(all, null, 2)}\n`);
  writeTable(all);
}

/** Of the last minute of each measurement, lowest to highest: above the number of processors it disturbed. */
function loads(results) {
  const all = Object.values(results).map((result) => result.load);
  return `${Math.min(...all).toFixed(1)} to ${Math.max(...all).toFixed(1)}`;
}

function writeTable(all) {
  const file = join(BENCH, 'README.md');
  const text = readFileSync(file, 'utf8');
  const [from, to] = MARKS.map((mark) => text.indexOf(mark));
  if (from < 0 || to < from)
    throw new Error(`${file} has no place for the results: the lines "${MARKS.join('" and "')}"`);
  const about = `${all.date}, Linux ${all.kernel}, Node ${all.node.slice(1)}, ${all.cpus} x ${all.cpu}, load average ${loads(all.results)}.`;
  const block = [MARKS[0], '', about, '', ...tableOf(all.results), '', ''].join('\n');
  writeFileSync(file, text.slice(0, from) + block + text.slice(to));
}
