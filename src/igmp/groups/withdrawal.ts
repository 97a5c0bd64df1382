/**
 * The groups of a link that went down. They are gone at once; routing is told of each, a part in the same turn of the event
 * loop and the rest in later ones. What is wanted again by then stays.
 */
import type { IpAddress } from '../../base/ip.js';
import type { Group, MembershipChanges } from './group.js';

/** Changes told in one turn. */
export const WITHDRAWN_PER_TURN = 1024;

export interface WithdrawalOutput {
  readonly changes: MembershipChanges;
  /** What there is of the group now. */
  group(group: IpAddress): Group | undefined;
  /** The group has changed, but routing knows. */
  groupTouched(group: IpAddress): void;
  groupEnded(group: IpAddress): void;
  /** Runs `step` in a later turn of the event loop. */
  laterStep(step: () => void): { cancel(): void };
}

export class Withdrawal {
  readonly #output: WithdrawalOutput;
  readonly #gone: Iterator<void>[] = [];
  /** Whether routing still believes in the groups that were added since this was made. */
  #belief = { holds: true };
  #turn: { cancel(): void } | undefined;

  constructor(output: WithdrawalOutput) {
    this.#output = output;
  }

  add(groups: Iterable<Group>): void {
    this.#gone.push(this.#withdraw(groups, this.#belief));
    if (this.#turn === undefined) this.#run();
  }

  /** Routing forgets what it knew, and is told anew of what there is. */
  routingForgets(): void {
    this.#belief.holds = false;
    this.#belief = { holds: true };
  }

  /** Leaves no turn behind. */
  stop(): void {
    this.#turn?.cancel();
    this.#turn = undefined;
    this.#gone.length = 0;
  }

  #run(): void {
    this.#turn = undefined;
    for (let left = WITHDRAWN_PER_TURN; left > 0; left--) {
      const steps = this.#gone[0];
      if (steps === undefined) return;
      if (steps.next().done) this.#gone.shift();
    }
    this.#turn = this.#output.laterStep(() => this.#run());
  }

  /** One change a step. */
  *#withdraw(groups: Iterable<Group>, belief: { readonly holds: boolean }): Generator<void, void> {
    for (const { address, mode, sources } of groups) {
      if (!belief.holds) this.#output.groupTouched(address);
      else if (mode === 'exclude') this.#leaveGroup(address);
      else
        for (const source of sources?.keys() ?? []) {
          if (belief.holds) this.#leaveSource(address, source);
          yield;
        }
      if (this.#output.group(address) === undefined) this.#output.groupEnded(address);
      yield;
    }
  }

  #leaveGroup(group: IpAddress): void {
    if (this.#output.group(group)?.mode !== 'exclude') this.#output.changes.leaveGroup(group);
  }

  #leaveSource(group: IpAddress, source: IpAddress): void {
    const now = this.#output.group(group);
    const isWanted = now?.mode === 'include' && now.sources?.has(source) === true;
    if (!isWanted) this.#output.changes.leaveSource(group, source);
  }
}
