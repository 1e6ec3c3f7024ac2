import { z } from "zod";
import { formatShape, sameShape, type Shape } from "../../engine/mod.ts";
import { AttentionPoint, LayerPoint, TokenPoint } from "../../models/mod.ts";
import { LayerOffset } from "../layers/points/layer_offset.ts";
import { PrefixAttention } from "../layers/points/prefix_attention.ts";
import { ScaledAttention } from "../layers/points/scaled_attention.ts";
import { TakenPositions, VirtualTokens } from "../layers/points/virtual_tokens.ts";
import { defineKind, type StoredShapes } from "./adapter_kind.ts";

const none = z.strictObject({});

/** Virtual tokens in front of texts. */
export const virtualTokensKind = defineKind({
  name: "virtual-tokens",
  type: VirtualTokens,
  settings: none,
  settingsOf: () => ({}),
  check: (stored) => missing(stored, ["embeddings"], 2),
  fit(pretrained, { name, shapes }) {
    if (!(pretrained instanceof TokenPoint)) return noPlace(name);
    return mismatch(`${name}.embeddings`, shapes.get("embeddings")!, [null, pretrained.width]);
  },
  create: (pretrained, { tensors }) =>
    new VirtualTokens({ width: (pretrained as TokenPoint).width, embeddings: tensors.get("embeddings")! }),
});

/** Positions in front of texts with nothing at them. */
export const takenPositionsKind = defineKind({
  name: "taken-positions",
  type: TakenPositions,
  settings: z.strictObject({ count: z.int().positive() }),
  settingsOf: ({ count }) => ({ count }),
  fit: (pretrained, { name }) => pretrained instanceof TokenPoint ? undefined : noPlace(name),
  create: (pretrained, { settings: { count } }) =>
    new TakenPositions({ width: (pretrained as TokenPoint).width, count }),
});

/** Keys and values in front of those of texts. */
export const prefixKind = defineKind({
  name: "prefix",
  type: PrefixAttention,
  settings: none,
  settingsOf: () => ({}),
  check(stored) {
    const problem = missing(stored, ["keys", "values"], 2);
    if (problem !== undefined) return problem;
    const [keys, values] = ["keys", "values"].map((part) => stored.shapes.get(part)!) as [Shape, Shape];
    return mismatch(`${stored.name}.values`, values, keys);
  },
  fit(pretrained, { name, shapes }) {
    if (!(pretrained instanceof AttentionPoint)) return noPlace(name);
    if (!pretrained.takesPrefix) return `the attention of ${name} takes no keys in front of the tokens'`;
    return mismatch(`${name}.keys`, shapes.get("keys")!, [null, pretrained.width]);
  },
  create(pretrained, { tensors }) {
    const { width, heads } = pretrained as AttentionPoint;
    return new PrefixAttention({ width, heads, keys: tensors.get("keys")!, values: tensors.get("values")! });
  },
});

/** Factors of attention matrices. */
export const scaledAttentionKind = defineKind({
  name: "scaled-attention",
  type: ScaledAttention,
  settings: z.strictObject({ scaled: z.enum(["probabilities", "logits"]) }),
  settingsOf: ({ scaled }) => ({ scaled }),
  check: (stored) => missing(stored, ["scale"], 1),
  fit(pretrained, { name, shapes }) {
    if (!(pretrained instanceof AttentionPoint)) return noPlace(name);
    return mismatch(`${name}.scale`, shapes.get("scale")!, [pretrained.heads]);
  },
  create(pretrained, { settings: { scaled }, tensors }) {
    const { width, heads } = pretrained as AttentionPoint;
    return new ScaledAttention({ width, heads, scale: tensors.get("scale")!, scaled });
  },
});

/** Offsets behind layers. */
export const layerOffsetKind = defineKind({
  name: "layer-offset",
  type: LayerOffset,
  settings: none,
  settingsOf: () => ({}),
  check: (stored) => missing(stored, ["offset"], 1),
  fit(pretrained, { name, shapes }) {
    if (!(pretrained instanceof LayerPoint)) return noPlace(name);
    return mismatch(`${name}.offset`, shapes.get("offset")!, [pretrained.width]);
  },
  create: (pretrained, { tensors }) =>
    new LayerOffset({ width: (pretrained as LayerPoint).width, offset: tensors.get("offset")! }),
});

function noPlace(name: string): string {
  return `it has no place ${name} for it`;
}

/** What is wrong with the tensors of a module, which must be there and have so many axes. */
function missing(
  { name, shapes }: StoredShapes,
  parts: readonly string[],
  ndim: number,
): string | undefined {
  for (const part of parts) {
    const shape = shapes.get(part);
    if (shape === undefined) return `it lacks ${name}.${part}`;
    if (shape.length !== ndim) return `${name}.${part} must have ${ndim} axes, got ${formatShape(shape)}`;
  }
  return undefined;
}

/** How a shape differs from the one that is expected, in which null is any extent. */
function mismatch(name: string, shape: Shape, expected: readonly (number | null)[]): string | undefined {
  const wanted = expected.map((extent, i) => extent ?? shape[i]!);
  return sameShape(shape, wanted)
    ? undefined
    : `${name} must be ${formatShape(wanted)}, got ${formatShape(shape)}`;
}
