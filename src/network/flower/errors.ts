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
