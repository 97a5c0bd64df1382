/** The targets, and what a result says about them. `of` picks the daemon's figure, `limit` is the most it may be. */
const figure = (key) => (result) => result.daemon[key];

/**
 * One row of the table: what, the limit ('none': shown without a verdict) with its unit, where to find the daemon's and
 * the reference's figure.
 */
function row(what, limit, unit, key, of = figure(key), reference = (result) => result.reference[key]) {
  return { what, limit, unit, of, reference };
}

const none = () => undefined;

const ratioRow = (what, limit, key) =>
  row(what, limit, 'x', key, (r) => (r.reference[key] ? r.daemon[key] / r.reference[key] : undefined), none);

function burstRows(version) {
  const pick = (r) => r[version];
  const name = `10,000 joins at once, ${version}:`;
  return [
    row(`${name} last packet that was not forwarded`, 100, 'ms', 'last_refused_ms'),
    row(`${name} the same in a second burst`, 100, 'ms', 'warm_last_refused_ms'),
    row(`${name} every group seen to forward`, 'none', 'ms', 'all_seen_ms'),
    row(`${name} groups or packets lost`, 0, '', 'never', (r) => r.daemon.never + r.daemon.lost, none),
    row(`${name} processor time`, 'none', 'ms', 'cpu_ms'),
    ratioRow(`${name} processor time against the C program's`, 2, 'cpu_ms'),
    row(`${name} processor time of a second burst`, 'none', 'ms', 'warm_cpu_ms'),
    ratioRow(`${name} the same against the C program's`, 2, 'warm_cpu_ms'),
  ].map((one) => ({ ...one, of: (r) => one.of(pick(r)), reference: (r) => one.reference(pick(r)) }));
}

export const TARGETS = {
  'first-packet': [
    row('v3 report to first forwarded packet, p50', 'none', 'us', 'v3_p50_us'),
    ratioRow("the same against the C program's", 1.5, 'v3_p50_us'),
    row('v2 report to first forwarded packet, p50', 'none', 'us', 'v2_p50_us'),
    ratioRow("the same against the C program's", 1.5, 'v2_p50_us'),
  ],
  upcall: [
    row('new flow, packet in to packet out, p50', 150, 'us', 'p50_us'),
    row('new flow, packet in to packet out, p99', 2000, 'us', 'p99_us'),
    row('first packets lost', 0, '', 'lost_first_packets'),
  ],
  burst: [...burstRows('v3'), ...burstRows('v2')],
  upstream: [
    row('10,000 joins, each asked upstream: last packet that was not forwarded', 300, 'ms', 'last_refused_ms'),
    row('the same: from the first to the last join upstream', 'none', 'ms', 'joined_ms'),
    row('the same: processor time', 'none', 'ms', 'cpu_ms'),
    row('the same: groups or packets lost', 0, '', 'never', (r) => r.daemon.never + r.daemon.lost, none),
  ],
  handover: [
    row('hand-over with 10,000 groups: packets lost', 0, '', 'lost'),
    row('hand-over: packets duplicated', 0, '', 'duplicated'),
    row('hand-over: longest pause', 50, 'ms', 'pause_max_ms'),
    row('hand-over: processor time of one', 'none', 'ms', 'cpu_per_change_ms'),
    row('hand-over: longest event-loop delay', 20, 'ms', 'loop_max_ms', undefined, none),
  ],
  idle: [
    row('resident memory, idle', 80, 'MB', 'rss_mb'),
    row('processor, idle', 0.1, '%', 'cpu_idle_percent'),
    row('memory per group', 1024, 'bytes', 'bytes_per_group'),
    row('memory per group and its stream', 1024, 'bytes', 'bytes_per_group_with_stream'),
    row('processor, 10,000 streams in steady state', 2, '%', 'cpu_10000_streams_percent'),
  ],
  steady: [
    row('10,000 groups through a query interval: processor time', 'none', 'ms', 'cpu_per_interval_ms'),
    row('the same of a core, by the default interval', 2, '%', 'cpu_percent'),
    row('steady state: groups or packets lost', 0, '', 'lost', (r) => r.daemon.never + r.daemon.lost, none),
  ],
  flood: [
    row('reports per second', 'none', '', 'reports_per_s'),
    row('flood of reports: handled', 'none', '%', 'handled_percent', undefined, none),
    row('flood: processor', 'none', '%', 'cpu_percent'),
    row('flood: event-loop delay, p99', 'none', 'ms', 'loop_p99_ms', undefined, none),
    row('flood: packets lost', 0, '', 'lost'),
  ],
  start: [row('start to ready', 300, 'ms', 'p50_ms'), row('processor time of the start', 'none', 'ms', 'cpu_p50_ms')],
  restart: [
    row('restart with 10,000 groups: process made to ready', 'none', 'ms', 'ready_ms'),
    row('the same: processor time', 'none', 'ms', 'cpu_ms'),
    row('the same: packets lost', 0, '', 'lost', undefined, none),
    row('the same: packets duplicated', 0, '', 'duplicated', undefined, none),
  ],
};

const show = (value, unit) => (value === undefined ? '' : `${Number(value.toPrecision(3))}${unit && ` ${unit}`}`);

function verdict(value, limit, unit) {
  if (limit === 'none') return '';
  if (value <= limit) return 'met';
  return limit
    ? `missed by ${show(value - limit, unit)} (${Number((value / limit).toPrecision(3))} times)`
    : `missed by ${value}`;
}

/** Lines of a Markdown table for the results of one day, in the order of TARGETS. */
export function tableOf(results) {
  const lines = ['| figure | target | mgmd | C program | |', '| --- | --- | --- | --- | --- |'];
  for (const [name, rows] of Object.entries(TARGETS)) {
    if (!results[name] || !(results[name].daemon ?? results[name].v3?.daemon)) continue;
    for (const { what, limit, unit, of, reference } of rows) {
      const value = of(results[name]);
      const target = limit === 'none' ? '' : show(limit, unit);
      const cells = [
        what,
        target,
        show(value, unit),
        show(reference(results[name]), unit),
        verdict(value, limit, unit),
      ];
      lines.push(`| ${cells.join(' | ')} |`);
    }
  }
  return lines;
}
