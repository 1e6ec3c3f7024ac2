import assert from "node:assert/strict";
import { test } from "node:test";
import { noGrad } from "../../src/engine/autograd.ts";
import { backward } from "../../src/engine/backward.ts";
import { gelu, mul } from "../../src/engine/ops/elementwise.ts";
import { linear, type LowRankTerm } from "../../src/engine/ops/matmul/linear.ts";
import { layerNorm } from "../../src/engine/ops/reduction/layer_norm.ts";
import { sum } from "../../src/engine/ops/reduction/reduce.ts";
import { reshape } from "../../src/engine/ops/shape.ts";
import type { Tensor } from "../../src/engine/tensor.ts";
import { tidy } from "../../src/engine/tidy.ts";
import { gaussian } from "../support/matrices.ts";
import { Random } from "../support/random.ts";
import { testGpu, upload } from "./harness.ts";

const gpu = await testGpu();
const random = new Random(1);
const draw = (...shape: number[]) => upload(gpu, gaussian(shape, random));
const [x, up, down, gamma, beta] = [draw(2, 5, 8), draw(12, 8), draw(8, 12), draw(8), draw(8)];

interface Trained {
  readonly gradients: readonly Tensor[];
  /** Whether the normalised states and the inner ones were freed before the backward pass. */
  readonly freed: readonly boolean[];
}

/** The gradients of a normalisation and a feed-forward part, as of a BERT, by their input and what else is trained. */
function train(
  options: { readonly forgets: boolean; readonly lowRank?: LowRankTerm; readonly trained?: Tensor[] },
): Trained {
  const { forgets, lowRank, trained = [] } = options;
  return tidy(() => {
    const leaf = x.detach().requireGrad();
    const normal = layerNorm(leaf, { weight: gamma, bias: beta });
    const inner = linear(normal, { weight: up, activation: "gelu" });
    const output = linear(inner, { weight: down, residual: normal, lowRank });
    if (forgets) { for (const each of [normal, inner]) each.forget(); }
    const freed = [normal, inner].map(({ disposed }) => disposed);
    return { gradients: backward(sum(mul(output, output)), [leaf, ...trained]), freed };
  });
}

async function assertSame(forgetting: Trained, keeping: Trained): Promise<void> {
  for (const [i, gradient] of forgetting.gradients.entries()) {
    assert.deepEqual(await gradient.floats(), await keeping.gradients[i]!.floats());
  }
}

test("Tensor.forget() frees results that no gradient rule reads, and gradients keep every bit", async () => {
  const forgetting = train({ forgets: true });
  assert.deepEqual(forgetting.freed, [true, true]);
  await assertSame(forgetting, train({ forgets: false }));
});

test("Tensor.forget() keeps what the gradient of an adapter reads", async () => {
  const [a, b] = [draw(2, 2, 12).requireGrad(), draw(2, 8, 2).requireGrad()];
  const adapted = { lowRank: { a, b, scaling: 2 }, trained: [a, b] };
  const forgetting = train({ forgets: true, ...adapted });
  assert.deepEqual(forgetting.freed, [true, false]);
  await assertSame(forgetting, train({ forgets: false, ...adapted }));
});

test("Tensor.forget() keeps what the gradient of a trained weight reads", () => {
  const weight = draw(3, 8).requireGrad();
  tidy(() => {
    const states = mul(x, 2);
    linear(states, { weight });
    states.forget();
    assert.ok(!states.disposed);
  });
});

test("Tensor.forget() keeps inputs and results of operations that don't say what their rules read", () => {
  tidy(() => {
    const states = linear(x.detach().requireGrad(), { weight: up });
    const active = gelu(states);
    for (const each of [states, active]) each.forget();
    assert.deepEqual([states.disposed, active.disposed], [false, false]);
  });
});

test("Tensor.forget() frees any result where no gradient is recorded, but not what others view", () => {
  const before = gpu.stats().liveBytes;
  noGrad(() =>
    tidy(() => {
      const states = mul(x, 2);
      const view = reshape(states, [10, 8]);
      const held = gpu.stats().liveBytes;
      states.forget();
      assert.ok(states.disposed && !view.disposed);
      assert.equal(gpu.stats().liveBytes, held);
      view.forget();
      assert.equal(gpu.stats().liveBytes, before);
    })
  );
});
