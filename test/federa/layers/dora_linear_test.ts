import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { Linear, type Tensor, tensor, toPrecision } from "../../../src/engine/mod.ts";
import {
  attachAdapters,
  DoraLinear,
  federa,
  gaussian as gaussianStart,
  type Initialization,
  lora,
  loraLayers,
  LowRankLinear,
  merge,
  milora,
  olora,
  pissa,
} from "../../../src/federa/mod.ts";
import { bitsOf, evaluate, holds, run, testGpu, upload } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { matmul } from "../../reference/matmul.ts";
import { checkAdapterFile } from "../../support/adapter_file.ts";
import { magnitudes } from "../../support/arbitraries.ts";
import { maxAbsDifference, relativeError } from "../../support/compare.ts";
import { linearStack } from "../../support/linear_stack.ts";
import { gaussian } from "../../support/matrices.ts";
import { numericGradient } from "../../support/numeric_gradient.ts";
import { Random } from "../../support/random.ts";

const gpu = await testGpu();

/** W′ of one client in float64, with given lengths of the rows of V, or its own. */
function denseWeight(
  { w, a, b, m }: Readonly<Record<"w" | "a" | "b" | "m", F64Array>>,
  s: number,
  lengths?: readonly number[],
): { readonly weight: F64Array; readonly lengths: readonly number[] } {
  const [out, width] = w.shape as [number, number];
  const product = matmul(b, a);
  const v = w.map((value, i) => value + s * product.data[i]!);
  const own = lengths ??
    Array.from({ length: out }, (_, n) => Math.hypot(...v.data.subarray(n * width, (n + 1) * width)));
  return {
    weight: v.map((value, i) => value * m.data[Math.floor(i / width)]! / own[Math.floor(i / width)]!),
    lengths: own,
  };
}

/** Matrix c of a stack. */
function part(x: F64Array, c: number): F64Array {
  const size = x.data.length / x.shape[0]!;
  return F64Array.from(x.shape.slice(1), x.data.subarray(c * size, (c + 1) * size));
}

const cases = fc.record({
  clients: fc.integer({ min: 1, max: 3 }),
  rows: fc.constantFrom(1, 2, 5, 17),
  out: fc.constantFrom(1, 3, 8, 17),
  width: fc.constantFrom(2, 7, 16, 31),
  rank: fc.integer({ min: 1, max: 4 }),
  scaling: magnitudes(0.1, 5),
  bias: fc.boolean(),
  seed: fc.nat(),
});

// Rows of W and s·B·A are drawn apart, so that κ = (‖w‖ + ‖s·b·A‖)/‖V‖ rarely passes 20; then a length is known to
// 2⁻²⁴·√31·20² = 1.3e-4 at the worst and some 1e-5 mostly. The gradients, of a constant length, are finite differences in float64.
test("DoraLinear.forward() is x·(m·V/‖V‖)ᵀ + b of each client, with the gradients of a constant ‖V‖", async () => {
  await holds(cases, async ({ clients, rows, out, width, rank, scaling, bias, seed }) => {
    const random = new Random(seed);
    const draw = (...shape: number[]) => F64Array.fromF32(shape, gaussian(shape, random).data);
    const s = Math.fround(scaling);
    const [w, b0] = [draw(out, width), draw(out)];
    const [x, a, b] = [draw(clients, rows, width), draw(clients, rank, width), draw(clients, out, rank)];
    const m = F64Array.fromF32(
      [clients, out],
      gaussian([clients, out], random).map((each) => 1 + each ** 2).data,
    );
    const found = await evaluate(gpu, (x, a, b, m) =>
      new DoraLinear({
        weight: upload(gpu, w),
        bias: bias ? upload(gpu, b0) : undefined,
        loraA: a,
        loraB: b,
        magnitude: m,
        scaling,
      }).forward(x), { inputs: [x, a, b, m], seed });
    for (let c = 0; c < clients; c++) {
      const [xc, dy] = [part(x, c), part(found.dy, c)];
      const inputs = [xc, part(a, c), part(b, c), part(m, c)] as const;
      const { lengths } = denseWeight({ w, a: inputs[1], b: inputs[2], m: inputs[3] }, s);
      const forward = ([x, a, b, m]: readonly F64Array[]) => {
        const { weight } = denseWeight({ w, a: a!, b: b!, m: m! }, s, lengths);
        return matmul(x!, weight, { layout: "NT" }).map((value, i) => value + (bias ? b0.data[i % out]! : 0));
      };
      const of = (values: Float32Array) =>
        values.subarray(c * values.length / clients, (c + 1) * values.length / clients);
      assert.ok(relativeError(of(found.y), forward(inputs).data) <= 2e-4, "outputs");
      const expected = numericGradient((...all) => forward(all), inputs, dy);
      for (const [i, gradient] of expected.entries()) {
        assert.ok(relativeError(of(found.gradients[i]!), gradient.data) <= 5e-4, `gradient of ${"xABm"[i]}`);
      }
    }
  }, 8);
});

test("DoraLinear.forward() of a block is that of each client, to the bit, and so with a scale of its own", async () => {
  const random = new Random(3);
  const draw = (...shape: number[]) => upload(gpu, F64Array.fromF32(shape, gaussian(shape, random).data));
  const [weight, bias] = [draw(5, 9), draw(5)];
  const parts = [1, 2, 3].map(() => ({
    loraA: draw(1, 2, 9),
    loraB: draw(1, 5, 2),
    magnitude: draw(1, 5),
    x: draw(1, 4, 9),
  }));
  const stack = async (values: readonly Tensor[]) => {
    const all = await Promise.all(values.map((each) => each.floats()));
    return tensor(gpu, all.flatMap((each) => [...each]), {
      shape: [values.length, ...values[0]!.shape.slice(1)],
    });
  };
  const [loraA, loraB, magnitude, x] = await Promise.all(
    (["loraA", "loraB", "magnitude", "x"] as const).map((name) => stack(parts.map((each) => each[name]))),
  ) as [Tensor, Tensor, Tensor, Tensor];
  const scales = [0.5, 2, 1];
  const together = await run(
    gpu,
    () => new DoraLinear({ weight, bias, loraA, loraB, magnitude, scaling: tensor(gpu, scales) }).forward(x),
  );
  for (const [c, { x, ...own }] of parts.entries()) {
    const alone = await run(
      gpu,
      () => new DoraLinear({ weight, bias, ...own, scaling: scales[c]! }).forward(x),
    );
    assert.deepEqual(bitsOf(together.slice(20 * c, 20 * (c + 1))), bitsOf(alone));
  }
});

test("DoraLinear.of() makes m the row lengths of a 2×2 weight, and effectiveWeight() scales rows", async () => {
  // V = [3 4; 0 2] + 2·[0; 1]·[0 1] = [3 4; 0 4]: lengths 5 and 4.
  const layer = new LowRankLinear({
    weight: tensor(gpu, [3, 4, 0, 2], { shape: [2, 2] }),
    bias: undefined,
    loraA: tensor(gpu, [0, 1], { shape: [1, 2] }),
    loraB: tensor(gpu, [0, 1], { shape: [2, 1] }),
    scaling: 2,
  });
  const dora = await DoraLinear.of(layer, { name: "x" });
  assert.deepEqual([...await dora.magnitude.floats()], [5, 4]);
  const moved = new DoraLinear({ ...dora, scaling: 2, magnitude: tensor(gpu, [10, 1]) });
  assert.deepEqual(await run(gpu, () => moved.effectiveWeight()), Float32Array.of(6, 8, 0, 1));
  assert.deepEqual(await run(gpu, () => moved.delta()), Float32Array.of(3, 4, 0, -1));
  const zero = new LowRankLinear({
    ...layer,
    weight: tensor(gpu, [3, 4, 0, -2], { shape: [2, 2] }),
    scaling: 2,
  });
  await assert.rejects(DoraLinear.of(zero, { name: "query" }), {
    name: "RangeError",
    message: /Cannot train query as DoRA: row 1 of its weight has the length 0/,
  });
});

// ‖V‖² is a sum of parts up to (‖w‖ + ‖s·b·A‖)² = κ²·‖V‖², each of them a sum of at most 40 products: 40·u·κ² of a length.
test("a row's length is known to 40·2⁻²⁴·κ² of itself, where the update cancels all but 1/κ of the row", async () => {
  const random = new Random(8);
  const [out, width] = [6, 33];
  const w = F64Array.fromF32([out, width], gaussian([out, width], random).data);
  // The update takes from row n all but 2⁻ⁿ of it.
  const a = F64Array.fromF32([out, width], w.data);
  const b = F64Array.from(
    [out, out],
    Array.from({ length: out * out }, (_, i) => i % (out + 1) === 0 ? 2 ** -Math.floor(i / out) - 1 : 0),
  );
  const layer = new LowRankLinear({
    weight: upload(gpu, w),
    bias: undefined,
    loraA: upload(gpu, a),
    loraB: upload(gpu, b),
    scaling: 1,
  });
  const found = await (await DoraLinear.of(layer, { name: "x" })).magnitude.floats();
  found.forEach((length, n) => {
    const expected = 2 ** -n * Math.hypot(...w.data.subarray(n * width, (n + 1) * width));
    const kappa = 2 * 2 ** n;
    assert.ok(
      Math.abs(length / expected - 1) <= 40 * 2 ** -24 * kappa ** 2,
      `row ${n}: ${length} for ${expected}`,
    );
  });
});

const starts: Readonly<Record<string, Initialization>> = {
  lora,
  gaussian: gaussianStart,
  pissa,
  milora,
  olora,
  federa: federa(),
};

// m is ‖V‖ by the same arithmetic, so that m/‖V‖ is 1, and only the bias is rounded apart: as for LoRA from that start.
test("DoRA leaves the output at step 0 as it was from every start, and in every precision", async () => {
  for (const [name, initialization] of Object.entries(starts)) {
    for (const precision of name === "pissa" ? ["f32", "f16", "int8"] as const : ["f32"] as const) {
      const whole = linearStack(gpu, [13, 8, 6, 3], 5);
      const pretrained = whole.mapParameters((each, parameter) =>
        /^layers.*weight$/.test(each) && precision !== "f32" ? toPrecision(parameter, precision) : parameter
      );
      const options = { targets: ["layers.*"], rank: 2, alpha: 3, initialization, seed: 1 };
      const plain = await attachAdapters(pretrained, options);
      const model = await attachAdapters(pretrained, { ...options, dora: true });
      const x = upload(gpu, F64Array.fromF32([4, 13], gaussian([4, 13], new Random(6)).data));
      const expected = await run(gpu, () => plain.forward(x));
      assert.ok(
        relativeError(await run(gpu, () => model.forward(x)), expected) <= 1e-6,
        `${name} ${precision}`,
      );
      if (precision !== "f32") continue;
      const before = await run(gpu, () => pretrained.forward(x));
      assert.ok(relativeError(await run(gpu, () => model.forward(x)), before) <= 2e-5, name);
      const merged = merge(model);
      assert.ok(merged.layers[0] instanceof Linear);
      assert.ok(relativeError(await run(gpu, () => merged.forward(x)), before) <= 2e-5, name);
    }
  }
});

test("a file of DoRA gives back every bit, whatever the start", async () => {
  for (const initialization of [lora, pissa]) {
    const pretrained = linearStack(gpu, [7, 5, 6, 3], 1);
    const options = { targets: ["layers.*"], rank: 2, alpha: 3, initialization, dora: true };
    const random = new Random(2);
    const model = (await attachAdapters(pretrained, options)).mapParameters((name, each) =>
      /lora[AB]$|magnitude$/.test(name)
        ? tensor(gpu, Float32Array.from({ length: each.size }, () => random.normal()), { shape: each.shape })
        : each
    );
    const { loaded } = await checkAdapterFile(model, pretrained);
    assert.ok(loaded.layers[0] instanceof DoraLinear);
  }
});

interface Numbers {
  readonly shape: readonly number[];
  readonly data: readonly number[];
}

interface Golden
  extends Readonly<Record<"weight" | "bias" | "initialA" | "initialB" | "initialMagnitude", Numbers>> {
  readonly start: "lora" | "gaussian" | "pissa" | "olora";
  readonly rank: number;
  readonly alpha: number;
  readonly loraA: Numbers;
  readonly loraB: Numbers;
  readonly magnitude: Numbers;
  readonly x: Numbers;
  readonly outputAtStart: Numbers;
  readonly output: Numbers;
  readonly outputWeights: Numbers;
  readonly merged: Numbers;
  readonly gradients: Readonly<Record<"x" | "loraA" | "loraB" | "magnitude", Numbers>>;
}

// PEFT's numbers are f32 too: both round some ten times, and V has rows of order 1.
test("DoraLinear gives PEFT's outputs, gradients and merged weights with use_dora", async () => {
  const path = new URL("../../golden/peft_layers/layers.json", import.meta.url);
  const { dora } = JSON.parse(readFileSync(path, "utf8")) as { readonly dora: readonly Golden[] };
  assert.deepEqual(dora.map(({ start }) => start), ["lora", "gaussian", "pissa", "olora"]);
  for (const golden of dora) {
    const scaling = golden.alpha / golden.rank;
    const up = ({ shape, data }: Numbers) => tensor(gpu, data, { shape });
    const host = ({ shape, data }: Numbers) => F64Array.from([1, ...shape], data);
    // PEFT's frozen weight: the pretrained one less what the start took out.
    const taken = golden.start === "pissa" || golden.start === "olora";
    const product = matmul(
      F64Array.from(golden.initialB.shape, golden.initialB.data),
      F64Array.from(golden.initialA.shape, golden.initialA.data),
    );
    const frozen = golden.weight.data.map((value, i) => taken ? value - scaling * product.data[i]! : value);
    const weight = tensor(gpu, frozen, { shape: golden.weight.shape });
    const start = new LowRankLinear({
      weight,
      bias: up(golden.bias),
      loraA: up(golden.initialA),
      loraB: up(golden.initialB),
      scaling,
    });
    const begun = await DoraLinear.of(start, { name: "x" });
    assert.ok(relativeError(await begun.magnitude.floats(), golden.initialMagnitude.data) <= 1e-6);
    const first = await run(gpu, () => begun.forward(up(golden.x)));
    assert.ok(relativeError(first, golden.outputAtStart.data) <= 1e-6);
    const found = await evaluate(
      gpu,
      (x, loraA, loraB, magnitude) =>
        new DoraLinear({ weight, bias: up(golden.bias), loraA, loraB, magnitude, scaling }).forward(x),
      {
        inputs: [host(golden.x), host(golden.loraA), host(golden.loraB), host(golden.magnitude)],
        dy: () => host(golden.outputWeights),
      },
    );
    assert.ok(relativeError(found.y, golden.output.data) <= 1e-5);
    (["x", "loraA", "loraB", "magnitude"] as const).forEach((name, i) =>
      assert.ok(
        relativeError(found.gradients[i]!, golden.gradients[name].data) <= 1e-5,
        `${golden.start} ${name}`,
      )
    );
    const trained = new DoraLinear({
      weight,
      bias: undefined,
      loraA: up(golden.loraA),
      loraB: up(golden.loraB),
      magnitude: up(golden.magnitude),
      scaling,
    });
    assert.ok(relativeError(await run(gpu, () => trained.effectiveWeight()), golden.merged.data) <= 1e-5);
    assert.ok(
      maxAbsDifference(
        await run(gpu, () => trained.delta()),
        golden.merged.data.map((value, i) => value - frozen[i]!),
      ) <= 1e-5,
    );
  }
});

test("DoRA trains r·(out + in) + out values a layer", async () => {
  const pretrained = linearStack(gpu, [13, 8, 6, 3], 5);
  const model = await attachAdapters(pretrained, {
    targets: ["layers.*"],
    rank: 2,
    alpha: 2,
    initialization: lora,
    dora: true,
  });
  const own = [...model.namedParameters()].filter(([name]) => /lora[AB]$|magnitude$/.test(name));
  const count = own.reduce((sum, [, { size }]) => sum + size, 0);
  assert.equal(count, 2 * (8 + 13) + 8 + 2 * (6 + 8) + 6);
  assert.deepEqual([...loraLayers(model).keys()], ["layers.0", "layers.1"]);
});
