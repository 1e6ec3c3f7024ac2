import { FederaError } from "../../../engine/mod.ts";

/** Fewer clients are left than shares are needed to take the masks off; nothing is learned of anybody. */
export class TooFewClientsError extends FederaError {
  override name = "TooFewClientsError";
}

/** A message of secure aggregation that can't be what an honest party sends at this point; who gets it does nothing with it. */
export class ProtocolError extends FederaError {
  override name = "ProtocolError";
}
