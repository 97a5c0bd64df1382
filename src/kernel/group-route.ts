/** By which interface the kernel's unicast routes lead to a group: what it joins when a program names no interface. */
import type { KernelError } from '../base/errors.js';
import type { IpAddress } from '../base/ip.js';
import { ok, type Result } from '../base/result.js';
import type { Ifindex } from '../port/kernel.js';
import type { Addon } from './addon.js';
import { Attributes } from './netlink.js';
import { NetlinkQuestions } from './netlink-ask.js';
import { decodeRoute, lookupRequest, pointLookupAt, ROUTE_ATTRIBUTES } from './route-messages.js';

export class GroupRoute {
  readonly #questions: NetlinkQuestions;
  readonly #request = lookupRequest();
  readonly #attributes = new Attributes(ROUTE_ATTRIBUTES);

  private constructor(questions: NetlinkQuestions) {
    this.#questions = questions;
  }

  static open(addon: Addon): Result<GroupRoute, KernelError> {
    const questions = NetlinkQuestions.open(addon, 'the routes to groups');
    return questions.ok ? ok(new GroupRoute(questions.value)) : questions;
  }

  to(group: IpAddress): Ifindex | undefined {
    pointLookupAt(this.#request, group);
    const { rows } = this.#questions.ask(this.#request, (view, message) =>
      decodeRoute(view, message, this.#attributes),
    );
    return rows[0]?.ifindex;
  }

  close(): void {
    this.#questions.close();
  }
}
