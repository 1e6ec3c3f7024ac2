import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tensor, tidy } from "../../../src/engine/mod.ts";
import { attachPst, merge, PstLinear, pstParameters } from "../../../src/federa/mod.ts";
import { evaluate, holds, testGpu, upload } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { matmul } from "../../reference/matmul.ts";
import { checkAdapterFile } from "../../support/adapter_file.ts";
import { relativeError } from "../../support/compare.ts";
import { linearStack } from "../../support/linear_stack.ts";
import { gaussian } from "../../support/matrices.ts";
import { Random } from "../../support/random.ts";

const gpu = await testGpu();

type Part = "u" | "v" | "a" | "b" | "r" | "c";

/** W + β·U·V, its mask and the importance of one client, in float64, and the gap between what stays and what goes. */
function pruned(w: F64Array, parts: Readonly<Record<Part, F64Array>>, beta: number, kept: number) {
  const width = w.shape[1]!;
  const change = matmul(parts.u, parts.v);
  const low = matmul(parts.b, parts.a);
  const changed = w.map((value, i) => value + beta * change.data[i]!);
  const scores = changed.map((value, i) =>
    Math.abs(value) + low.data[i]! + parts.r.data[Math.floor(i / width)]! + parts.c.data[i % width]!
  );
  const order = [...scores.data.keys()].sort((i, j) => scores.data[j]! - scores.data[i]! || i - j);
  const stays = new Set(order.slice(0, kept));
  const gap = kept < order.length ? scores.data[order[kept - 1]!]! - scores.data[order[kept]!]! : 1;
  return { changed, mask: w.map((_, i) => stays.has(i) ? 1 : 0), gap };
}

const part = (x: F64Array, k: number) => {
  const size = x.data.length / x.shape[0]!;
  return F64Array.from(x.shape.slice(1), x.data.subarray(k * size, (k + 1) * size));
};

// Sums of at most 31 products of numbers of some size 1 to 10: 31·2⁻²⁴·10 = 2e-5 of the largest at the worst.
test("PstLinear.forward() is x·((W + β·U·V) ⊙ M)ᵀ + b of each client, and gradients go through the mask as the scores'", async () => {
  const cases = fc.record({
    clients: fc.integer({ min: 1, max: 3 }),
    rows: fc.constantFrom(1, 2, 5),
    out: fc.constantFrom(1, 3, 8, 17),
    width: fc.constantFrom(1, 2, 7, 31),
    rank: fc.integer({ min: 1, max: 3 }),
    share: fc.constantFrom(0.01, 0.3, 0.5, 0.9, 1),
    beta: fc.constantFrom(0.25, 1, 2),
    seed: fc.nat(),
  });
  await holds(cases, async ({ clients, rows, out, width, rank, share, beta, seed }) => {
    const random = new Random(seed);
    const draw = (...shape: number[]) => F64Array.fromF32(shape, gaussian(shape, random).data);
    const [w, bias, x] = [draw(out, width), draw(out), draw(clients, rows, width)];
    const all: Record<Part, F64Array> = {
      u: draw(clients, out, rank),
      v: draw(clients, rank, width),
      a: draw(clients, rank, width),
      b: draw(clients, out, rank),
      r: draw(clients, out),
      c: draw(clients, width),
    };
    const kept = Math.max(1, Math.round(share * out * width));
    const own = (k: number) =>
      Object.fromEntries(Object.entries(all).map(([name, each]) => [name, part(each, k)])) as typeof all;
    // Another choice among all but equal scores would be right too.
    fc.pre(
      Array.from({ length: clients }, (_, k) => pruned(w, own(k), beta, kept).gap).every((gap) => gap > 1e-4),
    );
    const found = await evaluate(gpu, (x, u, v, a, b, r, c) =>
      new PstLinear({
        weight: upload(gpu, w),
        bias: upload(gpu, bias),
        changeB: u,
        changeA: v,
        scoreA: a,
        scoreB: b,
        rowScore: r,
        columnScore: c,
        scaling: beta,
        kept,
      }).forward(x), { inputs: [x, all.u, all.v, all.a, all.b, all.r, all.c], seed });
    for (let k = 0; k < clients; k++) {
      const parts = own(k);
      const { changed, mask } = pruned(w, parts, beta, kept);
      const [xk, dy] = [part(x, k), part(found.dy, k)];
      const effective = changed.map((value, i) => value * mask.data[i]!);
      const y = matmul(xk, effective, { layout: "NT" }).map((value, i) => value + bias.data[i % out]!);
      const g = matmul(dy, xk, { layout: "TN" });
      const dScores = g.map((value, i) => value * changed.data[i]!);
      const dChanged = g.map((value, i) =>
        value * mask.data[i]! + Math.sign(changed.data[i]!) * dScores.data[i]!
      );
      const sums = (of: (i: number) => number, size: number) => {
        const total = new Float64Array(size);
        dScores.data.forEach((value, i) => total[of(i)]! += value);
        return F64Array.from([size], total);
      };
      const wanted = [
        matmul(dy, effective),
        matmul(dChanged, parts.v, { layout: "NT" }).map((value) => beta * value),
        matmul(parts.u, dChanged, { layout: "TN" }).map((value) => beta * value),
        matmul(parts.b, dScores, { layout: "TN" }),
        matmul(dScores, parts.a, { layout: "NT" }),
        sums((i) => Math.floor(i / width), out),
        sums((i) => i % width, width),
      ];
      const of = (values: Float32Array) =>
        values.subarray(k * values.length / clients, (k + 1) * values.length / clients);
      assert.ok(relativeError(of(found.y), y.data) <= 1e-4, "outputs");
      wanted.forEach((each, i) =>
        assert.ok(relativeError(of(found.gradients[i]!), each.data) <= 1e-4, `gradient of ${"xuvabrc"[i]}`)
      );
    }
  }, 20);
});

test("PstLinear keeps exactly as many entries as it's told, of equal scores the first, whatever their signs", async () => {
  const zero = (...shape: number[]) =>
    tensor(gpu, new Float32Array(shape.reduce((a, b) => a * b)), { shape });
  const of = (weight: number[], rows: number[], kept: number) =>
    new PstLinear({
      weight: tensor(gpu, weight, { shape: [2, 3] }),
      bias: undefined,
      changeA: zero(1, 3),
      changeB: zero(2, 1),
      scoreA: zero(1, 3),
      scoreB: zero(2, 1),
      rowScore: tensor(gpu, rows),
      columnScore: zero(3),
      scaling: 1,
      kept,
    });
  const effective = async (layer: PstLinear) => {
    using weight = tidy(() => layer.effectiveWeight());
    return [...await weight.floats()].map((value) => value + 0);
  };
  assert.deepEqual(await effective(of([3, -5, 1, 2, -2, 4], [0, 0], 3)), [3, -5, 0, 0, 0, 4]);
  // Rows' scores of −10 and −20 leave the first row the better one.
  assert.deepEqual(await effective(of([3, -5, 1, 2, -2, 4], [-10, -20], 3)), [3, -5, 1, 0, 0, 0]);
  assert.deepEqual(await effective(of([2, 2, 2, 2, 2, 2], [0, 0], 2)), [2, 2, 0, 0, 0, 0]);
  assert.deepEqual(await effective(of([2, 2, 2, 2, 2, 2], [0, 0], 6)), [2, 2, 2, 2, 2, 2]);
});

test("attachPst() has 2·r·(out + in) + out + in parameters a layer, and starts by magnitude", async () => {
  const pretrained = linearStack(gpu, [5, 4, 3], 1);
  const model = attachPst(pretrained, { targets: ["**"], rank: 2, scaling: 1, sparsity: 0.5 });
  const names = pstParameters(model);
  let size = 0;
  for (const [name, each] of model.namedParameters()) if (names.has(name)) size += each.size;
  assert.equal(size, 2 * 2 * (5 + 4) + 5 + 4 + 2 * 2 * (4 + 3) + 4 + 3);
  const before = new Map(pretrained.namedParameters());
  for (const [name, module] of model.namedModules()) {
    if (!(module instanceof PstLinear)) continue;
    const w = [...await before.get(`${name}.weight`)!.floats()];
    const kept = [...w.keys()].sort((i, j) => Math.abs(w[j]!) - Math.abs(w[i]!)).slice(
      0,
      Math.round(w.length / 2),
    );
    using effective = tidy(() => module.effectiveWeight());
    assert.deepEqual(
      [...await effective.floats()].map((value) => value + 0),
      w.map((value, i) => kept.includes(i) ? value : 0),
    );
  }
  await checkAdapterFile(model, pretrained);
  const merged = merge(model);
  assert.ok([...merged.namedModules()].every(([, module]) => !(module instanceof PstLinear)));
  assert.throws(() => attachPst(pretrained, { targets: ["**"], rank: 4, scaling: 1, sparsity: 0.5 }), {
    name: "RangeError",
    message: /of shape \[3, 4\] by factors of rank 4: expected an integer from 1 to 3/,
  });
});
