/** The daemon's command line. */
import { parseArgs } from 'node:util';
import { err, ok, type Result } from '../../base/result.js';

export const DEFAULT_CONFIG = '/etc/mgmd/mgmd.yaml';

export interface Arguments {
  readonly config: string;
  /** Only look at the configuration. */
  readonly check: boolean;
  /** Wait for the table while another process holds it. */
  readonly wait: boolean;
  /** Where a predecessor hands its sockets over, and where we shall. */
  readonly handoff: string | undefined;
  readonly version: boolean;
  readonly help: boolean;
}

export const HELP = `Usage: mgmd [--config FILE] [--check] [--wait] [--handoff PATH]

The multicast group manager: owns the kernel's multicast routing table and lets several protocols share it.
Runs in the foreground and logs to standard output; mgmctl drives it.

  --config FILE  the configuration; ${DEFAULT_CONFIG} by default
  --check        only check the configuration: exit code 0, or 78 with file:line:column of every error; with --config - it is
                 read from standard input
  --wait         while another process holds the multicast routing table, try again every second
  --handoff PATH take over from a running mgmd that was started with the same path, without losing a packet, and let a
                 later one take over; not needed under systemd, which keeps the sockets itself
  --version      print the version
  --help         print this

Exit codes: 0 ended as told, 64 usage, 69 the table or the control socket is in use, 70 a fault in mgmd,
71 the system refused something, 76 the kernel cannot route multicast, 77 no privilege, 78 configuration.
`;

/** The error is a sentence about what was typed. */
export function readArguments(argv: readonly string[]): Result<Arguments, string> {
  try {
    const { values } = parseArgs({
      args: [...argv],
      strict: true,
      allowPositionals: false,
      options: {
        config: { type: 'string', default: DEFAULT_CONFIG },
        check: { type: 'boolean', default: false },
        wait: { type: 'boolean', default: false },
        handoff: { type: 'string' },
        version: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
    return ok({ ...values, handoff: values.handoff });
  } catch (error) {
    return err(
      `${(error instanceof Error ? error.message : String(error)).split('. ')[0]}; "mgmd --help" lists the options`,
    );
  }
}
