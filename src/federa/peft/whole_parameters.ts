import type { WeightSource } from "../../models/weights/weight_source.ts";
import { sortTensors } from "./_tensor_names.ts";
import type { PeftAdapter } from "./import.ts";

/**
 * The parameters that a PEFT adapter stores whole, such as those of a head (`modules_to_save`), by their names in the model of
 * `transformers`.
 *
 * @example
 * ```ts no-run
 * const { entries } = wholeParameters(await openPeftAdapter(files));
 * entries.get("classifier.weight")?.shape; // [3, 768]
 * ```
 */
export function wholeParameters({ weights }: PeftAdapter): Pick<WeightSource, "entries" | "read"> {
  const { parameters } = sortTensors(weights.entries.keys());
  return {
    entries: new Map([...parameters].map(([theirs, name]) => [theirs, weights.entries.get(name)!])),
    async read(theirs) {
      const name = parameters.get(theirs);
      if (name === undefined) {
        throw new RangeError(`Cannot read ${theirs}: the adapter doesn't hold it whole`);
      }
      return await weights.read(name);
    },
  };
}
