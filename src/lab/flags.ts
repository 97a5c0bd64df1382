/** The command line of the laboratory. */
import { parseArgs } from 'node:util';
import { err, ok, type Result } from '../base/result.js';

export interface Flags {
  readonly help: boolean;
  /** Stays up after the tour, to be explored with mgmctl. */
  readonly keep: boolean;
  /** How long the tour of ownership changes is to take, in seconds, 0..3600; 0: no tour. */
  readonly seconds: number;
  /** Run the daemon on the host's own interfaces with this file instead of the laboratory. */
  readonly config: string | undefined;
}

export const USAGE = `usage: npm start [-- OPTIONS]

Without options: the hand-over lab. A router, a sender and two receiving hosts in namespaces of their own; interfaces
change their owner while 2,000 packets/s flow; the verdict is the exit code (0: nothing lost, nothing duplicated, and
no membership call or IGMP report crossed a pause).

  --seconds N    how long the lab runs, 0 to 3600 (default 20; 0 with --keep)
  --keep         stay up to be explored with mgmctl, until Ctrl-C; with --seconds, the tour of changes comes first
  --config FILE  no lab: run the daemon on this machine's interfaces with FILE (needs root)
  --help         this text
`;

const OPTIONS = {
  help: { type: 'boolean', short: 'h' },
  keep: { type: 'boolean' },
  seconds: { type: 'string' },
  config: { type: 'string' },
} as const;

/** The error is a sentence for the person who typed it. */
export function parseFlags(argv: readonly string[]): Result<Flags, string> {
  const values = parsed(argv);
  if (!values.ok) return values;
  const { help = false, keep = false, seconds, config } = values.value;
  if (config !== undefined && (keep || seconds !== undefined))
    return err('--config runs the daemon itself; it goes neither with --keep nor with --seconds');
  if (config === '') return err('--config needs the name of a file');
  const count = seconds === undefined ? (keep ? 0 : 20) : Number(seconds);
  if (seconds !== undefined && !/^\d{1,4}$/.test(seconds))
    return err(`--seconds ${seconds}: not a whole number of seconds`);
  if (count > 3600) return err(`--seconds ${count}: at most 3600`);
  if (count === 0 && !keep && seconds !== undefined)
    return err('--seconds 0 is a lab without changes: use it with --keep');
  return ok({ help, keep, seconds: count, config });
}

function parsed(argv: readonly string[]) {
  try {
    return ok(parseArgs({ args: [...argv], options: OPTIONS, strict: true, allowPositionals: false }).values);
  } catch (error) {
    return err(error instanceof Error ? error.message : String(error));
  }
}
