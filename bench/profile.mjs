/**
 * node bench/profile.mjs FILE.cpuprofile [COUNT]
 *
 * Where a profile's time went: functions by their own time, with the part that they and what they call took. Profiles come
 * from `npm run bench -- NAME --cpu-prof DIRECTORY`.
 */
import { readFileSync } from 'node:fs';

const IDLE = new Set(['(idle)', '(root)']);

function load(file) {
  const { nodes, samples, timeDeltas } = JSON.parse(readFileSync(file, 'utf8'));
  const byId = new Map(nodes.map((node) => [node.id, { ...node, selfUs: 0 }]));
  samples.forEach((id, i) => (byId.get(id).selfUs += timeDeltas[i]));
  return byId;
}

const nameOf = ({ callFrame: { functionName, url, lineNumber } }) =>
  `${functionName || '(anonymous)'} ${url.replace(/.*\/(?:dist|src)\//, '')}${url ? `:${lineNumber + 1}` : ''}`;

/** name -> own and total microseconds; a function that calls itself counts once. */
function totals(byId) {
  const rows = new Map();
  const rowOf = (name) => rows.get(name) ?? rows.set(name, { name, selfUs: 0, totalUs: 0 }).get(name);
  const visit = (node, above) => {
    const name = nameOf(node);
    const names = above.has(name) ? above : new Set(above).add(name);
    rowOf(name).selfUs += node.selfUs;
    for (const each of names) rowOf(each).totalUs += node.selfUs;
    for (const child of node.children ?? []) visit(byId.get(child), names);
  };
  visit(byId.values().next().value, new Set());
  return [...rows.values()].filter((row) => !IDLE.has(row.name.trim()));
}

const [file, count = '30'] = process.argv.slice(2);
if (!file) {
  console.error('usage: node bench/profile.mjs FILE.cpuprofile [COUNT]');
  process.exit(64);
}
const rows = totals(load(file)).sort((a, b) => b.selfUs - a.selfUs);
const busyUs = rows.reduce((sum, row) => sum + row.selfUs, 0);
console.log(`busy ${(busyUs / 1000).toFixed(1)} ms\n   own ms    total ms`);
for (const { name, selfUs, totalUs } of rows.slice(0, Number(count))) {
  console.log(`${(selfUs / 1000).toFixed(1).padStart(9)} ${(totalUs / 1000).toFixed(1).padStart(11)}  ${name}`);
}
