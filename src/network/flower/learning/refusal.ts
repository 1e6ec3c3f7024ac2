import { FederaError, NonFiniteError } from "../../../engine/mod.ts";
import { ForgottenRoundError } from "../../../fl/mod.ts";
import { UnknownMessageTypeError } from "../errors.ts";

/** A node won't do what a server asks. The message goes to the server, so it says nothing of the node's data. */
export class RefusedRunError extends FederaError {
  override name = "RefusedRunError";
}

/** An error whose message may leave a node: what is said of its data and files stays there. */
export function publicError(
  error: unknown,
  { client, type }: { readonly client: number; readonly type: string },
): unknown {
  const isPublic = error instanceof RefusedRunError || error instanceof UnknownMessageTypeError ||
    error instanceof ForgottenRoundError ||
    // In scoring, it tells outputs of single examples.
    (error instanceof NonFiniteError && type === "train");
  if (isPublic) return error;
  const name = error instanceof Error ? error.name : "an error";
  return new RefusedRunError(
    `Cannot answer as client ${client}: ${name}; what it says stays with the node, whose own output shows it`,
    { cause: error },
  );
}
