import { FederaError } from "../../engine/errors.ts";

/** What a SuperLink sent contradicts Flower's formats or goes over a limit; the message names what was read and both values. */
export class FlowerFormatError extends FederaError {
  override name = "FlowerFormatError";
}

/**
 * A handler's word for a message whose type it does not serve, such as `query`. The server gets error code 1 for it, and
 * code 2 for any other error.
 */
export class UnknownMessageTypeError extends FederaError {
  override name = "UnknownMessageTypeError";
}

/** The file of a node's key cannot be used: others may read it, it holds no such key, or another process is a node with it. */
export class NodeKeyError extends FederaError {
  override name = "NodeKeyError";
}

/**
 * What kind of answer a SuperLink gave, or that it gave none:
 *
 * - `unreachable`: no connection, no answer in time, or a gateway's 502, 503 or 504; all may pass.
 * - `unauthenticated`: it doesn't accept the node's signature or key (401).
 * - `run-over`: the run has ended, or the node may not see it (403).
 * - `precondition`: the state of the node at the server forbids it (412).
 * - `refused`: it takes the request for wrong, or isn't a SuperLink.
 * - `failed`: it failed (500).
 */
export type SuperlinkFailure =
  | "unreachable"
  | "unauthenticated"
  | "run-over"
  | "precondition"
  | "refused"
  | "failed";

/** Options of {@linkcode SuperlinkError}. */
export interface SuperlinkErrorOptions extends ErrorOptions {
  readonly failure: SuperlinkFailure;
  readonly code?: number | undefined;
  readonly mayHaveArrived?: boolean;
}

/** A call to a SuperLink failed; the message says which, why, and what to do. */
export class SuperlinkError extends FederaError {
  override name = "SuperlinkError";
  readonly failure: SuperlinkFailure;
  /** Flower's number of the error, such as 2004 for an activation that failed; undefined if there is none. */
  readonly code: number | undefined;
  /** Whether the server may have done what it was asked, and its answer was lost. */
  readonly mayHaveArrived: boolean;

  constructor(
    message: string,
    { failure, code, mayHaveArrived = false, ...options }: SuperlinkErrorOptions,
  ) {
    super(message, options);
    this.failure = failure;
    this.code = code;
    this.mayHaveArrived = mayHaveArrived;
  }
}
