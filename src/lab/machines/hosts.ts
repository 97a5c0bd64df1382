/** What the sender and the receivers have in common: the way to the parent, memberships outside the streams. */
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import type { FromHost, OtherGroups } from '../traffic/messages.js';

/** To the parent; silently nothing once the parent is gone. */
export function tell(message: FromHost): void {
  if (process.connected) process.send?.(message);
}

/** Obeys the parent and ends with it. */
export function obey<T>(handle: (order: T) => void): void {
  process.on('message', (order) => handle(order as T));
  process.on('disconnect', () => process.exit(0));
}

export async function boundSocket(address: string, port: number, receiveBytes?: number): Promise<Socket> {
  const socket = createSocket({ type: 'udp4', reuseAddr: true, ...(receiveBytes && { recvBufferSize: receiveBytes }) });
  socket.bind(port, address);
  await once(socket, 'listening');
  return socket;
}

/** Joins and leaves of a host that wants to keep its IGMP busy. */
export class OtherMemberships {
  readonly #socket: Socket;
  readonly #address: string;
  readonly #joined = new Set<string>();

  private constructor(socket: Socket, address: string) {
    this.#socket = socket;
    this.#address = address;
  }

  /** `address`: of the interface to join on. */
  static async open(address: string): Promise<OtherMemberships> {
    return new OtherMemberships(await boundSocket('0.0.0.0', 0), address);
  }

  change({ join, leave }: OtherGroups): void {
    for (const group of join) this.#join(group);
    for (const group of leave) this.#leave(group);
  }

  #join(group: string): void {
    if (this.#joined.has(group)) return;
    this.#joined.add(group);
    this.#socket.addMembership(group, this.#address);
  }

  #leave(group: string): void {
    if (this.#joined.delete(group)) this.#socket.dropMembership(group, this.#address);
  }
}
