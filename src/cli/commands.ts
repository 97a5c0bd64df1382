/** The tool's commands as a table: words -> request -> what is printed. */
import type { ControlClient, EventMessage } from '../control/client.js';
import type { DaemonStatus, Done, HandoverView, Row } from '../control/messages.js';
import { formatTable, formatValue } from './columns.js';
import { completedName } from './words.js';

/** What a command got from the command line: its arguments in order, its options by name. */
export interface Words {
  readonly args: readonly (string | undefined)[];
  readonly options: Readonly<Record<string, string | boolean | undefined>>;
}

/** What a command says: to people, and to programs (`--json`). */
export interface Told {
  readonly text: string;
  readonly json: unknown;
}

export interface Command {
  readonly name: string;
  /** commander's notation: `<interface>` required, `[source]` optional, `<view...>` one or more. */
  readonly args: readonly (readonly [notation: string, description: string])[];
  readonly options?: readonly (readonly [notation: string, description: string, kind?: 'required'])[];
  readonly description: string;
  run(client: ControlClient, words: Words): Promise<Told>;
}

const INTERFACE = ['<interface>', 'name of the interface, such as eth1'] as const;
const GROUP = ['<group>', 'multicast group, such as 239.1.2.3'] as const;
const SOURCE = ['[source]', 'only packets of this sender'] as const;

export const COMMANDS: readonly Command[] = [
  {
    name: 'show',
    args: [['<view...>', 'interfaces, owners, groups, mfc, clients, counters, igmp groups, ...; ip mroute is mfc']],
    description: 'show a table of the running daemon',
    run: show,
  },
  {
    name: 'take',
    args: [INTERFACE],
    options: [['--by <client>', 'the protocol that takes it', 'required']],
    description: 'give an interface that nobody owns to a protocol, or put IGMP on it',
    run: (client, { args: [name], options: { by } }) => change(client, 'take', { interface: name, client: by }),
  },
  {
    name: 'release',
    args: [INTERFACE],
    options: [['--by <client>', 'the protocol that releases it; by default its owner']],
    description: 'take an interface away from the protocol that owns it',
    run: (client, { args: [name], options: { by } }) => change(client, 'release', { interface: name, client: by }),
  },
  {
    name: 'handover',
    args: [INTERFACE],
    options: [
      ['--from <client>', 'the protocol that owns it', 'required'],
      ['--to <client>', 'the protocol that gets it', 'required'],
      ['--dry-run', 'only say what would change'],
    ],
    description: 'move an interface from one protocol to another without losing a packet',
    run: handover,
  },
  {
    name: 'join',
    args: [INTERFACE, GROUP, SOURCE],
    description: 'make the router itself a member of a group, so that routers upstream send it here',
    run: (client, { args: [name, group, source] }) => change(client, 'join', { interface: name, group, source }),
  },
  {
    name: 'leave',
    args: [INTERFACE, GROUP, SOURCE],
    description: 'undo a join',
    run: (client, { args: [name, group, source] }) => change(client, 'leave', { interface: name, group, source }),
  },
  {
    name: 'status',
    args: [],
    description: 'say which daemon answers and how it is',
    run: status,
  },
  {
    name: 'log',
    args: [['<level>', 'error, warn, info or debug']],
    description: 'change how much the daemon logs, until its next start',
    run: (client, { args: [level] }) => change(client, 'log.level', { level }),
  },
];

async function show(client: ControlClient, { args }: Words): Promise<Told> {
  const words = args.filter((word) => word !== undefined).flatMap((word) => word.split('.'));
  const aliases = aliasesOf(client.hello.views);
  const typed = completedName(words, [...client.hello.views, ...aliases.keys()], 'view');
  const name = aliases.get(typed) ?? typed;
  const { rows, columns } = await client.view(name);
  const text = rows.length === 0 ? `no ${name.replaceAll('.', ' ')}\n` : formatTable(rows, columns);
  return { text, json: isCounters(rows) ? Object.fromEntries(rows.map((row) => [row.name, row.value])) : rows };
}

/** What the fingers of FRR's users type: `show ip mroute`, `show ip igmp groups`. */
function aliasesOf(views: readonly string[]): ReadonlyMap<string, string> {
  const igmp = views.filter((name) => name.startsWith('igmp')).map((name) => [`ip.${name}`, name] as const);
  return new Map([...(views.includes('mfc') ? [['ip.mroute', 'mfc'] as const] : []), ...igmp]);
}

/** Plain names with numbers are one object to a program. */
function isCounters(rows: readonly Row[]): rows is readonly { readonly name: string; readonly value: number }[] {
  return rows.length > 0 && rows.every((row) => Object.keys(row).join() === 'name,value');
}

async function change(client: ControlClient, method: string, params: Readonly<Record<string, unknown>>): Promise<Told> {
  const done = await client.call<Done>(method, params);
  return { text: `${done.message}\n`, json: done };
}

async function handover(client: ControlClient, { args: [name], options }: Words): Promise<Told> {
  const { from, to, dryRun = false } = options;
  const view = await client.call<HandoverView>('handover', { interface: name, from, to, dryRun });
  const what = view.done ? 'handed' : 'would hand';
  const igmp = view.igmp ? `IGMP ${view.done ? 'paused' : 'would pause'} meanwhile` : 'IGMP is not on it';
  const text =
    `${what} ${view.interface} over from ${view.from} to ${view.to}; ${igmp}\n` +
    `  memberships there: ${view.memberships}; streams that come in by it: ${view.entriesAsIif}, that leave by it: ${view.entriesAsOif}\n` +
    (view.done ? '' : '  changed nothing (--dry-run)\n');
  return { text, json: view };
}

async function status(client: ControlClient): Promise<Told> {
  const it = await client.call<DaemonStatus>('daemon.status');
  const text =
    `mgmd ${it.version}, pid ${it.pid}, up ${Math.round(it.upTime)} s, table ${it.table}, log level ${it.logLevel}\n` +
    `  configuration  ${it.configFile}\n` +
    `  protocols      ${formatValue(it.protocols)}\n` +
    `  absent         ${formatValue(it.absent)}\n` +
    `  pause scope    ${it.pauseScope}\n` +
    `  your access    ${client.hello.access}\n`;
  return { text, json: { ...it, access: client.hello.access } };
}

/** "15:42:36.123  interface.taken  client=static interface=eth1". */
export function formatEvent({ time, evt, atMs: _atMs, ...fields }: EventMessage): string {
  const at = new Date(time);
  const two = (value: number) => String(value).padStart(2, '0');
  const clock = `${two(at.getHours())}:${two(at.getMinutes())}:${two(at.getSeconds())}`;
  const words = Object.entries(fields).map(([key, value]) => `${key}=${formatValue(value)}`);
  return `${clock}.${String(at.getMilliseconds()).padStart(3, '0')}  ${evt.padEnd(21)}  ${words.join(' ')}`.trimEnd();
}
