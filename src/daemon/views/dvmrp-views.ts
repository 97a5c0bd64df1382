/** `mgmctl show dvmrp ...`: what the protocol tells of itself, and the columns people see of it. */
import type { Row } from '../../control/messages.js';
import type { View } from '../../control/operator.js';
import type { DvmrpViews } from '../../dvmrp/view.js';

const INTERFACE_COLUMNS = ['interface', 'state', 'localAddress', 'metric', 'threshold', 'neighbors', 'subnets'];
const NEIGHBOR_COLUMNS = ['neighbor', 'interface', 'state', 'version', 'flags', 'routes', 'upMs', 'expiresInMs'];

/** None where there is no DVMRP. */
export function dvmrpViews(dvmrp: DvmrpViews | undefined): readonly [string, View][] {
  if (!dvmrp) return [];
  return [
    ['dvmrp.interfaces', view(() => dvmrp.interfaces(), INTERFACE_COLUMNS)],
    ['dvmrp.neighbors', view(() => dvmrp.neighbors(), NEIGHBOR_COLUMNS)],
    ['dvmrp.routes', view(() => dvmrp.eachRoute())],
    ['dvmrp.prunes', view(() => dvmrp.eachPrune())],
    ['dvmrp.grafts', view(() => dvmrp.eachGraft())],
    ['dvmrp.statistics', view(() => dvmrp.statistics())],
  ];
}

function view(rows: () => Iterable<object | undefined>, columns?: readonly string[]): View {
  return { rows: () => rows() as Iterable<Row | undefined>, ...(columns && { columns }) };
}
