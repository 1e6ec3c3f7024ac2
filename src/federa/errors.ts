/** An adapter does not belong to a model; the message lists every layer and parameter that disagrees. */
export class AdapterMismatchError extends Error {
  override name = "AdapterMismatchError";
}
