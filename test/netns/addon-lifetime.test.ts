/** How the addon ends: workers, exceptions, collection, and what a killed process leaves to its successor. */
import { expect } from 'vitest';
import { addon, addonChild, addonPath, addonTest, type Bed, ERRNO, procNet } from '../support/addon.js';
import type { Child } from '../support/child.js';
import { eventually } from '../support/eventually.js';

/** Starts a program of helpers/addon-child.mjs in the router's namespace. */
function start(bed: Bed, program: string, ...args: string[]): Child {
  return bed.router.spawn(process.execPath, ['--expose-gc', addonChild, program, ...args], { MGMD_ADDON: addonPath });
}

/** Runs it to its end: exit code and lines. */
async function run(bed: Bed, program: string): Promise<{ exit: number | null; lines: string[]; errors: string }> {
  const child = start(bed, program);
  const exit = await child.end(60_000);
  return { exit, lines: child.lines, errors: child.errors.join('\n') };
}

addonTest(
  'a worker may be terminated while its sockets are polled, stopped or closing: nothing aborts, all is closed',
  async (bed) => {
    expect(await run(bed, 'terminate')).toEqual({ exit: 0, lines: ['all descriptors closed'], errors: '' });
  },
);

addonTest('the addon works when it is loaded in two workers and twice in the main thread', async (bed) => {
  const { exit, lines } = await run(bed, 'twice');
  expect(lines.at(-1)).toBe('main thread hears on both instances');
  expect(lines).toContain('a socket of one instance fits the other');
  expect(exit).toBe(0);
});

addonTest('a throw inside a callback reaches uncaughtException, and the socket goes on reading', async (bed) => {
  expect(await run(bed, 'throw')).toEqual({
    exit: 0,
    lines: ['thrown inside the callback', 'heard again'],
    errors: '',
  });
});

addonTest('a throw that nobody handles ends the process with its stack and exit code 1', async (bed) => {
  const { exit, errors } = await run(bed, 'throwUnhandled');
  expect(exit).toBe(1);
  expect(errors).toContain('Error: nobody catches this');
  expect(errors).toContain('addon-child.mjs');
});

addonTest("a throw inside a worker's callback ends that worker alone", async (bed) => {
  expect(await run(bed, 'throwInWorker')).toEqual({
    exit: 0,
    lines: ['thrown in a worker', 'worker exit 1'],
    errors: '',
  });
});

addonTest('process.exit inside a callback exits', async (bed) => {
  expect(await run(bed, 'exitInCallback')).toEqual({ exit: 7, lines: [], errors: '' });
});

addonTest('a socket that nobody refers to is closed, one that is being read is not', async (bed) => {
  expect(await run(bed, 'collect')).toEqual({ exit: 0, lines: ['0 left open, 1 heard'], errors: '' });
});

addonTest('the routing object keeps its descriptor open when the socket object is gone', async (bed) => {
  expect(await run(bed, 'mrouteKeeps')).toEqual({ exit: 0, lines: ['0,0'], errors: '' });
});

addonTest(
  'a killed owner leaves table and memberships to whoever holds the duplicates, until that one ends too',
  async (bed) => {
    // given an owner that has handed its descriptors to a child
    const owner = start(bed, 'owner', String(bed.router.ifindex('eth1')));
    const [heir, errors] = (await owner.line()).split(' ');
    expect(errors).toBe('0,0,0,0');
    const group = '030201EF';
    // when it is killed (by the id of its own child's parent: the command was replaced by it)
    owner.signal('SIGKILL');
    // then the child answers that it owns the table, the entry and the membership
    expect(JSON.parse(await eventually('the heir', () => owner.lines[1]))).toEqual({
      initAgain: ERRNO.EADDRINUSE,
      counters: 0,
      joinAgain: ERRNO.EADDRINUSE,
    });
    const stranger = addon.mrouteOf(bed.igmp(bed.router), 253);
    expect(stranger.init()).toBe(ERRNO.EADDRINUSE);
    expect(procNet(bed.router, 'igmp')).toContain(group);
    // and with its end everything is free
    process.kill(Number(heir), 'SIGKILL');
    await eventually('the table to be free', () => stranger.init() === 0);
    await eventually('the membership to go', () => !procNet(bed.router, 'igmp').includes(group));
  },
);
