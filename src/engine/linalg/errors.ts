import { FederaError } from "../errors.ts";
/** An iteration did not reach its tolerance in the steps it was given. */
export class ConvergenceError extends FederaError {
  override name = "ConvergenceError";
}
