/**
 * `node --import THIS FILE x.ts`: lets a child process in a network namespace run the TypeScript of test/ and src/ as it
 * stands, on every supported Node. Types are stripped file by file with the project's own compiler, nothing is checked.
 */
import { register } from 'node:module';

register(new URL('./ts-hooks.mjs', import.meta.url));
