import type { Tensors } from "../../../tensors.ts";

/** The layer that a parameter is of, or what is sent of it, by its name: `encoder.inner` of `encoder.inner.loraA`. */
export function layerOf(name: string): string {
  return name.slice(0, name.lastIndexOf("."));
}

/** Tensors without a part of the layers. */
export function withoutPart<T>(tensors: ReadonlyMap<string, T>, part: string): Map<string, T> {
  return new Map([...tensors].filter(([name]) => !name.endsWith(`.${part}`)));
}

/** The layers that have a part among tensors, in their order; the adapted ones by default, by the names of their factors. */
export function layersOf(tensors: Tensors, part = "loraA"): string[] {
  return [...tensors.keys()].filter((name) => name.endsWith(`.${part}`)).map(layerOf);
}
