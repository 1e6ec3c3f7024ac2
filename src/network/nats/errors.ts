import { FederaError } from "../../engine/mod.ts";

/** NATS can't be reached or used; the message says which server, why, and what to do. */
export class NatsError extends FederaError {
  override name = "NatsError";
}

/** An object isn't in the store, is larger than it may be, or isn't what its hash says. */
export class NatsObjectError extends FederaError {
  override name = "NatsObjectError";
}
