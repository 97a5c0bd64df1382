/** What `mgmctl monitor` shows, as those who cause it see it. `evt` and fields are stable and named in docs/events.md. */

export type MonitorEvt =
  | 'client.registered'
  | 'client.deregistered'
  | 'client.died'
  | 'interface.taken'
  | 'interface.released'
  | 'interface.handed-over'
  | 'interface.gone'
  | 'igmp.disabled'
  | 'igmp.enabled'
  | 'interface.resynced'
  | 'membership.added'
  | 'membership.deleted'
  | 'mfe.created'
  | 'mfe.changed'
  | 'mfe.deleted'
  | 'kernel.foreign-change'
  | 'kernel.repaired'
  | 'kernel.refused'
  | 'igmp.group.joined'
  | 'igmp.group.left'
  | 'igmp.querier.changed'
  | 'static.input.changed'
  | 'proxy.group.joined'
  | 'proxy.group.left'
  | 'proxy.upstream.changed'
  | 'dvmrp.interface.up'
  | 'dvmrp.interface.down'
  | 'dvmrp.neighbor.up'
  | 'dvmrp.neighbor.down'
  | 'dvmrp.neighbor.restarted'
  | 'dvmrp.route.lost';

export interface Events {
  /** `fields` is only called when somebody listens: ten thousand joins must not build ten thousand objects for nobody. */
  emit(evt: MonitorEvt, fields: () => Readonly<Record<string, unknown>>): void;
}
