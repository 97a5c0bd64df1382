/**
 * Programs that end badly on purpose, each in a process of its own: `node addon-child.mjs NAME [ARGUMENT]`, with the path
 * of the addon in MGMD_ADDON. They speak in lines; the process itself (its exit code, its survival) is the other result.
 */
import { spawn } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { parentPort, Worker, workerData } from 'node:worker_threads';

const require = createRequire(import.meta.url);
const path = process.env.MGMD_ADDON;
const self = fileURLToPath(import.meta.url);
const addon = require(path);
const say = (line) => process.stdout.write(`${line}\n`);
const turn = () => new Promise((resolve) => setImmediate(resolve));

const RTNLGRP_LINK = 1;

/** RTM_GETLINK with NLM_F_REQUEST | NLM_F_DUMP: something to read at once, without any neighbour. */
function dumpLinks() {
  const message = Buffer.alloc(32);
  message.writeUInt32LE(32, 0);
  message.writeUInt16LE(18, 4);
  message.writeUInt16LE(0x301, 6);
  return message;
}

function readingNetlink(onData) {
  const netlink = addon.openNetlink();
  netlink.start((length, errno) => onData(netlink, length, errno));
  netlink.send(dumpLinks());
  return netlink;
}

function descriptors() {
  return readdirSync('/proc/self/fd').length;
}

/** In a worker: opens and reads on all kinds of polled socket, tells that it hears, and keeps running. */
function workerBody() {
  const igmp = addon.openIgmpSocket();
  igmp.start(() => undefined);
  const sleeping = addon.openIgmpSocket();
  sleeping.start(() => undefined);
  sleeping.stop();
  const closing = addon.openNetlink();
  closing.start(() => undefined);
  const netlink = readingNetlink((_netlink, length) => parentPort.postMessage(length));
  netlink.subscribe(RTNLGRP_LINK);
  if (workerData === 'close') parentPort.on('message', () => closing.close());
}

function startWorker(how) {
  const worker = new Worker(self, { workerData: how });
  return new Promise((resolve, reject) => {
    worker.once('message', () => resolve(worker));
    worker.once('error', reject);
  });
}

const PROGRAMS = {
  /** Workers end while their sockets are polled, stopped, and half closed. */
  async terminate() {
    const before = descriptors();
    for (let round = 0; round < 5; round++) {
      const worker = await startWorker('close');
      worker.postMessage('close');
      await worker.terminate();
    }
    say(
      descriptors() <= before + 1 ? 'all descriptors closed' : `descriptors: ${before} before, ${descriptors()} after`,
    );
  },

  /** Two workers and the main thread, which loads the file a second time, all read at once. */
  async twice() {
    const workers = await Promise.all([startWorker('stay'), startWorker('stay')]);
    delete require.cache[require.resolve(path)];
    const again = require(path);
    say(again === addon ? 'the same module' : 'a second instance');
    const netlink = again.openNetlink();
    const first = readingNetlink(() => {
      first.close();
      netlink.start(() => {
        netlink.close();
        say('main thread hears on both instances');
        for (const worker of workers) worker.terminate();
      });
      netlink.send(dumpLinks());
    });
    const mine = again.openIgmpSocket();
    say(typeof addon.mrouteOf(mine, 253) === 'object' ? 'a socket of one instance fits the other' : 'refused');
    mine.close();
  },

  /** A throw inside the callback reaches the handler, and the socket goes on. */
  async throw() {
    let heard = 0;
    process.on('uncaughtException', (error) => {
      say(error.message);
      netlink.send(dumpLinks());
    });
    const netlink = readingNetlink(() => {
      if (++heard === 1) throw new Error('thrown inside the callback');
      netlink.close();
      say('heard again');
    });
  },

  /** Without a handler the process ends like from any other uncaught exception. */
  async throwUnhandled() {
    readingNetlink(() => {
      throw new Error('nobody catches this');
    });
  },

  /** A worker's throw ends that worker, with an error event, and nothing else. */
  async throwInWorker() {
    const code = `const addon = require(process.env.MGMD_ADDON);
      const netlink = addon.openNetlink();
      netlink.start(() => { throw new Error('thrown in a worker'); });
      netlink.send(require('node:worker_threads').workerData);`;
    const worker = new Worker(code, { eval: true, workerData: dumpLinks() });
    worker.once('error', (error) => say(error.message));
    worker.once('exit', (exitCode) => say(`worker exit ${exitCode}`));
  },

  async exitInCallback() {
    readingNetlink(() => process.exit(7));
  },

  /** Needs --expose-gc. A dropped socket is closed by its finalizer; one that polls is not dropped. */
  async collect() {
    const openAndDrop = () => {
      addon.openIgmpSocket();
      addon.openMembershipSocket();
      addon.openNetlink();
      const stopped = addon.openIgmpSocket();
      stopped.start(() => undefined);
      stopped.stop();
    };
    openAndDrop(); // what the loop and the collector open for themselves, they open now
    for (let i = 0; i < 20; i++) {
      global.gc();
      await turn();
    }
    const before = descriptors();
    for (let i = 0; i < 100; i++) openAndDrop();
    let heard = 0;
    readingNetlink((netlink) => {
      heard++;
      netlink.close();
    });
    for (let i = 0; i < 20; i++) {
      global.gc();
      await turn();
    }
    say(`${descriptors() - before} left open, ${heard} heard`);
  },

  /** Needs --expose-gc. The routing object keeps the descriptor when the socket's object is gone. */
  async mrouteKeeps() {
    const mroute = addon.mrouteOf(addon.openIgmpSocket(), 253);
    const errors = [mroute.init()];
    for (let i = 0; i < 20; i++) {
      global.gc();
      await turn();
    }
    errors.push(mroute.flush(15));
    say(errors.join());
  },

  /** Owns the table and a membership, hands both to a child as descriptors 3 and 4, and waits to be killed. */
  async owner(ifindex) {
    const socket = addon.openIgmpSocket();
    const mroute = addon.mrouteOf(socket, 253);
    const pool = addon.openMembershipSocket();
    const ttls = new Uint8Array(32);
    const errors = [
      mroute.init(),
      mroute.addVif(0, Number(ifindex)),
      mroute.addMfc(0x0a010002, 0xef010203, 0, ttls),
      pool.join(Number(ifindex), 0xef010203),
    ];
    const fds = [socket.duplicate(), pool.duplicate()];
    const heir = spawn(process.execPath, [self, 'heir', ifindex], { stdio: ['pipe', 'inherit', 'inherit', ...fds] });
    say(`${heir.pid} ${errors.join()}`);
    setInterval(() => undefined, 1000);
  },

  /** Adopts descriptors 3 and 4 and answers once its parent is gone (the pipe ends): the counters, and two more calls. */
  async heir(ifindex) {
    process.stdin.resume();
    await new Promise((resolve) => process.stdin.once('end', resolve));
    const mroute = addon.mrouteOf(addon.openIgmpSocket(3), 253);
    const pool = addon.openMembershipSocket(4);
    const results = {
      initAgain: mroute.init(),
      counters: mroute.mfcCounters(0x0a010002, 0xef010203, new Float64Array(3)),
      joinAgain: pool.join(Number(ifindex), 0xef010203),
    };
    say(JSON.stringify(results));
    setInterval(() => undefined, 1000);
  },
};

if (parentPort !== null) workerBody();
else await PROGRAMS[process.argv[2]](process.argv[3]);
