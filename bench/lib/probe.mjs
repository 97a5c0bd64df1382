/**
 * Loaded into the daemon with --import by the measurements that look inside: event-loop delay and heap after a
 * collection. Figures that can be had from outside are taken without it.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';

const delay = monitorEventLoopDelay({ resolution: 1 });
delay.enable();
setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc');

const ANSWERS = {
  reset: () => (delay.reset(), true),
  // The timer itself is 1 ms apart, so that much is not delay.
  loop: () => ({ p99Ms: delay.percentile(99) / 1e6 - 1, maxMs: delay.max / 1e6 - 1 }),
  memory: () => (collect(), process.memoryUsage()),
};

process.on('message', (question) => process.send(ANSWERS[question]()));
process.channel?.unref();
