/** What `mgmctl show static` shows: the routes of every instance, and which input is active where there are several. */
import type { Row } from '../control/messages.js';
import type { View } from '../control/operator.js';
import type { StaticModule } from '../static/module.js';

export function staticViews(statics: readonly StaticModule[]): readonly [string, View][] {
  const rows = (of: (one: StaticModule) => readonly object[]) => () => statics.flatMap(of) as readonly Row[];
  return [
    ['static.routes', { rows: rows((one) => one.routes()) }],
    ['static.inputs', { rows: rows((one) => one.inputs()) }],
  ];
}
