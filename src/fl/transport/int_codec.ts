import { z } from "zod";
import { quantizeRows, type Shape, sizeOf, tensor, tidy } from "../../engine/mod.ts";
import type { StoredTensor } from "../../models/weights/dtype.ts";
import type { HostTensor, Shapes } from "../tensors.ts";
import type { Codec, CodecKind } from "./codec.ts";
import { quantizeRow, siteOf } from "./_levels.ts";
import { corruptPayload, makeCodec } from "./_make_codec.ts";
import { packNibbles, unpackNibbles } from "./_nibbles.ts";

/** How whole numbers from −levels to levels lie in the file. */
interface Width {
  readonly name: string;
  readonly levels: number;
  readonly dtype: "I8" | "U8";
  /** Bytes of n numbers. */
  bytes(n: number): number;
  pack(levels: Int8Array): StoredTensor["data"];
  unpack(stored: StoredTensor, n: number): Int8Array;
}

const EIGHT_BITS: Width = {
  name: "int8",
  levels: 127,
  dtype: "I8",
  bytes: (n) => n,
  pack: (levels) => levels,
  unpack: ({ data }) => data as Int8Array,
};

const FOUR_BITS: Width = {
  name: "int4",
  levels: 7,
  dtype: "U8",
  bytes: (n) => Math.ceil(n / 2),
  pack: packNibbles,
  unpack: ({ data }, n) => unpackNibbles(data as Uint8Array, n),
};

/**
 * Rows (last axes) as whole multiples of their largest magnitude over 127 or 7, rounded at random so that the mean is right (QSGD,
 * Alistarh et al., arXiv 1610.02132, with the largest magnitude in place of the norm). The file holds the `levels` of all
 * values, tensors in the order of their names, and the largest magnitudes of their rows as `scales`.
 */
function intCodec({ name, levels, dtype, bytes, pack, unpack }: Width): Codec {
  return makeCodec({
    name,
    lossless: false,
    feedback: false,
    joined: true,
    entries(shapes) {
      const all = [...shapes.values()];
      return new Map([
        ["levels", { dtype, shape: [bytes(total(all, sizeOf))] }],
        ["scales", { dtype: "F32", shape: [total(all, rowsOf)] }],
      ]);
    },
    store(values, { key }) {
      const shapes = [...values.values()].map(({ shape }) => shape);
      const all = new Int8Array(total(shapes, sizeOf));
      const scales = new Float32Array(total(shapes, rowsOf));
      let [at, scale] = [0, 0];
      for (const [name, { shape, data }] of values) {
        const site = siteOf(name);
        const columns = shape.at(-1) ?? 1;
        for (let row = 0; row < rowsOf(shape); row++) {
          const own = data.subarray(row * columns, (row + 1) * columns);
          const target = all.subarray(at, at += columns);
          scales[scale++] = quantizeRow(own, target, { levels, key, site, row });
        }
      }
      return new Map([["levels", pack(all)], ["scales", scales]]);
    },
    load(tensors, shapes) {
      const all = unpack(tensors.get("levels")!, total([...shapes.values()], sizeOf));
      const scales = tensors.get("scales")!.data as Float32Array;
      const wrong = all.find((level) => Math.abs(level) > levels);
      if (wrong !== undefined) {
        throw corruptPayload(`a level must be from -${levels} to ${levels}, got ${wrong}`);
      }
      const negative = scales.find((scale) => !(scale >= 0));
      if (negative !== undefined) throw corruptPayload(`a scale must be 0 or more, got ${negative}`);
      return scaled(all, { scales, shapes, levels });
    },
    transmit: (values, { keys }) =>
      tidy(() => {
        const [first] = values.values();
        if (first === undefined) return new Map();
        const uploaded = tensor(first.gpu, Uint32Array.from(keys.flat()), { shape: [keys.length, 2] });
        return new Map(
          [...values].map((
            [name, x],
          ) => [name, quantizeRows(x, { levels, keys: uploaded, site: siteOf(name) })]),
        );
      }),
  });
}

/** level·scale/levels of every value. A float64 quotient rounds to the float32 that is nearest to the exact one. */
function scaled(
  all: Int8Array,
  { scales, shapes, levels }: {
    readonly scales: Float32Array;
    readonly shapes: Shapes;
    readonly levels: number;
  },
): Map<string, HostTensor> {
  let [at, scale] = [0, 0];
  return new Map([...shapes].map(([name, shape]) => {
    const data = new Float32Array(sizeOf(shape));
    const columns = shape.at(-1) ?? 1;
    for (let start = 0; start < data.length; start += columns) {
      const largest = scales[scale++]!;
      for (let i = start; i < start + columns; i++) data[i] = all[at++]! * largest / levels;
    }
    return [name, { shape, data }];
  }));
}

function rowsOf(shape: Shape): number {
  return sizeOf(shape) === 0 ? 0 : sizeOf(shape.slice(0, -1));
}

function total(shapes: readonly Shape[], count: (shape: Shape) => number): number {
  return shapes.reduce((sum, shape) => sum + count(shape), 0);
}

const int8Codec = intCodec(EIGHT_BITS);
const int4Codec = intCodec(FOUR_BITS);
const int8Schema = z.strictObject({ name: z.literal("int8") });
const int4Schema = z.strictObject({ name: z.literal("int4") });

/** The choice `int8`. */
export const int8: CodecKind<typeof int8Schema> = {
  name: "int8",
  summary:
    "whole multiples of a row's largest magnitude over 127, rounded at random (QSGD, arXiv 1610.02132)",
  schema: int8Schema,
  create: () => int8Codec,
};

/** The choice `int4`. */
export const int4: CodecKind<typeof int4Schema> = {
  name: "int4",
  summary: "whole multiples of a row's largest magnitude over 7, rounded at random (QSGD, arXiv 1610.02132)",
  schema: int4Schema,
  create: () => int4Codec,
};
