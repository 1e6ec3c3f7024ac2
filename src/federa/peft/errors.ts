import { FederaError } from "../../engine/errors.ts";
/** An adapter made elsewhere asks for what isn't supported, or its configuration is wrong; the message lists everything. */
export class UnsupportedAdapterError extends FederaError {
  override name = "UnsupportedAdapterError";
}
