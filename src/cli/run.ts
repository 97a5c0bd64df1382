/** The tool from its words to its exit code; everything it touches comes from outside, so tests run it in their process. */
import { Command as Commander, CommanderError } from 'commander';
import { ControlClient, ControlError, DaemonAway, type EventMessage } from '../control/client.js';
import { ERROR } from '../control/messages.js';
import { COMMANDS, type Command, formatEvent, type Words } from './commands.js';
import { completedCommand, UsageError } from './words.js';

export const DEFAULT_SOCKET = '/run/mgmd/mgmd.sock';

export const EXIT = { done: 0, refused: 1, usage: 2, daemonAway: 69 } as const;

export interface Surroundings {
  /** The words behind the program's name. */
  readonly argv: readonly string[];
  readonly version: string;
  readonly env: Readonly<Record<string, string | undefined>>;
  out(text: string): void;
  err(text: string): void;
  /** Resolves when the user has had enough of `monitor`. */
  readonly interrupted: Promise<void>;
}

interface GlobalOptions {
  readonly socket: string;
  readonly json: boolean;
}

/** Resolves with the exit code; never rejects for what a user or the daemon can cause. */
export async function run(around: Surroundings): Promise<number> {
  let code: number = EXIT.done;
  const program = programOf(around, async (options, work) => {
    code = await withDaemon(around, options, work);
  });
  try {
    const names = [...program.commands.map((command) => command.name()), 'help'];
    await program.parseAsync(completedCommand(around.argv, names), { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.done : EXIT.usage;
    if (!(error instanceof UsageError)) throw error;
    around.err(`mgmctl: ${error.message}\n`);
    return EXIT.usage;
  }
}

type Work = (client: ControlClient) => Promise<void>;
type Go = (options: GlobalOptions, work: Work) => Promise<void>;

function programOf(around: Surroundings, go: Go): Commander {
  const program = new Commander('mgmctl')
    .description('drives a running mgmd; unique prefixes of commands and views work (mgmctl sh int)')
    .version(around.version, '--version', 'print the version of the tool')
    .exitOverride()
    .configureOutput({ writeOut: around.out, writeErr: around.err })
    .showHelpAfterError('(mgmctl --help says more)');
  for (const command of COMMANDS) {
    const run = async (words: Words, options: GlobalOptions) => {
      await go(options, async (client) => {
        const told = await command.run(client, words);
        around.out(options.json ? `${JSON.stringify(told.json)}\n` : told.text);
      });
    };
    addCommand(program, around, command, run);
  }
  const monitor: Command = {
    name: 'monitor',
    args: [],
    description: 'print what happens, one line per event, until Ctrl-C',
    run: () => Promise.reject(new Error('monitor has no single answer')),
  };
  addCommand(program, around, monitor, (_words, options) =>
    go(options, (client) => watch(around, client, options.json)),
  );
  return program;
}

function addCommand(
  program: Commander,
  { env }: Surroundings,
  { name, args, options = [], description }: Command,
  run: (words: Words, options: GlobalOptions) => Promise<void>,
): void {
  const command = program.command(name).description(description);
  for (const [notation, what] of args) command.argument(notation, what);
  for (const [notation, what, kind] of options)
    if (kind === 'required') command.requiredOption(notation, what);
    else command.option(notation, what);
  // Both places work: mgmctl --json show mfc, mgmctl show mfc --json.
  for (const place of [program, command])
    if (!place.options.some((option) => option.long === '--json'))
      place
        .option('--json', 'print JSON for programs')
        .option('--socket <path>', `control socket (MGMD_SOCKET, ${DEFAULT_SOCKET})`)
        .option('--instance <name>', 'the daemon of the service mgmd@NAME (/run/mgmd-NAME/mgmd.sock)');
  command.action(async () => {
    const words = { args: command.processedArgs.flat() as string[], options: command.opts() };
    await run(words, globalOptions({ ...program.opts<Given>(), ...command.opts<Given>() }, env));
  });
}

type Given = Readonly<Record<string, string | boolean | undefined>>;

/** An instance of mgmd@.service has a folder of its own below /run. Who names a socket or an instance means it, whatever MGMD_SOCKET says. */
function globalOptions({ json, socket, instance }: Given, env: Surroundings['env']): GlobalOptions {
  if (socket !== undefined && instance !== undefined)
    throw new UsageError('--socket and --instance both say which daemon is meant; name one');
  if (instance !== undefined && !/^[\w:.\\-]+$/.test(String(instance)))
    throw new UsageError(
      `"${String(instance)}" is no name of an instance: mgmd@NAME.service is named by letters, digits, - _ . :`,
    );
  const ofInstance = instance === undefined ? undefined : `/run/mgmd-${String(instance)}/mgmd.sock`;
  return { socket: String(socket ?? ofInstance ?? env['MGMD_SOCKET'] ?? DEFAULT_SOCKET), json: json === true };
}

async function withDaemon(around: Surroundings, options: GlobalOptions, work: Work): Promise<number> {
  let client: ControlClient | undefined;
  try {
    client = await ControlClient.connect(options.socket);
    await work(client);
    return EXIT.done;
  } catch (error) {
    if (error instanceof DaemonAway) {
      around.err(`mgmctl: ${error.message}\n`);
      return EXIT.daemonAway;
    }
    if (!(error instanceof ControlError)) throw error;
    const { code, message, data } = error;
    if (options.json) around.out(`${JSON.stringify({ error: { code, message, data } })}\n`);
    around.err(`mgmctl: ${message}\n`);
    return code === ERROR.invalidParams || code === ERROR.unknownMethod ? EXIT.usage : EXIT.refused;
  } finally {
    client?.close();
  }
}

/** Until the user interrupts; DaemonAway when the daemon ends first. */
async function watch(around: Surroundings, client: ControlClient, json: boolean): Promise<void> {
  client.onEvent((event: EventMessage) => around.out(`${json ? JSON.stringify(event) : formatEvent(event)}\n`));
  await client.call('monitor.start');
  const away = client.closed.then(() => client.call('daemon.status'));
  await Promise.race([around.interrupted, away]);
}
