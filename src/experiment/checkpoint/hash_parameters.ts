import { createHash } from "node:crypto";
import { type Tensor, toFloat } from "../../engine/mod.ts";
import { contentHash } from "./content_hash.ts";

/** SHA-256 of names, shapes and every value of parameters, read one at a time. */
export async function hashParameters(parameters: Iterable<readonly [string, Tensor]>): Promise<string> {
  const hash = createHash("sha256");
  for (const [name, parameter] of parameters) {
    hash.update(`${JSON.stringify([name, parameter.dtype, parameter.shape])}\n`);
    using values = toFloat(parameter);
    hash.update(contentHash(await values.floats()));
  }
  return hash.digest("hex");
}
