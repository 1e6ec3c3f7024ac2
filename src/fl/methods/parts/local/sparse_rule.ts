import { sub, type Tensor } from "../../../../engine/mod.ts";
import { isHead, type LocalRule } from "../../../method.ts";
import { type Shapes, take, type Tensors } from "../../../tensors.ts";
import { layerOf } from "../adapters/layer_names.ts";
import type { SparseEntries } from "./sparse_entries.ts";

/** By what names changes of a layer's entries are sent up. */
export const CHANGES = ".changes";

/** Shapes of what a sparse round trains: of the head by name, and of the entries [out, k] by layer. */
export interface SparseShapes {
  readonly head: Shapes;
  readonly entries: Shapes;
}

/** Trains some entries of the weights beside the head, and sends how these changed, [C, out, k]. */
export function sparseRule(
  entriesOf: (layer: string, like: Tensor) => SparseEntries,
  { head, entries }: SparseShapes,
): LocalRule {
  const drawn = new Map<string, SparseEntries>();
  /** The adapted weights among tensors, each with its entries. */
  const weightsOf = (tensors: Tensors) =>
    [...tensors].flatMap(([name, each]) => {
      if (isHead(name)) return [];
      const layer = layerOf(name);
      const entries = drawn.get(layer) ?? entriesOf(layer, each);
      drawn.set(layer, entries);
      return [{ name, layer, each, entries }];
    });
  return {
    sends: new Map([
      ...head,
      ...[...entries].map(([layer, shape]) => [`${layer}${CHANGES}`, shape] as const),
    ]),
    correct(gradients) {
      for (const { each, entries } of weightsOf(gradients)) entries.keepOnly(each);
    },
    finish(values, { start }) {
      const changes = weightsOf(values).map(({ name, layer, each, entries }) =>
        [`${layer}${CHANGES}`, entries.valuesOf(sub(each, take(start, name)))] as const
      );
      return { upload: new Map([...[...values].filter(([name]) => isHead(name)), ...changes]) };
    },
  };
}
