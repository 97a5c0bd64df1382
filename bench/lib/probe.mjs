/**
 * Loaded into the daemon with --import by the measurements that look inside: event-loop delay and heap after a
 * collection. Figures that can be had from outside are taken without it.
 */
import { openSync, readSync } from 'node:fs';
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

// What the main thread itself ran between two ticks: a turn that the machine took from it is no turn of its own.
const schedstat = openSync(`/proc/self/task/${process.pid}/schedstat`, 'r');
const text = Buffer.alloc(64);
const ranMs = () => Number.parseInt(text.toString('latin1', 0, readSync(schedstat, text, 0, 64, 0)), 10) / 1e6;
let before = ranMs();
let longestMs = 0;
setInterval(() => {
  const now = ranMs();
  longestMs = Math.max(longestMs, now - before);
  before = now;
}, 1).unref();

const ANSWERS = {
  reset: () => (delay.reset(), (longestMs = 0), true),
  // The timer itself is 1 ms apart, so that much is not delay.
  loop: () => ({ p99Ms: delay.percentile(99) / 1e6 - 1, maxMs: delay.max / 1e6 - 1, ownMs: longestMs }),
  memory: () => (collect(), process.memoryUsage()),
};

process.on('message', (question) => process.send(ANSWERS[question]()));
process.channel?.unref();
