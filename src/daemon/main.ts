#!/usr/bin/env node
/**
 * `mgmd`: listens to signals before anything else is loaded, because until then one of them opens a debugger and others end
 * the process. Then it runs, and ends.
 */
import { Signals } from './signals.js';

// What suspects are called when another daemon finds the table held (F01).
process.title = 'mgmd';
const signals = new Signals();
const { run } = await import('./run.js');
// Nothing of ours is left to wait for, and what was written has been written.
process.exit(await run(process.argv.slice(2), signals));
