/** Registration of clients (manager.md sections 2.1, 2.2): who is there, under which handle. */
import { type Handle, type MgmStatus, PROTOCOL, type Registration } from '../client.js';
import type { Core } from '../core.js';
import { cannotComplete, DONE, invalid, status } from '../keys.js';
import { type Client, isIgmp } from '../state.js';

export class Registry {
  readonly #core: Core;
  /** Never reused within the daemon's life (D-REG-3). */
  #lastHandle = 0;

  constructor(core: Core) {
    this.#core = core;
  }

  find(handle: Handle): Client | undefined {
    return this.#core.clients.get(handle);
  }

  byName(name: string): Client | undefined {
    return [...this.#core.clients.values()].find((client) => client.name === name);
  }

  register(registration: Registration): MgmStatus & { readonly handle?: Handle } {
    const refused = this.#refusal(registration);
    if (refused) return refused;
    const { name, protocolId, componentId, callbacks, pimUpcalls = false, ribPreference } = registration;
    const handle = ++this.#lastHandle as Handle;
    const counts = { alive: true, requests: 0, calls: 0, delivered: 0, failures: 0, memberships: 0 };
    const client = { handle, name, protocolId, componentId, callbacks, pimUpcalls, ribPreference, ...counts };
    this.#core.clients.set(handle, client);
    this.#core.emit('client.registered', () => ({ client: name, protocolId, componentId }));
    return { ...DONE, handle };
  }

  /** Refused, with nothing changed, while the client holds an interface or a request of it is under way (manager.md section 4.8). */
  deregister(client: Client): MgmStatus {
    const held = [...this.#core.interfaces.values()].filter((on) => on.owner === client || on.igmp === client);
    if (held.length > 0)
      return cannotComplete('ownsInterfaces', `${client.name} still has ${held.map((on) => on.name).join(', ')}`);
    if (client.requests > 0) return cannotComplete('transitionPending', `a request of ${client.name} is under way`);
    this.remove(client);
    this.#core.emit('client.deregistered', () => ({ client: client.name }));
    return DONE;
  }

  remove(client: Client): void {
    client.alive = false;
    this.#core.clients.delete(client.handle);
  }

  #refusal({ protocolId, componentId, name, callbacks }: Registration): MgmStatus | undefined {
    if (this.#core.stopped) return cannotComplete('shuttingDown');
    for (const other of this.#core.clients.values()) {
      if (other.protocolId === protocolId && other.componentId === componentId)
        return status('ERROR_ALREADY_EXISTS', 'alreadyRegistered', `${other.name} is registered with these ids`);
      if (other.name === name)
        return status('ERROR_ALREADY_EXISTS', 'alreadyRegistered', `a client named ${name} is registered already`);
      if (protocolId === PROTOCOL.igmp && isIgmp(other))
        return status('ERROR_ALREADY_EXISTS', 'igmpAlreadyRegistered', 'only one IGMP can be registered at a time');
    }
    if (protocolId === PROTOCOL.igmp && !(callbacks.disableIgmp && callbacks.enableIgmp))
      return invalid('callbackMissing', 'IGMP must supply the disable and the enable callback');
    return undefined;
  }
}
