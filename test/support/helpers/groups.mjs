/** `["239.1.1.1", ...]` as it is, or `{first, count}` spelt out. */
export function expandGroups(groups) {
  if (Array.isArray(groups)) return groups;
  const [a, b, c, d] = groups.first.split('.').map(Number);
  const first = ((a << 24) | (b << 16) | (c << 8) | d) >>> 0;
  return Array.from({ length: groups.count }, (_, i) => {
    const v = (first + i) >>> 0;
    return `${v >>> 24}.${(v >>> 16) & 255}.${(v >>> 8) & 255}.${v & 255}`;
  });
}
