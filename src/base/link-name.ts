/** How an interface is called in what people read. */

interface Links<Index> {
  byIndex(ifindex: Index): { readonly name: string } | undefined;
}

/** The interface's name, or "#7" when there is none with this index any more. */
export function linkName<Index extends number>(links: Links<Index>, ifindex: Index): string {
  return links.byIndex(ifindex)?.name ?? `#${ifindex}`;
}
