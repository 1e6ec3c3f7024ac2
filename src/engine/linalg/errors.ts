/** An iteration did not reach its tolerance in the steps it was given. */
export class ConvergenceError extends Error {
  override name = "ConvergenceError";
}
