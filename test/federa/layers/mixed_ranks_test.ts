import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  AdamW,
  backward,
  type Gpu,
  Linear,
  mul,
  type Optimizer,
  pack,
  Sgd,
  sum,
  type Tensor,
  tensor,
  tidy,
} from "../../../src/engine/mod.ts";
import { encodeAdapter, exportLora, LowRankLinear, merge } from "../../../src/federa/mod.ts";
import { bitsOf, holds, run, testFamilies, upload } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { f32Arrays } from "../../support/arbitraries.ts";
import { LinearStack } from "../../support/linear_stack.ts";

const families = await testFamilies();

const optimizers: Readonly<Record<string, (parameters: readonly Tensor[]) => Optimizer>> = {
  sgd: (parameters) => new Sgd(parameters),
  "sgd with momentum and decay": (parameters) => new Sgd(parameters, { momentum: 0.9, weightDecay: 0.1 }),
  adamw: (parameters) => new AdamW(parameters, { weightDecay: 0.1 }),
};
const steps = 3;

// Finite throughout, as 0 · ∞ in an empty row would be NaN.
const values = { huge: 1e4, tiny: 1e-20 } as const;
const cases = fc.record({
  ranks: fc.array(fc.constantFrom(1, 2, 3, 5, 8), { minLength: 1, maxLength: 4 }),
  spare: fc.constantFrom(0, 1, 8),
  alphas: fc.array(fc.constantFrom(0.3, 1, 8, 16, 1e3), { minLength: 4, maxLength: 4 }),
  size: fc.record({
    rows: fc.constantFrom(1, 3, 17),
    width: fc.constantFrom(1, 5, 16, 33),
    out: fc.constantFrom(1, 4, 17, 40),
  }),
  optimizer: fc.constantFrom(...Object.keys(optimizers)),
  clipNorm: fc.constantFrom(undefined, 1e-3, 1, 1e3),
}).chain(({ ranks, spare, size, ...rest }) => {
  const [count, rank, { rows, width, out }] = [ranks.length, Math.max(...ranks) + spare, size];
  return fc.record({
    x: f32Arrays([count, rows, width], values),
    dy: f32Arrays([count, rows, out], values),
    weight: f32Arrays([out, width], values),
    a: f32Arrays([count, rank, width], values).map((a) => cleared(a, ranks, "rows")),
    b: f32Arrays([count, out, rank], values).map((b) => cleared(b, ranks, "columns")),
  }).map((arrays) => ({ ranks, rank, ...rest, ...arrays }));
});
type Case = typeof cases extends fc.Arbitrary<infer Each> ? Each : never;

/** Factors of a block with zeros where a client's own rank ends. */
function cleared(x: F64Array, ranks: readonly number[], axis: "rows" | "columns"): F64Array {
  const [, height, width] = x.shape as [number, number, number];
  return x.map((value, i) => {
    const at = axis === "rows" ? Math.floor(i / width) % height : i % width;
    return at < ranks[Math.floor(i / (height * width))]! ? value : 0;
  });
}

/** What client c has of a block's array, [1, ...]. */
function memberOf({ shape, data }: F64Array, c: number): F64Array {
  const size = data.length / shape[0]!;
  return F64Array.from([1, ...shape.slice(1)], data.subarray(c * size, (c + 1) * size));
}

/** The first rows and columns of [1, height, width]. */
function cut(x: F64Array, height: number, width: number): F64Array {
  const [, , all] = x.shape as [number, number, number];
  return F64Array.full([1, height, width]).map((_, i) => x.data[Math.floor(i / width) * all + i % width]!);
}

interface Start {
  readonly x: F64Array;
  readonly dy: F64Array;
  readonly a: F64Array;
  readonly b: F64Array;
  readonly scaling: number | readonly number[];
}

/** Bits of the first output, and of A and B after training. */
async function train(gpu: Gpu, { x, dy, a, b, scaling }: Start, problem: Case): Promise<Uint32Array[]> {
  const { weight, optimizer: name, clipNorm } = problem;
  const { first, parameters, optimizer } = tidy(() => {
    const [input, target] = [upload(gpu, x), upload(gpu, dy)];
    const parameters = pack([upload(gpu, a), upload(gpu, b)]).map((each) => each.requireGrad());
    const [loraA, loraB] = parameters as [Tensor, Tensor];
    const layer = new LowRankLinear({
      weight: upload(gpu, weight),
      bias: undefined,
      loraA,
      loraB,
      scaling: typeof scaling === "number" ? scaling : tensor(gpu, scaling),
    });
    const optimizer = optimizers[name]!(parameters);
    let first: Tensor | undefined;
    for (let step = 0; step < steps; step++) {
      tidy(() => {
        const y = layer.forward(input);
        const gradients = backward(sum(mul(y, target)), parameters);
        optimizer.step(gradients, { learningRate: 1e-2, clipNorm });
        return first ??= y.detach();
      });
    }
    return { first: first!, parameters, optimizer };
  });
  optimizer.dispose();
  return await Promise.all([first, ...parameters].map(async (each) => {
    const bits = bitsOf(await each.floats());
    each.dispose();
    return bits;
  }));
}

test("a client of smaller rank trains to the same bits in a block as alone, and what it lacks stays zero", async () => {
  await holds(cases, async (problem) => {
    const { ranks, rank, alphas, x, dy, a, b } = problem;
    const scalings = ranks.map((own, c) => alphas[c]! / own);
    for (const [family, gpu] of Object.entries(families)) {
      const together = await train(gpu, { x, dy, a, b, scaling: scalings }, problem);
      for (const [c, own] of ranks.entries()) {
        const pick = (bits: Uint32Array) =>
          bits.slice(c * bits.length / ranks.length, (c + 1) * bits.length / ranks.length);
        const [mx, mdy, ma, mb] = [x, dy, a, b].map((each) => memberOf(each, c)) as [
          F64Array,
          F64Array,
          F64Array,
          F64Array,
        ];
        const alone = await train(gpu, { x: mx, dy: mdy, a: ma, b: mb, scaling: scalings[c]! }, problem);
        const found = together.map(pick);
        ["y", "A", "B"].forEach((what, i) =>
          assert.deepEqual(found[i], alone[i], `${what} of client ${c} on ${family}`)
        );
        const [width, out] = [ma.shape[2]!, mb.shape[1]!];
        assert.ok(found[1]!.subarray(own * width).every((bits) => bits === 0), "rows of A beyond the rank");
        assert.ok(found[2]!.every((bits, i) => i % rank < own || bits === 0), "columns of B beyond the rank");
        // The norm's sum is cut into pieces by position, so clipping alone depends on the block's rank.
        if (problem.clipNorm !== undefined) continue;
        const [ownA, ownB] = [cut(ma, own, width), cut(mb, out, own)];
        const thin = await train(gpu, { x: mx, dy: mdy, a: ownA, b: ownB, scaling: scalings[c]! }, problem);
        assert.deepEqual(found[0], thin[0], `y of client ${c} with factors of its rank`);
        assert.deepEqual(found[1]!.subarray(0, own * width), thin[1]);
        assert.deepEqual(found[2]!.filter((_, i) => i % rank < own), thin[2]);
      }
    }
  }, 40);
});

test("an adapter with a scaling for each client is neither saved nor merged", async () => {
  const gpu = families["cpu"]!;
  const [weight, a, b] = [[3, 4], [2, 4], [3, 2]].map((shape) => upload(gpu, F64Array.full(shape, 1)));
  const head = new Linear(upload(gpu, F64Array.full([2, 3], 1)));
  const pretrained = new LinearStack([new Linear(weight!)], head);
  const layer = new LowRankLinear({
    weight: weight!,
    bias: undefined,
    loraA: a!,
    loraB: b!,
    scaling: tensor(gpu, [1, 2]),
  });
  const model = pretrained.mapModules((name, each) => name === "layers.0" ? layer : each);
  const refused = { name: "TypeError", message: /Cannot save or merge an adapter whose scaling is \[2\]/ };
  await assert.rejects(encodeAdapter(model, { pretrained }), refused);
  await assert.rejects(exportLora(model, { pretrained }), refused);
  assert.throws(() => merge(model), refused);
  assert.ok(![...model.namedParameters()].some(([name]) => name.includes("scal")), "it is no parameter");
  const own = model.mapModules((_, each) => each instanceof LowRankLinear ? each.withScaling(0.5) : each);
  assert.ok((await encodeAdapter(own, { pretrained })).length > 0);
  const merged = await run(gpu, () => layer.withScaling(0.5).effectiveWeight());
  assert.deepEqual([...merged], new Array(12).fill(2));
});
