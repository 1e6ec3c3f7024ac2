import type { Module } from "../../src/engine/mod.ts";
import { adaptersOf } from "../../src/federa/mod.ts";
import type { TaskSet } from "../../src/tasks/mod.ts";
import { F64Array } from "../reference/array.ts";
import { layerNorm } from "../reference/layer_norm.ts";
import { linear } from "../reference/matmul.ts";

/** A tiny classifier's parameters on the host, in float64, and the scaling of its adapters. */
export interface TinyParameters {
  readonly values: ReadonlyMap<string, F64Array>;
  readonly scaling: number;
}

/** Copies a tiny classifier to the host. */
export async function tinyParameters(model: Module): Promise<TinyParameters> {
  const all = [...model.namedParameters()];
  const values = await Promise.all(
    all.map(async ([name, each]) => [name, F64Array.from(each.shape, await each.floats())] as const),
  );
  return { values: new Map(values), scaling: [...adaptersOf(model).values()][0]?.sharedScaling ?? 0 };
}

/** Logits of one text, in float64, straight from the formulas of `TinyEncoder` and `LowRankLinear`. */
export function tinyLogits(
  { values, scaling }: TinyParameters,
  data: TaskSet,
  example: number,
): Float64Array {
  const get = (name: string) => values.get(name)!;
  const apply = (x: F64Array, name: string) => {
    const y = linear(x, get(`${name}.weight`), get(`${name}.bias`));
    const [a, b] = [values.get(`${name}.loraA`), values.get(`${name}.loraB`)];
    if (!a || !b) return y;
    const update = linear(linear(x, a), b);
    return y.map((value, i) => value + scaling * update.data[i]!);
  };
  const table = get("encoder.embedding.weight");
  const width = table.shape[1]!;
  const from = example * data.length;
  const tokens = Array.from({ length: data.length }, (_, t) => from + t).filter((at) =>
    data.inputs.attentionMask!.data[at] === 1
  )
    .map((at) => data.inputs.inputIds!.data[at]!);
  const pooled = new Float64Array(width);
  for (const id of tokens) {
    const row = F64Array.from([1, width], table.data.subarray(id * width, (id + 1) * width));
    const h = layerNorm(row, get("encoder.norm.weight"), get("encoder.norm.bias"), { epsilon: 1e-6 });
    const outer = apply(apply(h, "encoder.inner").map(Math.tanh), "encoder.outer");
    for (let j = 0; j < width; j++) pooled[j]! += (h.data[j]! + outer.data[j]!) / tokens.length;
  }
  return apply(F64Array.from([1, width], pooled), "head.output").data;
}

/** Mean cross-entropy of some texts in nats. */
export function tinyLoss(
  parameters: TinyParameters,
  data: TaskSet,
  examples: readonly number[],
): number {
  return examples.reduce((total, example) => {
    const logits = tinyLogits(parameters, data, example);
    const most = Math.max(...logits);
    const logSum = most + Math.log(logits.reduce((sum, value) => sum + Math.exp(value - most), 0));
    return total + (logSum - logits[data.targets[example]!]!) / examples.length;
  }, 0);
}

/** The gradient of {@link tinyLoss} by one parameter, by central differences. */
export function tinyGradient(
  parameters: TinyParameters,
  name: string,
  data: TaskSet,
  examples: readonly number[],
): Float64Array {
  const step = 1e-5;
  const { data: values } = parameters.values.get(name)!;
  return values.map((value, i) => {
    const at = (moved: number) => {
      values[i] = moved;
      const loss = tinyLoss(parameters, data, examples);
      values[i] = value;
      return loss;
    };
    return (at(value + step) - at(value - step)) / (2 * step);
  });
}
