/** Bridges with IGMP snooping (linux.md I), read from the kernel when somebody asks: nothing is watched or kept. */
import type { KernelError } from '../../base/errors.js';
import { ok, type Result } from '../../base/result.js';
import type { BridgePort, BridgeState, Ifindex } from '../../port/kernel.js';
import type { Addon } from '../addon.js';
import {
  type BridgeSettings,
  decodeMdb,
  decodeStackedLink,
  linkRequest,
  mdbDumpRequest,
} from '../netlink/bridge-messages.js';
import { NetlinkQuestions } from '../netlink/netlink-ask.js';

const TARGET = 'the bridges of this host';

export class Bridges implements BridgePort {
  readonly #questions: NetlinkQuestions;

  private constructor(questions: NetlinkQuestions) {
    this.#questions = questions;
  }

  static open(addon: Addon): Result<Bridges, KernelError> {
    const questions = NetlinkQuestions.open(addon, TARGET);
    return questions.ok ? ok(new Bridges(questions.value)) : questions;
  }

  /** Of a VLAN or macvlan: the bridge right below it. With snooping per VLAN (mcast_vlan_snooping) only what holds for all. */
  state(ifindex: Ifindex): BridgeState | undefined {
    const link = this.#link(ifindex);
    if (link?.bridge) return this.#stateOf(ifindex, link.bridge);
    if (link?.below === undefined) return undefined;
    const bridge = this.#link(link.below)?.bridge;
    return bridge && this.#stateOf(link.below, bridge);
  }

  close(): void {
    this.#questions.close();
  }

  #link(ifindex: Ifindex) {
    return this.#questions.ask(linkRequest(ifindex), decodeStackedLink).rows[0];
  }

  /** A long table comes in several messages. */
  #stateOf(ifindex: Ifindex, settings: BridgeSettings): BridgeState {
    const parts = this.#questions.dump(mdbDumpRequest(), decodeMdb).rows.filter(({ bridge }) => bridge === ifindex);
    return {
      ifindex,
      ...settings,
      routerPorts: parts.flatMap((part) => part.routerPorts),
      groups: parts.flatMap((part) => part.groups),
    };
  }
}
