import { FederaError } from "../engine/errors.ts";

/** An adapter does not belong to a model; the message lists every layer and parameter that disagrees. */
export class AdapterMismatchError extends FederaError {
  override name = "AdapterMismatchError";
}

/** An adapter can't be multiplied out into the weights of an ordinary model. */
export class UnmergeableError extends FederaError {
  override name = "UnmergeableError";
}
