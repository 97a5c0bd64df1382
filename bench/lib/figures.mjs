/** Medians, ratios, rounding. */
export function median(values) {
  const sorted = values.filter((value) => value !== undefined).sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)];
}

const SIGNIFICANT = 4;
export function round(value) {
  return typeof value === 'number' && Number.isFinite(value) ? Number(value.toPrecision(SIGNIFICANT)) : value;
}

/** Field by field: the median of the runs. */
export function medians(runs) {
  return Object.fromEntries(Object.keys(runs[0]).map((key) => [key, round(median(runs.map((one) => one[key])))]));
}

/** Field by field: the sum of the runs; for counts that must be 0 in every one. */
export function sums(runs, ...keys) {
  return Object.fromEntries(keys.map((key) => [key, runs.reduce((sum, one) => sum + one[key], 0)]));
}

export function ratio(figure, limit) {
  return limit > 0 ? round(figure / limit) : null;
}

/** Medians of both sides, counts added up, and the ratio of the figure that the target names. */
export function summarize(runs, counts, ratioOf) {
  const side = (list) => (list.length ? { ...medians(list), ...sums(list, ...counts) } : undefined);
  const daemon = side(runs.daemon);
  const reference = side(runs.reference);
  return { daemon, reference, ratio_of: ratioOf, ratio: daemon ? ratio(daemon[ratioOf], reference[ratioOf]) : null };
}
