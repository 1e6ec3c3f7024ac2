import type { Tensor } from "../engine/mod.ts";
import type { Tensors } from "./tensors.ts";
import { tensorsOf, type Tree } from "./tree.ts";

/** Tensors that are freed at the end of a `using` block, except those that are released before. */
export class Held {
  readonly #tensors = new Set<Tensor>();

  /** Holds tensors, and gives them back. */
  hold<T extends Tensors | Tensor>(tensors: T): T {
    for (const each of tensorsIn(tensors)) this.#tensors.add(each);
    return tensors;
  }

  /** Lets go of tensors, which the caller then frees. */
  release<T extends Tensors | Tensor>(tensors: T): T {
    for (const each of tensorsIn(tensors)) this.#tensors.delete(each);
    return tensors;
  }

  /** Lets go of the tensors of a tree that are held. */
  releaseTree(tree: Tree): void {
    for (const each of tensorsOf(tree)) this.#tensors.delete(each);
  }

  /** Frees what is held. */
  [Symbol.dispose](): void {
    for (const each of this.#tensors) each.dispose();
  }
}

function tensorsIn(tensors: Tensors | Tensor): Iterable<Tensor> {
  return tensors instanceof Map ? tensors.values() : [tensors as Tensor];
}
