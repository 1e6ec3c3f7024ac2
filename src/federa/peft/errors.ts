/** An adapter made elsewhere asks for what isn't built, or its configuration is wrong; the message lists everything. */
export class UnsupportedAdapterError extends Error {
  override name = "UnsupportedAdapterError";
}
