import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { noGrad } from "../../../../src/engine/autograd.ts";
import { backward } from "../../../../src/engine/backward.ts";
import type { Gpu } from "../../../../src/engine/gpu/device.ts";
import { toHalf } from "../../../../src/engine/ops/compression/half.ts";
import { toFloat } from "../../../../src/engine/ops/compression/precision.ts";
import { type Activation, linear } from "../../../../src/engine/ops/matmul/linear.ts";
import { mul } from "../../../../src/engine/ops/elementwise.ts";
import { sum } from "../../../../src/engine/ops/reduction/reduce.ts";
import { slice } from "../../../../src/engine/ops/shape.ts";
import { type Tensor, tensor } from "../../../../src/engine/tensor.ts";
import { tidy } from "../../../../src/engine/tidy.ts";
import { F64Array } from "../../../reference/array.ts";
import { UNARY } from "../../../reference/elementwise.ts";
import { linear as reference, linearGradient } from "../../../reference/matmul.ts";
import { assertClose, F32_MIN_NORMAL, gammaN } from "../../../support/compare.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";
import { bitsOf, evaluate, evaluateEverywhere, holds, run, testAllFamilies, upload } from "../../harness.ts";

const families = await testAllFamilies();
const absolute = (x: F64Array) => x.map(Math.abs);
const random = (shape: readonly number[], seed: number) =>
  F64Array.fromF32(shape, gaussian(shape, new Random(seed)).data);

/** What the layer has of each, member by member or shared. */
type Ownership = "none" | "shared" | "own";

interface Case {
  readonly members: number;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  readonly r: number;
  readonly weight: Ownership;
  readonly bias: Ownership;
  readonly a: Ownership;
  readonly b: Ownership;
  readonly scaling: "shared" | "own";
  readonly end: "none" | "residual" | Activation;
  readonly seed: number;
}

// Rows, columns and depths on either side of the tiles of matmul_tile.ts, with and without alignment; a list, as every
// combination compiles pipelines of its own.
const sizes = fc.constantFrom(
  { m: 25, n: 64, k: 64, r: 8, end: "gelu", lowRank: true },
  { m: 16, n: 24, k: 12, r: 3, end: "residual", lowRank: true },
  { m: 3, n: 5, k: 31, r: 8, end: "relu", lowRank: true },
  { m: 17, n: 100, k: 12, r: 4, end: "none", lowRank: true },
  { m: 25, n: 24, k: 12, r: 1, end: "gelu", lowRank: false },
  { m: 1, n: 1, k: 1, r: 1, end: "none", lowRank: true },
);
const cases: fc.Arbitrary<Case> = fc.record({
  size: sizes,
  members: fc.integer({ min: 1, max: 3 }),
  weight: fc.constantFrom<Ownership>("shared", "own"),
  bias: fc.constantFrom<Ownership>("none", "shared", "own"),
  a: fc.constantFrom<Ownership>("shared", "own"),
  b: fc.constantFrom<Ownership>("shared", "own"),
  scaling: fc.constantFrom("shared", "own"),
  seed: fc.nat(),
}).map(({ size: { lowRank, ...size }, b, ...rest }) =>
  ({ ...rest, ...size, b: lowRank ? b : "none" }) as Case
);

/** s of each member, which no power of two hides the rounding of; the first where they share one. */
const scalings = [0.75, 1.7, Math.fround(0.3)] as const;
const scalingFor = (gpu: Gpu, { scaling, members }: Pick<Case, "scaling" | "members">) =>
  scaling === "own" ? tensor(gpu, scalings.slice(0, members)) : scalings[0];

/** The layer's tensors in the order x, weight, bias, A, B, residual, those that the case has. */
function inputsOf({ members, m, n, k, r, weight, bias, a, b, end, seed }: Case): Record<string, F64Array> {
  const shaped = (own: Ownership, shape: readonly number[], at: number) =>
    random(own === "own" ? [members, ...shape] : shape, seed + at);
  return {
    x: random([members, m, k], seed),
    weight: shaped(weight, [n, k], 1),
    ...(bias !== "none" && { bias: shaped(bias, [n], 2) }),
    ...(b !== "none" && { a: shaped(a, [r, k], 3), b: shaped(b, [n, r], 4) }),
    ...(end === "residual" && { residual: random([members, m, n], seed + 5) }),
  };
}

/** Matrix `member` of a weight that is shared or a member's own. */
function own(x: F64Array, member: number, ndim = 2): F64Array {
  if (x.shape.length === ndim) return x;
  const size = x.size / x.shape[0]!;
  return F64Array.from(x.shape.slice(1), x.data.subarray(member * size, (member + 1) * size));
}

/** W + s·B·A of one member by the schoolbook. */
function effective(
  weight: F64Array,
  a: F64Array | undefined,
  { b, scaling }: { b: F64Array | undefined; scaling: number },
): F64Array {
  if (!a || !b) return weight;
  const [n, k] = weight.shape as [number, number];
  const r = a.shape[0]!;
  return F64Array.full([n, k]).map((_, at) => {
    const [i, j] = [Math.floor(at / k), at % k];
    let total = weight.data[at]!;
    for (let q = 0; q < r; q++) total += scaling * b.data[i * r + q]! * a.data[q * k + j]!;
    return total;
  });
}

/** left·right for matrices, either transposed. */
function times(left: F64Array, right: F64Array, transposeLeft = false, transposeRight = false): F64Array {
  const [m, k] = transposeLeft ? [left.shape[1]!, left.shape[0]!] : left.shape as [number, number];
  const n = transposeRight ? right.shape[0]! : right.shape[1]!;
  return F64Array.full([m, n]).map((_, at) => {
    const [i, j] = [Math.floor(at / n), at % n];
    let total = 0;
    for (let p = 0; p < k; p++) {
      total += left.data[transposeLeft ? p * m + i : i * k + p]! *
        right.data[transposeRight ? j * k + p : p * n + j]!;
    }
    return total;
  });
}

const activations = { gelu: UNARY.geluErf, relu: UNARY.relu };

/**
 * Checks result and gradients of every member. The sums have k + r terms forward, n + r and the rows backward, and a few roundings
 * around them: γ of that many times the sums of magnitudes. An error of z moves gelu by 1.13 of it at most and its
 * slope by 0.8, and relu's slope by 1 where it can change sign; the functions themselves are good to 1e-6.
 */
async function check(problem: Case): Promise<void> {
  const { members, m, n, k, r, end } = problem;
  const named = inputsOf(problem);
  const roles = Object.keys(named);
  const { y, dy, gradients } = await evaluateEverywhere(families, (gpu, tensors) => {
    const { x, weight, bias, a, b, residual } = Object.fromEntries(
      roles.map((role, i) => [role, tensors[i]]),
    );
    return linear(x!, {
      weight: weight!,
      bias,
      residual,
      ...(a && { lowRank: { a, b: b!, scaling: scalingFor(gpu, problem) } }),
      ...((end === "gelu" || end === "relu") && { activation: end }),
    });
  }, { inputs: Object.values(named), ownOrder: [roles.indexOf("bias")] });
  const sums = Object.fromEntries(roles.map((role) => [role, F64Array.full(named[role]!.shape)]));
  const bounds = Object.fromEntries(roles.map((role) => [role, F64Array.full(named[role]!.shape)]));
  const place = (into: F64Array, part: F64Array, member: number, ndim: number) => {
    const start = into.shape.length === ndim ? 0 : member * part.size;
    part.data.forEach((value, i) => into.data[start + i]! += value);
  };
  for (let member = 0; member < members; member++) {
    const part = (role: string, ndim = 2) => named[role] && own(named[role], member, ndim);
    const [x, w, bias, a, b] = [part("x")!, part("weight")!, part("bias", 1), part("a"), part("b")];
    const scaling = scalings[problem.scaling === "own" ? member : 0]!;
    const weff = effective(w, a, { b, scaling });
    const magnitude = effective(absolute(w), a && absolute(a), { b: b && absolute(b), scaling });
    const z = reference(x, weff, bias);
    const zError = reference(absolute(x), magnitude, bias && absolute(bias))
      .map((value) => gammaN(k + r + 4) * value + (k + r) * F32_MIN_NORMAL);
    const act = end === "gelu" || end === "relu" ? activations[end] : undefined;
    const residual = part("residual");
    const expected = z.map((value, i) => (act ? act.forward(value) : value) + (residual?.data[i] ?? 0));
    const yOwn = y.subarray(member * m * n, (member + 1) * m * n);
    assertClose(yOwn, expected, {
      absolute: expected.map((value, i) =>
        1.13 * zError.data[i]! + (act ? 1e-6 * Math.abs(value) : 0) + gammaN(2) * Math.abs(value) +
        gammaN(2) * Math.abs(z.data[i]!)
      ).data,
    });
    const dyOwn = own(dy, member);
    const dz = dyOwn.map((value, i) => value * (act ? act.derivative(z.data[i]!) : 1));
    const dzError = dyOwn.map((value, i) => {
      const zi = Math.abs(z.data[i]!);
      const slope = end === "relu"
        ? (zi <= zError.data[i]! ? 1 : 0)
        : end === "gelu"
        ? zError.data[i]! + 1e-6
        : 0;
      return Math.abs(value) * (slope + gammaN(2) * 1.13);
    });
    const rows = named["weight"]!.shape.length === 3 ? m : m * members;
    const gamma = gammaN(n + r + rows + k + 8);
    const exact = gradientsOf(x, { w: weff, a, b, dz, scaling });
    const size = gradientsOf(absolute(x), {
      w: magnitude,
      a: a && absolute(a),
      b: b && absolute(b),
      dz: absolute(dz),
      scaling,
    });
    const spread = gradientsOf(absolute(x), {
      w: magnitude,
      a: a && absolute(a),
      b: b && absolute(b),
      dz: dzError,
      scaling,
    });
    for (const role of roles) {
      const ndim = role === "bias" ? 1 : role === "x" || role === "residual" ? -1 : 2;
      if (role === "residual") {
        place(sums[role]!, dyOwn, member, ndim);
        continue;
      }
      place(sums[role]!, exact[role]!, member, ndim);
      place(
        bounds[role]!,
        size[role]!.map((value, i) =>
          gamma * value + spread[role]!.data[i]! + (n + r + rows) * F32_MIN_NORMAL
        ),
        member,
        ndim,
      );
    }
  }
  roles.forEach((role, i) => {
    assertClose(gradients[i]!, sums[role]!, { absolute: bounds[role]!.data });
  });
}

/** Gradients of one member by the chain rule on W + s·B·A. */
function gradientsOf(
  x: F64Array,
  { w, a, b, dz, scaling }: {
    w: F64Array;
    a: F64Array | undefined;
    b: F64Array | undefined;
    dz: F64Array;
    scaling: number;
  },
): Record<string, F64Array> {
  const zero = F64Array.full([w.shape[0]!]);
  const found = linearGradient(x, w, dz, zero);
  if (!a || !b) return { x: found.x, weight: found.weight, bias: found.bias! };
  return {
    x: found.x,
    weight: found.weight,
    bias: found.bias!,
    a: times(b, found.weight, true).map((value) => scaling * value),
    b: times(found.weight, a, false, true).map((value) => scaling * value),
  };
}

test("linear() with a low-rank term, an activation or a residual agrees with the oracle, and every family gives the same bits", async () => {
  await holds(cases, check, 40);
});

test("linear() takes weights, A and B that are shared or a member's own in every combination", async () => {
  const sides = ["shared", "own"] as const;
  for (const weight of sides) {
    for (const a of sides) {
      for (const b of sides) {
        for (const scaling of sides) {
          const size = { members: 3, m: 17, n: 24, k: 12, r: 3 };
          await check({ ...size, weight, bias: "shared", a, b, scaling, end: "none", seed: 7 });
        }
      }
    }
  }
});

test("linear() of odd rows, which are padded from 64 on each side, agrees with the oracle", async () => {
  for (const [m, n, k] of [[65, 67, 69], [67, 70, 64], [64, 64, 65]] as const) {
    for (const [end, b] of [["none", "shared"], ["gelu", "none"]] as const) {
      await check({
        members: 1,
        m,
        n,
        k,
        r: 5,
        weight: "shared",
        bias: "shared",
        a: "shared",
        b,
        scaling: "shared",
        end,
        seed: m,
      });
    }
  }
});

test("linear() with a low-rank term gives a member the same bits in a block as alone", async () => {
  await holds(cases, async (problem) => {
    const named = inputsOf({ ...problem, b: "own", a: "own", weight: "shared", bias: "shared" });
    const member = problem.seed % problem.members;
    for (const gpu of Object.values(families)) {
      const apply = (pick: (x: F64Array) => F64Array, scaling: Tensor | number) => {
        const of = (role: string) => named[role] && upload(gpu, pick(named[role]));
        return linear(of("x")!, {
          weight: upload(gpu, named["weight"]!),
          bias: of("bias"),
          lowRank: { a: of("a")!, b: of("b")!, scaling },
        });
      };
      const alone = (x: F64Array) =>
        x.shape.length === 3 ? F64Array.from([1, ...x.shape.slice(1)], own(x, member).data) : x;
      const s = problem.scaling === "own" ? scalings[member]! : scalings[0];
      const together = await run(gpu, () => apply((x) => x, scalingFor(gpu, problem)));
      const single = await run(gpu, () => apply(alone, s));
      assert.deepEqual(
        bitsOf(together.slice(member * single.length, (member + 1) * single.length)),
        bitsOf(single),
      );
    }
  }, 20);
});

test("linear() may take its input as the residual too", async () => {
  const inputs = [random([5, 6], 1), random([6, 6], 2)];
  for (const gpu of Object.values(families)) {
    const { gradients, dy } = await evaluate(
      gpu,
      (x, weight) => linear(x!, { weight: weight!, residual: x! }),
      { inputs },
    );
    const wanted = linearGradient(inputs[0]!, inputs[1]!, dy).x.map((value, i) => value + dy.data[i]!);
    assertClose(gradients[0]!, wanted, { absolute: 30 * 2 ** -23 });
  }
});

test("linear() with a weight in half precision is linear with the rounded weight, bit for bit", async () => {
  const aligned = fc.record({
    size: fc.constantFrom([25, 64, 64] as const, [3, 5, 31] as const),
    seed: fc.nat(),
  });
  await holds(aligned, async ({ size: [m, n, k], seed }) => {
    for (const gpu of Object.values(families)) {
      const results = tidy(() => {
        const x = upload(gpu, random([m, k], seed)).requireGrad();
        const half = toHalf(upload(gpu, random([n, k], seed + 1)));
        const dy = upload(gpu, random([m, n], seed + 2));
        return [half, toFloat(half)].map((weight) => {
          const y = linear(x, { weight });
          return [y.detach(), backward(sum(mul(y, dy)), [x])[0]!] as const;
        });
      });
      const [[y, dx], [expectedY, expectedDx]] = await Promise.all(
        results.map((pair) => Promise.all(pair.map((each) => each.floats()))),
      ) as [[Float32Array, Float32Array], [Float32Array, Float32Array]];
      results.flat().forEach((each) => each.dispose());
      assert.deepEqual(bitsOf(y), bitsOf(expectedY));
      assert.deepEqual(bitsOf(dx), bitsOf(expectedDx));
    }
  }, 10);
});

test("linear() without recording leaves nothing behind but its result", async () => {
  for (const gpu of Object.values(families)) {
    const before = gpu.stats().liveBytes;
    const [x, weight, a, b] = [[4, 8], [8, 8], [2, 8], [8, 2]].map((shape, i) =>
      upload(gpu, random(shape, i))
    );
    const y = noGrad(() =>
      linear(x!, { weight: weight!, lowRank: { a: a!, b: b!, scaling: 0.75 }, activation: "gelu" })
    );
    for (const each of [x!, weight!, a!, b!, y]) each.dispose();
    assert.equal(gpu.stats().liveBytes, before);
  }
});

test("linear() splits long sums of few columns on a GPU, and they stay right", async () => {
  const gpu = families["gpu"]!;
  // 1100 = 2 · 512 + 76: three parts; 513 is the first that splits.
  for (const k of [512, 513, 1100]) {
    const [x, weight, bias] = [random([5, k], 1), random([8, k], 2), random([8], 3)];
    const { y, dy, gradients } = await evaluate(
      gpu,
      (p, q, s) => linear(p!, { weight: q!, bias: s! }),
      { inputs: [x, weight, bias] },
    );
    const magnitudes = reference(absolute(x), absolute(weight), absolute(bias));
    assertClose(y, reference(x, weight, bias), {
      absolute: magnitudes.map((value) => gammaN(k + 2) * value).data,
    });
    const wanted = linearGradient(x, weight, dy, bias);
    assertClose(gradients[1]!, wanted.weight, {
      absolute: linearGradient(absolute(x), absolute(weight), absolute(dy)).weight.map((v) =>
        gammaN(8) * v
      ).data,
    });
  }
  // The gradient of a thin weight sums over rows, and zero rows at the end change no bit, whether or not they add parts.
  for (const rows of [500, 1000, 1500]) await checkThinGradient(gpu, rows);
});

async function checkThinGradient(gpu: Gpu, count: number): Promise<void> {
  const [x, dy] = [random([count, 12], 4), random([count, 3], 5)];
  const gradientOf = (rows: number) =>
    run(gpu, () => {
      const padded = (each: F64Array) =>
        F64Array.full([rows, each.shape[1]!]).map((_, i) => each.data[i] ?? 0);
      const weight = upload(gpu, random([3, 12], 6)).requireGrad();
      const y = linear(upload(gpu, padded(x)), { weight });
      return backward(sum(mul(y, upload(gpu, padded(dy)))), [weight])[0]!;
    });
  const exact = await gradientOf(count);
  const wanted = times(dy, x, true);
  const magnitude = times(absolute(dy), absolute(x), true);
  assertClose(exact, wanted, { absolute: magnitude.map((value) => gammaN(count + 1) * value).data });
  assert.deepEqual(bitsOf(await gradientOf(count + 200)), bitsOf(exact));
}

test("toHalf() rounds as published values of binary16, and toFloat() gives them back", async () => {
  const cases = [
    [0, 0],
    [-0, -0],
    [1, 1],
    [-2, -2],
    [65504, 65504],
    [65519, 65504],
    [65520, Infinity],
    [1e9, Infinity],
    [-Infinity, -Infinity],
    [NaN, NaN],
    [2 ** -14, 2 ** -14],
    [1 + 2 ** -11, 1],
    [1 + 3 * 2 ** -11, 1 + 2 ** -9],
    [1 / 3, 0.333251953125],
    [2 ** -24, 2 ** -24],
    [2 ** -25, 0],
    [1.5 * 2 ** -24, 2 ** -23],
    [0.1, 0.0999755859375],
  ] as const;
  for (const gpu of Object.values(families)) {
    const y = await run(gpu, () => toFloat(toHalf(tensor(gpu, cases.map(([value]) => value)))));
    assert.deepEqual([...y], cases.map(([, rounded]) => rounded));
  }
});

test("tensors in half precision are for weights alone: anything else names what to do", () => {
  const gpu = families["cpu"]!;
  using x = upload(gpu, random([4, 4], 1));
  using half = toHalf(x);
  assert.throws(() => mul(half, half), { name: "TypeError", message: /dtype f16 .* expected f32/ });
  assert.throws(() => slice(half, { start: 0, end: 2 }), { name: "TypeError", message: /toFloat/ });
  assert.throws(() => linear(half, { weight: x }), { name: "TypeError", message: /dtype f16/ });
  assert.throws(() => linear(x, { weight: x, residual: x, activation: "relu" }), {
    message: /no activation/,
  });
});

test("linear() refuses scalings that are not one for each member, and such as want a gradient", () => {
  const gpu = families["cpu"]!;
  using x = upload(gpu, random([3, 2, 4], 1));
  using weight = upload(gpu, random([5, 4], 2));
  using a = upload(gpu, random([2, 4], 3));
  using b = upload(gpu, random([5, 2], 4));
  const apply = (scaling: Tensor) => linear(x, { weight, lowRank: { a, b, scaling } });
  for (const shape of [[2], [4], [], [3, 1]]) {
    using scaling = tensor(gpu, new Float32Array(shape.reduce((size, each) => size * each, 1)), { shape });
    assert.throws(() => apply(scaling), {
      name: "TypeError",
      message: /and scaling \[.*\] to \[3, 2, 4\]: .* scaling a number or \[C\]/,
    });
  }
  using trained = tensor(gpu, [1, 2, 3]).requireGrad();
  assert.throws(() => apply(trained), { name: "TypeError", message: /Cannot train the scaling/ });
});

test("linear() refuses a vector of inputs where members have weights of their own", () => {
  const gpu = families["cpu"]!;
  using x = upload(gpu, random([3], 1));
  using weight = upload(gpu, random([3, 5, 3], 2));
  assert.throws(() => linear(x, { weight }), { name: "TypeError", message: /to \[3\]: expected x/ });
});
