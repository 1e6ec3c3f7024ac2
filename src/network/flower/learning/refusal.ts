import { FederaError } from "../../../engine/errors.ts";

/** A node won't do what a server asks. The message goes to the server, so it says nothing of the node's data. */
export class RefusedRunError extends FederaError {
  override name = "RefusedRunError";
}
