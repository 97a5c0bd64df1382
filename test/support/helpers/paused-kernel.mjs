/** Opens the kernel like the daemon does, pauses an interface and waits to be killed: `node paused-kernel.mjs SCOPE IFINDEX`. */
import { openKernel } from '../../../dist/kernel/system.js';

const [scope, ifindex] = process.argv.slice(2);
const nothing = () => undefined;
const log = { error: nothing, warn: nothing, info: nothing, debug: nothing, debugEnabled: false, child: () => log };
const clock = { nowMs: () => performance.now(), after: () => ({ cancel: nothing }) };
const opened = openKernel({ table: 253, pauseScope: scope, clock, log });
if (!opened.ok) throw opened.error;
opened.value.membership.pause(Number(ifindex));
process.stdout.write('paused\n');
// What nobody refers to would be collected, and closed by that.
setInterval(() => opened.value.membership.counters(), 1000);
