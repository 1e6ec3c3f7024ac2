import { z } from "zod";
import { keepLargest, sizeOf } from "../../engine/mod.ts";
import type { StoredTensor } from "../../models/weights/dtype.ts";
import type { HostTensor, HostTensors, Shapes } from "../tensors.ts";
import { shapesOf } from "../tensors.ts";
import type { Codec, CodecKind } from "./codec.ts";
import { corruptPayload, makeCodec, sorted } from "./_make_codec.ts";
import { bitsOf } from "./short_floats.ts";

/** The largest values in the order of their places. */
interface Largest {
  readonly indices: Uint32Array<ArrayBuffer>;
  readonly values: Float32Array<ArrayBuffer>;
}

/**
 * Of a client's values, all its tensors together, the `share` of largest magnitude; the others arrive as 0. Of equal magnitudes
 * those that come first are sent, tensors in the order of their names. The file holds the `values` in the order of their places,
 * and the places: as `indices`, or as the bits of `mask`, lowest first, where that is smaller.
 */
function topKCodec(share: number): Codec {
  const sizes = (shapes: Shapes) => {
    const n = [...shapes.values()].reduce((sum, shape) => sum + sizeOf(shape), 0);
    return { n, k: countOf(n, share) };
  };
  return makeCodec({
    name: "topk",
    options: { share },
    lossless: false,
    feedback: true,
    joined: true,
    entries(shapes) {
      const { n, k } = sizes(shapes);
      return new Map([
        hasMask(n, k)
          ? ["mask", { dtype: "U8", shape: [Math.ceil(n / 8)] }]
          : ["indices", { dtype: "U32", shape: [k] }],
        ["values", { dtype: "F32", shape: [k] }],
      ]);
    },
    store(values) {
      const { n, k } = sizes(shapesOf(values));
      const { indices, values: largest } = largestOf(joinValues(values, n), k);
      return new Map<string, StoredTensor["data"]>([
        hasMask(n, k) ? ["mask", maskOf(indices, n)] : ["indices", indices],
        ["values", largest],
      ]);
    },
    load(tensors, shapes) {
      const { n, k } = sizes(shapes);
      const mask = tensors.get("mask");
      const indices = mask === undefined
        ? tensors.get("indices")!.data as Uint32Array
        : placesIn(mask.data as Uint8Array);
      const ascends = indices.every((index, i) => index < n && (i === 0 || index > indices[i - 1]!));
      if (indices.length !== k || !ascends) {
        throw corruptPayload(`its places must be ${k} ascending whole numbers below ${n}`);
      }
      const all = new Float32Array(n);
      const values = tensors.get("values")!.data as Float32Array;
      indices.forEach((index, i) => all[index] = values[i]!);
      let at = 0;
      return new Map([...shapes].map(([name, shape]): [string, HostTensor] => [
        name,
        { shape, data: all.subarray(at, at += sizeOf(shape)) },
      ]));
    },
    transmit(values, { keys, shapes }) {
      const ordered = sorted(values);
      const own = new Map([...values].map(([name, { shape }]) => [name, shape.slice(1)]));
      const counts = keys.map((_, member) => sizes(shapes?.[member] ?? own).k);
      const kept = keepLargest([...ordered.values()], counts);
      return new Map([...ordered.keys()].map((name, i) => [name, kept[i]!]));
    },
  });
}

/** ⌈share·n⌉, at least 1 of some; products like 0.07·100 = 7.000000000000001 are meant to be whole. */
function countOf(n: number, share: number): number {
  return Math.min(n, Math.max(1, Math.ceil(share * n * (1 - 1e-12))));
}

/** Whether a bit for each of n places takes less than k indices of 4 bytes. */
function hasMask(n: number, k: number): boolean {
  return Math.ceil(n / 8) < 4 * k;
}

function joinValues(values: HostTensors, n: number): Float32Array {
  const all = new Float32Array(n);
  let at = 0;
  for (const { data } of values.values()) {
    all.set(data, at);
    at += data.length;
  }
  return all;
}

function largestOf(all: Float32Array, k: number): Largest {
  // Magnitudes have the order of their bits.
  const magnitudes = bitsOf(all).slice();
  for (let i = 0; i < magnitudes.length; i++) magnitudes[i]! &= 0x7fffffff;
  const ascending = magnitudes.toSorted();
  const threshold = ascending[ascending.length - k]!;
  let ties = k - (ascending.length - 1 - ascending.lastIndexOf(threshold));
  const indices = new Uint32Array(k);
  let at = 0;
  for (let i = 0; i < magnitudes.length; i++) {
    const isKept = magnitudes[i]! > threshold || (magnitudes[i] === threshold && ties-- > 0);
    if (isKept) indices[at++] = i;
  }
  const values = new Float32Array(k);
  for (let i = 0; i < k; i++) values[i] = all[indices[i]!]!;
  return { indices, values };
}

function maskOf(indices: Uint32Array, n: number): Uint8Array<ArrayBuffer> {
  const mask = new Uint8Array(Math.ceil(n / 8));
  for (const index of indices) mask[index >>> 3]! |= 1 << (index & 7);
  return mask;
}

function placesIn(mask: Uint8Array): Uint32Array {
  const places: number[] = [];
  mask.forEach((byte, i) => {
    for (let bit = 0; bit < 8; bit++) if ((byte >> bit) & 1) places.push(8 * i + bit);
  });
  return Uint32Array.from(places);
}

const topKSchema = z.strictObject({
  name: z.literal("topk"),
  /** Of the client's values that is sent; at least one value is. */
  share: z.number().gt(0).max(1).default(0.01),
});

/** The choice `topk`. */
export const topK: CodecKind<typeof topKSchema> = {
  name: "topk",
  summary:
    "the `share` of values of largest magnitude; others wait for a later round (error feedback, arXiv 1901.09847)",
  schema: topKSchema,
  create: ({ share }) => topKCodec(share),
};
