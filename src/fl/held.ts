import type { Tensor } from "../engine/mod.ts";
import { tensorsOf, type Tree } from "./tree.ts";

/** Tensors that are freed at the end of a `using` block, except those that are released before. */
export class Held {
  readonly #tensors = new Set<Tensor>();

  /** Holds a tensor or all that are in a map, a list or an object, and gives them back. */
  hold<T extends object>(tensors: T): T {
    for (const each of tensorsOf(tensors as Tree)) this.#tensors.add(each);
    return tensors;
  }

  /** Lets go of tensors, of which the caller then frees those that were held. */
  release<T extends object>(tensors: T): T {
    for (const each of tensorsOf(tensors as Tree)) this.#tensors.delete(each);
    return tensors;
  }

  /** Frees what is held. */
  [Symbol.dispose](): void {
    for (const each of this.#tensors) each.dispose();
  }
}
