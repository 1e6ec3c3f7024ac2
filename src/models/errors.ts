import { FederaError } from "../engine/errors.ts";
export { CorruptFileError } from "../data/errors.ts";

/** A model's configuration is incomplete, or asks for what isn't supported; the message lists every problem. */
export class ModelConfigError extends FederaError {
  override name = "ModelConfigError";
}

/** Parameters don't fit the model they are for; the message lists all that are missing, misshapen or too many. */
export class ParameterMismatchError extends FederaError {
  override name = "ParameterMismatchError";
}

/** A model has no weights, or none in a format that is read; the message says which there are and what to do. */
export class WeightsUnavailableError extends FederaError {
  override name = "WeightsUnavailableError";
}
