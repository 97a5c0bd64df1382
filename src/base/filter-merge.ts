/** Source filters of one group, and the one filter that serves several (RFC 3376 section 3.2). */
import { compareIp, type IpAddress } from './ip.js';

/** What a member wants of a group: everything but some sources, or only some sources. */
export interface SourceFilter {
  readonly mode: 'include' | 'exclude';
  readonly sources: readonly IpAddress[];
}

/** Sources sorted, as `sameFilter` wants them; takes the array over. */
export function filterOf(mode: SourceFilter['mode'], sources: IpAddress[]): SourceFilter {
  return { mode, sources: sources.sort(compareIp) };
}

/** One filter that serves all wishes, sorted. Undefined when nothing is wanted. */
export function mergedFilter(wishes: Iterable<SourceFilter>): SourceFilter | undefined {
  const included = new Set<IpAddress>();
  let excluded: ReadonlySet<IpAddress> | undefined;
  for (const { mode, sources } of wishes) {
    if (mode === 'include') for (const source of sources) included.add(source);
    else excluded = new Set(excluded ? sources.filter((source) => excluded?.has(source)) : sources);
  }
  if (excluded) {
    const refusedByAll = [...excluded].filter((source) => !included.has(source));
    return filterOf('exclude', refusedByAll);
  }
  return included.size === 0 ? undefined : filterOf('include', [...included]);
}

/** Both sorted. */
export function sameFilter(a: SourceFilter | undefined, b: SourceFilter | undefined): boolean {
  if (a === b) return true;
  if (a === undefined || b === undefined || a.mode !== b.mode || a.sources.length !== b.sources.length) return false;
  return a.sources.every((source, i) => source === b.sources[i]);
}
