#!/usr/bin/env node
/**
 * `mgmd`: listens to signals before anything else is loaded, because until then one of them opens a debugger and others end
 * the process. Then it runs, and ends.
 */
import { Signals } from './process/signals.js';

/** EX_OSERR of sysexits.h; exit-codes.ts may be what cannot be loaded. */
const OS_ERROR = 71;

// What suspects are called when another daemon finds the table held (F01).
process.title = 'mgmd';
const signals = new Signals();
const { run } = await import('./run.js').catch(cannotLoad);
// Nothing of ours is left to wait for, and what was written has been written.
process.exit(await run(process.argv.slice(2), signals));

/** Node opens all files of a program at once, and has a stack for an answer when it may not. */
function cannotLoad(error: unknown): never {
  const why = error instanceof Error ? error.message : String(error);
  process.stderr.write(
    `mgmd: cannot load its own files: ${why}; allow more open files (LimitNOFILE of the service, ulimit -n), 1024 are enough, or install mgmd again\n`,
  );
  process.exit(OS_ERROR);
}
