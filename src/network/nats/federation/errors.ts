import { FederaError } from "../../../engine/mod.ts";

/** A federation can't go on for one side of it; the message says why, and what to do. */
export class FederationError extends FederaError {
  override name = "FederationError";
}

/** The host doesn't take a participant, or no more; the message has its reason. */
export class RefusedError extends FederationError {
  override name = "RefusedError";
}
