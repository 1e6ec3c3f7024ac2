import type { Tensor } from "../../../../engine/mod.ts";
import { Held } from "../../../held.ts";
import { take, type Tensors } from "../../../tensors.ts";

/** Tensors of a layer by the names of its parts, such as `loraA`. In a list of them shapes may change from round to round. */
export type LayerParts<Part extends string = string> = {
  readonly layer: string;
  readonly parts: { readonly [Name in Part]: Tensor };
};

/** Some parts of a layer among tensors. */
export function takeParts<Part extends string>(
  tensors: Tensors,
  layer: string,
  parts: readonly Part[],
): LayerParts<Part> {
  const taken = parts.map((part) => [part, take(tensors, `${layer}.${part}`)]);
  return { layer, parts: Object.fromEntries(taken) as LayerParts<Part>["parts"] };
}

/** Parts of layers by their names, layer by layer: all of them, or some; a part's own name by default. */
export function nameParts(
  layers: readonly LayerParts[],
  parts?: readonly string[],
  nameOf: (part: string) => string = (part) => part,
): Map<string, Tensor> {
  return new Map(
    layers.flatMap(({ layer, parts: own }) =>
      (parts ?? Object.keys(own)).map((part) => [`${layer}.${nameOf(part)}`, own[part]!])
    ),
  );
}

/** Makes parts of layers, one layer after the other; the caller disposes them. */
export async function makeParts(
  layers: Iterable<string>,
  make: (layer: string) => Promise<LayerParts["parts"]>,
): Promise<LayerParts[]> {
  using held = new Held();
  const made: LayerParts[] = [];
  for (const layer of layers) made.push({ layer, parts: held.hold(await make(layer)) });
  return held.release(made);
}
