import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { disposeAll, ones, zeros } from "../../../src/engine/mod.ts";
import {
  blockGrid,
  decodeAdapter,
  encodeAdapter,
  merge,
  SparseBlockLinear,
} from "../../../src/federa/mod.ts";
import {
  blockMeans,
  blockPlaces,
  rowsAndColumns,
} from "../../../src/fl/methods/parts/scouting/chosen_blocks.ts";
import { bitsOf, evaluate, holds, testGpu, upload } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { matmul } from "../../reference/matmul.ts";
import { assertClose, gammaN } from "../../support/compare.ts";
import { linearStack } from "../../support/linear_stack.ts";
import { gaussian } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";

const gpu = await testGpu();

const cases = fc.record({
  clients: fc.integer({ min: 1, max: 3 }),
  rows: fc.constantFrom(1, 2, 17),
  out: fc.constantFrom(1, 5, 8, 17),
  width: fc.constantFrom(1, 6, 8, 19),
  size: fc.constantFrom(1, 2, 3, 8),
  share: fc.double({ min: 0, max: 1, noNaN: true }),
  seed: fc.nat(),
});

const magnitude = (x: F64Array) => x.map(Math.abs);

test("SparseBlockLinear.forward() and its gradients are those of the dense change, ragged blocks and all", async () => {
  await holds(cases, async ({ clients, rows, out, width, size, share, seed }) => {
    const random = new Random(seed);
    const draw = (shape: readonly number[]) => F64Array.fromF32(shape, gaussian(shape, random).data);
    const [gridRows, gridColumns] = blockGrid([out, width], size);
    const all = Array.from({ length: gridRows * gridColumns }, (_, i) => i);
    const chosen = all.filter(() => random.uniform() < share);
    const places = chosen.length === 0 ? [all.at(-1)!] : chosen;
    const at = blockPlaces(rowsAndColumns(gpu, places, gridColumns), { weight: [out, width], size });
    const [w, bias] = [draw([out, width]), draw([out])];
    const [x, blocks] = [draw([clients, rows, width]), draw([clients, places.length, size, size])];
    const [weight, own] = [upload(gpu, w), upload(gpu, bias)];
    const { y, dy, gradients } = await evaluate(
      gpu,
      (x, blocks) => new SparseBlockLinear({ weight, bias: own, blocks: blocks!, ...at }).forward(x!),
      { inputs: [x, blocks], seed },
    );
    for (let c = 0; c < clients; c++) {
      const part = (of: F64Array) => {
        const each = of.data.length / clients;
        return F64Array.from(of.shape.slice(1), of.data.subarray(c * each, (c + 1) * each));
      };
      const [xc, g, bc] = [part(x), part(dy), part(blocks)];
      /** Where element (r, q) of block b is in the weight, if it's within. */
      const place = (b: number, r: number, q: number) => {
        const i = Math.floor(places[b]! / gridColumns) * size + r;
        const j = places[b]! % gridColumns * size + q;
        return i < out && j < width ? i * width + j : undefined;
      };
      const dense = w.map((value) => value);
      const each = (visit: (b: number, flat: number, at: number | undefined) => void) => {
        for (let b = 0; b < places.length; b++) {
          for (let flat = 0; flat < size * size; flat++) {
            visit(b, b * size * size + flat, place(b, Math.floor(flat / size), flat % size));
          }
        }
      };
      each((_, flat, at) => {
        if (at !== undefined) dense.data[at]! += bc.data[flat]!;
      });
      const forward = (x: F64Array, w: F64Array, bias: F64Array) =>
        matmul(x, w, { layout: "NT" }).map((value, i) => value + bias.data[i % out]!);
      const bound = magnitude(w);
      each((_, flat, at) => {
        if (at !== undefined) bound.data[at]! += Math.abs(bc.data[flat]!);
      });
      // At most in + size + blocks + 3 roundings of each term.
      const roundings = gammaN(2 * width + size + gridColumns + 4);
      assertClose(y.subarray(c * rows * out, (c + 1) * rows * out), forward(xc, dense, bias), {
        absolute: forward(magnitude(xc), bound, magnitude(bias)).map((value) => roundings * value).data,
      });
      const full = (g: F64Array, x: F64Array) => matmul(g, x, { layout: "TN" });
      const [gradient, largest] = [full(g, xc), full(magnitude(g), magnitude(xc))];
      const found = part(F64Array.from(blocks.shape, Float64Array.from(gradients[1]!)));
      each((_, flat, at) => {
        const [wanted, limit] = at === undefined ? [0, 0] : [gradient.data[at]!, largest.data[at]!];
        assert.ok(Math.abs(found.data[flat]! - wanted) <= gammaN(rows + 3) * limit, "gradient of a block");
      });
      const toInput = matmul(g, dense);
      const inputs = part(F64Array.from(x.shape, Float64Array.from(gradients[0]!)));
      assertClose(inputs.data, toInput, {
        absolute: matmul(magnitude(g), bound).map((value) =>
          gammaN(2 * out + size + gridRows + 4) * value
        ).data,
      });
    }
  }, 30);
});

test("a model with blocks is saved, loaded to the same bits, and merged", async () => {
  const pretrained = linearStack(gpu, [7, 5, 3], 1);
  const random = new Random(1);
  const model = pretrained.mapModules((name, module) => {
    if (name !== "layers.0") return module;
    const { weight, bias } = pretrained.layers[0] as SparseBlockLinear;
    const places = blockPlaces(rowsAndColumns(gpu, [1, 11], 4), { weight: [5, 7], size: 2 });
    return new SparseBlockLinear({
      weight,
      bias,
      blocks: upload(gpu, gaussian([2, 2, 2], random)),
      ...places,
    });
  });
  const x = upload(gpu, gaussian([4, 7], random));
  const loaded = await decodeAdapter(pretrained, await encodeAdapter(model, { pretrained }));
  const outputs = await model.forward(x).floats();
  assert.deepEqual(bitsOf(await loaded.forward(x).floats()), bitsOf(outputs));
  const merged = await merge(model).forward(x).floats();
  // A dozen roundings of sums up to 10.
  merged.forEach((value, i) => assert.ok(Math.abs(value - outputs[i]!) <= 1e-5));
  const before = await pretrained.forward(x).floats();
  assert.ok(outputs.some((value, i) => Math.abs(value - before[i]!) > 1e-3));
});

test("SparseBlockLinear() refuses places that don't fit", () => {
  const layer = (blocks: number[], blockRows: number[], blockColumns: number[]) =>
    new SparseBlockLinear({
      weight: zeros(gpu, [5, 7]),
      bias: undefined,
      blocks: zeros(gpu, blocks),
      blockRows: zeros(gpu, blockRows),
      blockColumns: zeros(gpu, blockColumns),
    });
  layer([3, 2, 2], [3, 3], [3, 4]);
  for (
    const [blocks, rows, columns] of [
      [[3, 2, 1], [3, 3], [3, 4]],
      [[3, 2, 2], [2, 3], [3, 4]],
      [[3, 2, 2], [3, 2], [3, 4]],
      [[3, 2, 2], [3, 3], [3, 3]],
    ]
  ) {
    assert.throws(() => layer(blocks!, rows!, columns!), { name: "TypeError", message: /weight \[5, 7\]/ });
  }
});

test("blockMeans() is the mean over what of a block is within the weight", async () => {
  // 3×3 in blocks of 2: the corners have 4, 2, 2 and 1 elements.
  const x = upload(gpu, F64Array.from([1, 3, 3], [1, 2, 3, 4, 5, 6, 7, 8, 9]));
  assert.deepEqual([...await blockMeans(x, 2).floats()], [3, 4.5, 7.5, 9]);
  const [all, one] = [blockMeans(ones(gpu, [2, 5, 7]), 3), blockMeans(ones(gpu, [2, 5, 7]), 7)];
  for (const each of [all, one]) {
    // A mean of 35 ones rounds once.
    (await each.floats()).forEach((value) => assert.ok(Math.abs(value - 1) <= 2 ** -23));
  }
  disposeAll([all, one]);
});
