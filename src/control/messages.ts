/**
 * What is said over the control socket (docs/control-protocol.md): JSON-RPC 2.0, one message a line, UTF-8. Shared by the
 * server, the client library and the tool. Rows are plain values; which columns a view has is the view's business.
 */

export type { HandoverView } from '../mgm/snapshot.js';

/** Raised when an old client could misunderstand the answers. Told in the hello. */
export const PROTOCOL_VERSION = 1;

/** The longest line the daemon reads, in bytes. */
export const REQUEST_LIMIT = 64 * 1024;

/** Plain values: they go to JSON as they are. */
export type Row = Readonly<Record<string, unknown>>;

export type RequestId = string | number;

export interface Request {
  readonly jsonrpc: '2.0';
  readonly id: RequestId;
  readonly method: string;
  readonly params?: Readonly<Record<string, unknown>>;
}

export interface Notification {
  readonly jsonrpc: '2.0';
  readonly method: 'hello' | 'event';
  readonly params: object;
}

export interface Success {
  readonly jsonrpc: '2.0';
  readonly id: RequestId;
  readonly result: unknown;
}

export interface Failure {
  readonly jsonrpc: '2.0';
  /** Null when the request's own could not be read. */
  readonly id: RequestId | null;
  readonly error: ErrorObject;
}

export interface ErrorObject {
  readonly code: number;
  /** A sentence for the operator: what, which, why, what to do. */
  readonly message: string;
  readonly data?: ErrorData;
}

/** The manager's own words, where the manager refused. */
export interface ErrorData {
  /** "ERROR_ALREADY_EXISTS". */
  readonly code?: string;
  /** "ownedByOther". */
  readonly detail?: string;
}

export type Answer = Success | Failure;

export const ERROR = {
  parse: -32700,
  invalidRequest: -32600,
  unknownMethod: -32601,
  invalidParams: -32602,
  internal: -32603,
  /** The manager said no; `data` has its code and detail. */
  refused: 1,
  /** This connection may only read. */
  notPermitted: 2,
  /** The connection ends: there is no place for it. */
  noPlace: 3,
} as const;

/** The first message on every connection. */
export interface Hello {
  readonly protocol: number;
  readonly version: string;
  readonly pid: number;
  readonly access: 'read' | 'write';
  /** What `show.NAME` knows. */
  readonly views: readonly string[];
}

export interface DaemonStatus {
  readonly version: string;
  readonly pid: number;
  /** Seconds. */
  readonly upTime: number;
  readonly table: number;
  readonly configFile: string;
  readonly logLevel: string;
  /**
   * Whose joins and leaves wait while an interface changes its owner: 'agent' (mgmd's own), 'host' (everybody's), or
   * 'host-best-effort' (everybody's leaves by a closed socket; the kernel refused the rest).
   */
  readonly pauseScope: string;
  /** Names of protocols that can take interfaces, igmp among them. */
  readonly protocols: readonly string[];
  /** Interfaces that are configured and do not exist now. */
  readonly absent: readonly string[];
}

/** Rows of a view; where `more` is given, `show.more` with it brings the next ones, as they are then. */
export interface RowsPage {
  readonly rows: readonly Row[];
  /** What a table for people shows of the rows, as names of fields ("counters.packetsIn"); absent: everything. */
  readonly columns?: readonly string[];
  readonly more?: number;
}

/** What a change that worked says. */
export interface Done {
  readonly code: 'NO_ERROR';
  readonly message: string;
}
