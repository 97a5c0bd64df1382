/** Drives reference/traffic.c. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';

const BASE_STEP = 20_000;
let nextBase = 0;

/** Groups that no run before has used; 24 bits are plenty. */
export function freshBase() {
  nextBase += BASE_STEP;
  return nextBase;
}

/** Starts a measurement; `result` is the object that its last line holds, `started` that its first line has come. */
export function startTraffic(reference, command, subject, settings = {}) {
  const words = Object.entries({ pid: subject.pid, ...settings }).map(([key, value]) => `${key}=${value}`);
  const child = spawn(reference.traffic, [command, ...words], { stdio: ['ignore', 'pipe', 'inherit'] });
  let last = '';
  let begun;
  const started = new Promise((resolve) => (begun = resolve));
  createInterface({ input: child.stdout }).on('line', (line) => {
    last = line;
    begun();
  });
  const result = new Promise((resolve, reject) => {
    child.once('close', (code) => {
      if (code !== 0) return reject(new Error(`traffic ${command} ended with ${code}`));
      const figures = JSON.parse(last);
      if (figures.ring_drops) return reject(new Error(`traffic ${command} did not keep up: ${last}`));
      resolve(figures);
    });
  });
  return {
    started,
    result,
    /** Ends a stream before its time. */
    stop() {
      child.kill('SIGTERM');
      return result;
    },
  };
}

export function traffic(reference, command, subject, settings) {
  return startTraffic(reference, command, subject, settings).result;
}
