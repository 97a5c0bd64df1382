/** An operator that writes down what it was told and answers what the test says. */
import { type IpAddress, formatIp } from '../../src/base/ip.js';
import type { DaemonStatus, Row } from '../../src/control/messages.js';
import type { Operator, Outcome, View } from '../../src/control/operator.js';
import type { HandoverView, ManagerEvent } from '../../src/mgm/snapshot.js';

export class FakeOperator implements Operator {
  readonly calls: string[] = [];
  readonly views = new Map<string, View>();
  outcome: Outcome | Promise<Outcome> = { code: 'NO_ERROR' };
  handoverCode: Outcome = { code: 'NO_ERROR' };
  constructor() {
    this.show('interfaces', () => [{ interface: 'eth1', state: 'PG', owner: 'static', igmp: true, groups: 3 }]);
    this.show('groups', () => []);
  }

  show(name: string, rows: () => readonly Row[], columns?: readonly string[]): void {
    this.views.set(name, { rows, ...(columns && { columns }) });
  }

  readonly handlers = new Set<(event: ManagerEvent) => void>();

  status(): DaemonStatus {
    return {
      version: '1.2.3',
      pid: 42,
      upTime: 7,
      table: 253,
      configFile: '/etc/mgmd/mgmd.yaml',
      logLevel: 'info',
      pauseScope: 'agent',
      protocols: ['igmp', 'static'],
      absent: ['ppp0'],
    };
  }

  take(interfaceName: string, client: string) {
    return this.#told(`take ${interfaceName} ${client}`);
  }

  release(interfaceName: string, client: string | undefined) {
    return this.#told(`release ${interfaceName} ${client}`);
  }

  handover(interfaceName: string, from: string, to: string, dryRun: boolean): HandoverView {
    this.calls.push(`handover ${interfaceName} ${from} ${to} ${dryRun}`);
    const counts = { igmp: true, memberships: 5, entriesAsIif: 1, entriesAsOif: 2 };
    const done = !dryRun && this.handoverCode.code === 'NO_ERROR';
    return { interface: interfaceName, from, to, ...counts, done, ...this.handoverCode } as HandoverView;
  }

  join(interfaceName: string, group: IpAddress, source: IpAddress | undefined) {
    return this.#told(`join ${interfaceName} ${formatIp(group)} ${source === undefined ? '*' : formatIp(source)}`);
  }

  leave(interfaceName: string, group: IpAddress, source: IpAddress | undefined) {
    return this.#told(`leave ${interfaceName} ${formatIp(group)} ${source === undefined ? '*' : formatIp(source)}`);
  }

  setLogLevel(level: string): Outcome {
    this.calls.push(`log ${level}`);
    return { code: 'NO_ERROR' };
  }

  onEvent(handler: (event: ManagerEvent) => void): () => void {
    this.handlers.add(handler);
    return () => void this.handlers.delete(handler);
  }

  raise(event: ManagerEvent): void {
    for (const handler of this.handlers) handler(event);
  }

  #told(call: string): Outcome | Promise<Outcome> {
    this.calls.push(call);
    return this.outcome;
  }
}
