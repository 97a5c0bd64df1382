#!/usr/bin/env node
/** `mgmctl`: the words of the command line, and the exit code. */
import { readFileSync } from 'node:fs';
import { run } from './run.js';

const MANIFEST = new URL('../../package.json', import.meta.url);

// Otherwise Node.js opens its debugger, to every user of the machine.
process.on('SIGUSR1', () => undefined);
// A reader that has seen enough (mgmctl show mfc | head) is no error.
process.stdout.on('error', (error: NodeJS.ErrnoException) => process.exit(error.code === 'EPIPE' ? 0 : 1));

process.exitCode = await run({
  argv: process.argv.slice(2),
  version: (JSON.parse(readFileSync(MANIFEST, 'utf8')) as { readonly version: string }).version,
  env: process.env,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  interrupted: new Promise((resolve) => {
    process.once('SIGINT', () => resolve());
    process.once('SIGTERM', () => resolve());
  }),
});
