/** The first process inside the laboratory's namespaces (`inside.js SECONDS keep|end user|root`): everything ends when it ends. */
import { existsSync } from 'node:fs';
import { lastWords } from './machines/crew.js';
import { Screen } from './tour/display.js';
import { Laboratory } from './laboratory.js';
import { RUN } from './machines/plan.js';
import { buildTopology } from './machines/topology.js';

/** sysexits.h: the system refused something. */
const EX_OSERR = 71;

const [seconds = '20', then = 'end', who = 'root'] = process.argv.slice(2);
const screen = new Screen(process.stdout);

/** 0 passed, 1 not passed, 71 the laboratory itself failed. */
async function run(): Promise<number> {
  screen.line('building the network: sender - router - host3 (IGMPv3), host2 (IGMPv2)');
  buildTopology();
  const laboratory = new Laboratory(screen, {
    seconds: Number(seconds),
    keep: then === 'keep',
    ownUser: who === 'user',
  });
  const stop = () => laboratory.stop();
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, stop);
  process.on('message', stop);
  process.on('disconnect', () => process.exit(1));
  process.stdout.on('error', () => process.exit(1)); // nobody reads any more: npm start | head
  return laboratory.run();
}

/** The log goes with the laboratory, so its end is shown when something went wrong. */
function end(code: number): never {
  if (code !== 0 && existsSync(RUN.log)) process.stderr.write(`the daemon's last words:\n${lastWords()}\n`);
  process.exit(code);
}

run().then(end, (error: unknown) => {
  process.stderr.write(`mgmd lab: ${error instanceof Error ? error.message : String(error)}\n`);
  end(EX_OSERR);
});
