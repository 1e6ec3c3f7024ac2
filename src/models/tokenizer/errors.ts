import { FederaError } from "../../engine/errors.ts";
/** A tokenizer's files are missing, contradict themselves, or ask for what isn't supported; the message says which. */
export class TokenizerError extends FederaError {
  override name = "TokenizerError";
}
