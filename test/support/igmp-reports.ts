/** What the router's own kernel reports on a LAN, record by record, captured at the other end. */
import { Capture, IGMP_TYPE } from './capture.js';
import { eventually } from './eventually.js';
import type { RealBed } from './real-bed.js';
import type { Net } from './topology.js';

/** The records of the router's reports on a LAN, in the order of the wire. */
export class Reports {
  readonly #capture: Capture;
  readonly #router: string;
  #from = 0;

  private constructor(capture: Capture, router: string) {
    this.#capture = capture;
    this.#router = router;
  }

  static async start({ net, bed }: { readonly net: Net; readonly bed: RealBed }, n: number): Promise<Reports> {
    return new Reports(await Capture.start(net, bed.lan(n).host, 'eth0'), `10.${n}.0.1`);
  }

  /** Since the last `forget`. */
  since(): readonly string[] {
    return this.#all().slice(this.#from);
  }

  forget(): void {
    this.#from = this.#all().length;
  }

  /**
   * The kernel reports a change twice, the second time within a second together with everything else that is to be told on
   * that interface: once a marker was seen twice, every change before it has been seen at least as often.
   */
  async seenTwice(...records: readonly string[]): Promise<void> {
    await eventually(
      `two reports each of ${records.slice(0, 20).join(', ')}`,
      () => {
        const times = new Map<string, number>();
        for (const one of this.since()) times.set(one, (times.get(one) ?? 0) + 1);
        return records.every((record) => (times.get(record) ?? 0) >= 2);
      },
      { withinMs: 20_000, everyMs: 100 },
    );
  }

  #all(): readonly string[] {
    return this.#capture
      .packets()
      .filter(({ source, type }) => source === this.#router && type === IGMP_TYPE.reportV3)
      .flatMap(({ records }) => records);
  }
}

/** Each record as often as the kernel sends it, sorted. */
export function twice(...records: readonly string[]): readonly string[] {
  return [...records, ...records].sort();
}
