/**
 * Logging as pure code sees it. `evt` is stable, dotted, subject.verb in the past tense; operators and tests match it,
 * never the sentence.
 */

/** Every `evt` of the log; docs/events.md says what each means and what to do. */
export type LogEvent =
  | 'callback.failed'
  | 'client.died'
  | 'config.warned'
  | 'control.accept.failed'
  | 'control.client.dropped'
  | 'control.events.lost'
  | 'control.full'
  | 'control.refused'
  | 'control.request.failed'
  | 'daemon.cold-start'
  | 'daemon.crashed'
  | 'daemon.descriptor.unknown'
  | 'daemon.handed-off'
  | 'daemon.handoff.failed'
  | 'daemon.handoff.taken-back'
  | 'daemon.kernel.refused'
  | 'daemon.left'
  | 'daemon.predecessor.refused'
  | 'daemon.reload.refused'
  | 'daemon.reload.requested'
  | 'daemon.service-manager.unreachable'
  | 'daemon.started'
  | 'daemon.state.ignored'
  | 'daemon.state.superseded'
  | 'daemon.state.unwritten'
  | 'daemon.state.written'
  | 'daemon.stop.hung'
  | 'daemon.stop.requested'
  | 'daemon.stopped'
  | 'daemon.table.held'
  | 'daemon.waited'
  | 'daemon.warm-start'
  | 'daemon.warm-start.ended'
  | 'dvmrp.join.refused'
  | 'dvmrp.limit.reached'
  | 'dvmrp.message.ignored'
  | 'dvmrp.message.refused'
  | 'dvmrp.neighbor.down'
  | 'dvmrp.neighbor.refused'
  | 'dvmrp.neighbor.restarted'
  | 'dvmrp.neighbor.up'
  | 'dvmrp.restored'
  | 'dvmrp.send.failed'
  | 'host.join.refused'
  | 'igmp.address.cleared'
  | 'igmp.address.duplicated'
  | 'igmp.address.missed'
  | 'igmp.address.unwatched'
  | 'igmp.join.refused'
  | 'igmp.limit.reached'
  | 'igmp.membership.refused'
  | 'igmp.message.ignored'
  | 'igmp.message.refused'
  | 'igmp.querier.gained'
  | 'igmp.querier.bounded'
  | 'igmp.querier.lost'
  | 'igmp.query.failed'
  | 'igmp.query.unicast'
  | 'igmp.version.differed'
  | 'interface.absent'
  | 'interface.appeared'
  | 'interface.changed'
  | 'interface.enslaved'
  | 'interface.handed-over'
  | 'interface.lost'
  | 'interface.multicast.off'
  | 'interface.multicast.on'
  | 'interface.refused'
  | 'interface.released'
  | 'interface.taken'
  | 'interface.vrf'
  | 'kernel.buffer.reduced'
  | 'kernel.foreign-change'
  | 'kernel.leftovers.removed'
  | 'kernel.notifications.lost'
  | 'kernel.read.failed'
  | 'kernel.refused'
  | 'kernel.repaired'
  | 'kernel.watch.failed'
  | 'log.lost'
  | 'membership.limit.reached'
  | 'mfe.limit.reached'
  | 'ownership.step'
  | 'pause.gate.refused'
  | 'pause.pin.refused'
  | 'proxy.join.refused'
  | 'proxy.limit.reached'
  | 'proxy.ssm.refused'
  | 'proxy.upstream.changed'
  | 'proxy.upstream.limited'
  | 'proxy.upstream.refused'
  | 'proxy.version.refused'
  | 'proxy.version.restored'
  | 'rpf.refused'
  | 'static.input.changed'
  | 'static.join.refused'
  | 'static.route.refused';

export interface Fields {
  readonly evt: LogEvent;
  readonly [field: string]: unknown;
}

export interface Log {
  /** The daemon does not do what was configured. */
  error(fields: Fields, message: string): void;
  /** It does, but look. */
  warn(fields: Fields, message: string): void;
  /** A state change a human would tell a colleague. */
  info(fields: Fields, message: string): void;
  /** Packets and timers. */
  debug(fields: Fields, message: string): void;
  readonly debugEnabled: boolean;
  child(bindings: Readonly<Record<string, unknown>>): Log;
}
