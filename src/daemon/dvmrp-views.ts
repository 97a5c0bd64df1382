/** `mgmctl show dvmrp ...`: what the protocol tells of itself, and the columns people see of it. */
import type { Row } from '../control/messages.js';
import type { View } from '../control/operator.js';
import type { DvmrpViews } from '../dvmrp/view.js';

const INTERFACE_COLUMNS = ['interface', 'state', 'localAddress', 'metric', 'threshold', 'neighbors', 'subnets'];
const NEIGHBOR_COLUMNS = ['neighbor', 'interface', 'state', 'version', 'flags', 'routes', 'upMs', 'expiresInMs'];

/** None where there is no DVMRP. */
export function dvmrpViews(dvmrp: DvmrpViews | undefined): readonly [string, View][] {
  if (!dvmrp) return [];
  return [
    ['dvmrp.interfaces', view(() => dvmrp.interfaces(), INTERFACE_COLUMNS)],
    ['dvmrp.neighbors', view(() => dvmrp.neighbors(), NEIGHBOR_COLUMNS)],
    ['dvmrp.routes', view(() => dvmrp.routes())],
    ['dvmrp.prunes', view(() => dvmrp.prunes())],
    ['dvmrp.grafts', view(() => dvmrp.grafts())],
    ['dvmrp.statistics', view(() => dvmrp.statistics())],
  ];
}

function view(rows: () => readonly object[], columns?: readonly string[]): View {
  return { rows: () => rows() as readonly Row[], ...(columns && { columns }) };
}
