/** What `mgmctl show static` shows: the routes of every instance, and which input is active where there are several. */
import type { Row } from '../../control/messages.js';
import type { View } from '../../control/operator.js';
import type { StaticModule } from '../../static/module.js';

export function staticViews(statics: readonly StaticModule[]): readonly [string, View][] {
  const rows = (of: (one: StaticModule) => Iterable<object>) => () => each(statics, of);
  return [
    ['static.routes', { rows: rows((one) => one.eachRoute()) }],
    ['static.inputs', { rows: rows((one) => one.eachInput()) }],
  ];
}

/** One row at a time: a file may hold tens of thousands of routes. */
function* each(statics: readonly StaticModule[], of: (one: StaticModule) => Iterable<object>): Generator<Row, void> {
  for (const one of statics) yield* of(one) as Iterable<Row>;
}
