/**
 * Loaded into the laboratory's daemon before its own code (`node --import`): IGMP's acknowledgement of "disable" comes HOLD_MS
 * later. IGMP answers in microseconds by itself; no host could do anything in such a pause, and nobody could watch it. The
 * manager allows an acknowledgement 2 s (D-CB-1), so this is a slow client, not a different daemon.
 */
import { whenAnswered } from '../../base/answer.js';
import { PROTOCOL, type Registration } from '../../mgm/client.js';
import { Manager } from '../../mgm/manager.js';
import { HOLD_MS } from './plan.js';

const register = Manager.prototype.register;

Manager.prototype.register = function (this: Manager, registration: Registration) {
  return register.call(this, registration.protocolId === PROTOCOL.igmp ? heldBack(registration) : registration);
};

function heldBack(registration: Registration): Registration {
  const { callbacks } = registration;
  return {
    ...registration,
    callbacks: {
      ...callbacks,
      disableIgmp: (ifindex) => whenAnswered(callbacks.disableIgmp?.(ifindex), pause),
    },
  };
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, HOLD_MS));
}
