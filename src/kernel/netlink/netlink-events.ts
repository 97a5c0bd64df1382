/**
 * Notifications of the kernel. When a burst overflows the socket's buffer the kernel says so (ENOBUFS) and older ones may
 * still be queued; read after the tables, those would bring back what has long gone. So the socket is replaced by a new one
 * then: what comes after `onLost` is newer than any dump begun in it.
 */
import type { KernelError } from '../../base/errors.js';
import { err, ok, type Result } from '../../base/result.js';
import type { Log } from '../../port/log.js';
import type { Addon, NativeNetlink } from '../addon.js';
import { kernelError } from '../errno.js';
import { viewOf, walkMessages } from './netlink.js';
import { openNetlink, type VisitMessage } from './netlink-ask.js';

export interface NetlinkEventsOptions {
  /** Completes "watching TARGET failed". */
  readonly target: string;
  /** RTNLGRP_*. */
  readonly groups: readonly number[];
  readonly receiveBufferBytes: number;
  readonly log: Log;
  readonly onMessage: VisitMessage;
  /** After the messages of one read, if nothing was lost. */
  readonly onBatchEnd?: () => void;
  readonly onLost: () => void;
}

export class NetlinkEvents {
  readonly #addon: Addon;
  readonly #options: NetlinkEventsOptions;
  #native: NativeNetlink;

  private constructor(addon: Addon, options: NetlinkEventsOptions, native: NativeNetlink) {
    this.#addon = addon;
    this.#options = options;
    this.#native = native;
  }

  /** Notifications queue from now on; they are delivered from `start` on. */
  static open(addon: Addon, options: NetlinkEventsOptions): Result<NetlinkEvents, KernelError> {
    const native = subscribed(addon, options);
    return native.ok ? ok(new NetlinkEvents(addon, options, native.value)) : native;
  }

  start(): KernelError | undefined {
    const native = this.#native;
    const view = viewOf(native.slab);
    const errno = native.start((length, readErrno) => {
      if (native !== this.#native) return; // replaced by a handler of this very read
      walkMessages(view, length, (message) => this.#options.onMessage(view, message));
      if (readErrno !== 0) this.#replace(readErrno);
      else this.#options.onBatchEnd?.();
    });
    return errno === 0 ? undefined : kernelError('watching', this.#options.target, errno);
  }

  close(): void {
    this.#native.close();
  }

  #replace(errno: number): void {
    const { log, target } = this.#options;
    log.debug(
      { evt: 'kernel.notifications.lost', target, errno },
      `notifications about ${target} were lost; reading it again`,
    );
    const native = subscribed(this.#addon, this.#options);
    const error = native.ok ? this.#change(native.value) : native.error;
    if (error) log.warn({ evt: 'kernel.watch.failed', target, code: error.code }, error.message);
    this.#options.onLost();
  }

  #change(native: NativeNetlink): KernelError | undefined {
    this.#native.close();
    this.#native = native;
    return this.start();
  }
}

function subscribed(addon: Addon, options: NetlinkEventsOptions): Result<NativeNetlink, KernelError> {
  const opened = openNetlink(addon, options.target);
  if (!opened.ok) return opened;
  opened.value.setReceiveBuffer(options.receiveBufferBytes);
  for (const group of options.groups) {
    const errno = opened.value.subscribe(group);
    if (errno === 0) continue;
    opened.value.close();
    return err(kernelError('watching', options.target, errno));
  }
  return opened;
}
