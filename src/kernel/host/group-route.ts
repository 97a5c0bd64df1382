/** By which interface the kernel's unicast routes lead to a group: what it joins when a program names no interface. */
import type { KernelError } from '../../base/errors.js';
import type { IpAddress } from '../../base/ip.js';
import { ok, type Result } from '../../base/result.js';
import type { Ifindex } from '../../port/kernel.js';
import type { Addon } from '../addon.js';
import { takenOf } from '../netlink/route-messages.js';
import { RouteQuestions } from './route-questions.js';

export class GroupRoute {
  readonly #questions: RouteQuestions;

  private constructor(questions: RouteQuestions) {
    this.#questions = questions;
  }

  static open(addon: Addon): Result<GroupRoute, KernelError> {
    const questions = RouteQuestions.open(addon, 'the routes to groups');
    return questions.ok ? ok(new GroupRoute(questions.value)) : questions;
  }

  to(group: IpAddress): Ifindex | undefined {
    const route = this.#questions.routeTo(group);
    return route && takenOf(this.#questions.hopsOf(route))[0]?.ifindex;
  }

  close(): void {
    this.#questions.close();
  }
}
