/** Runs before each file of the project `netns`: its process gets a network namespace of its own. */
import { enterOwnNamespace } from './own-namespace.js';

enterOwnNamespace();
