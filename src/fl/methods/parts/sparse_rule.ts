import { sub, type Tensor } from "../../../engine/mod.ts";
import { isHead, type LocalRule } from "../../method.ts";
import { take, type Tensors } from "../../tensors.ts";
import type { SparseEntries } from "./sparse_entries.ts";

/** By what names changes of a layer's entries are sent up. */
export const CHANGES = ".changes";

/** The layer that a tensor is of, by its name. */
export function layerOf(name: string): string {
  return name.slice(0, name.lastIndexOf("."));
}

/** Trains some entries of the weights beside the head, and sends how these changed, [C, out, k]. */
export function sparseRule(entriesOf: (layer: string, like: Tensor) => SparseEntries): LocalRule {
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
