import assert from "node:assert/strict";
import { test } from "node:test";
import { noGrad, record } from "../../src/engine/autograd.ts";
import { backward } from "../../src/engine/backward.ts";
import { add, exp, mul, relu, square } from "../../src/engine/ops/elementwise.ts";
import { layerNorm } from "../../src/engine/ops/reduction/layer_norm.ts";
import { linear } from "../../src/engine/ops/matmul/linear.ts";
import { assign } from "../../src/engine/ops/update.ts";
import { emptyPacked } from "../../src/engine/optim/packed.ts";
import { mean, sum } from "../../src/engine/ops/reduction/reduce.ts";
import { reshape } from "../../src/engine/ops/shape.ts";
import { type Tensor, tensor } from "../../src/engine/tensor.ts";
import { tidy } from "../../src/engine/tidy.ts";
import { testGpu } from "./harness.ts";

const gpu = await testGpu();
const leaf = (data: number[], shape: number[] = [data.length]) => tensor(gpu, data, { shape }).requireGrad();

/** The gradients as numbers; everything is freed, and proved to be. */
async function gradients(body: () => [Tensor, Tensor[]]): Promise<number[][]> {
  const before = gpu.stats().liveBytes;
  const found = tidy(() => backward(...body()));
  const data = [];
  for (const each of found) data.push([...await each.data()]);
  for (const each of found) each.dispose();
  assert.equal(gpu.stats().liveBytes, before, "bytes alive after backward()");
  return data;
}

test("backward() adds up over a diamond and over a leaf used twice", async () => {
  // f = Σ (x²·x + x) has the gradient 3x² + 1; both ways of the diamond meet in x².
  const diamond = await gradients(() => {
    const x = leaf([1, -2, 3]);
    const s = square(x);
    return [sum(add(mul(s, x), add(mul(s, 0), x))), [x]];
  });
  assert.deepEqual(diamond, [[4, 13, 28]]);
  // f = (2x)·(2x + 1), x = 3: 8x + 2 = 26.
  const shared = await gradients(() => {
    const x = leaf([3]);
    const h = mul(x, 2);
    return [sum(mul(h, add(h, 1))), [x]];
  });
  assert.deepEqual(shared, [[26]]);
});

test("backward() runs a node's rules once, after all its consumers", () => {
  tidy(() => {
    const x = leaf([1, 2]);
    let calls = 0;
    const h = record(mul(x.detach(), 1), [x], [(dy) => {
      calls++;
      return dy;
    }]);
    // The longer way to the loss must be done first.
    backward(sum(add(mul(mul(mul(h, 2), 2), 2), h)), [x]);
    assert.equal(calls, 1);
  });
});

test("backward() gives gradients in the order of the leaves, of an intermediate and of the loss itself", async () => {
  const found = await gradients(() => {
    const [x, y] = [leaf([2, 3]), leaf([5, 7])];
    const product = mul(x, y);
    const loss = sum(product);
    return [loss, [y, product, loss, x]];
  });
  assert.deepEqual(found, [[2, 3], [1, 1], [1], [5, 7]]);
});

test("backward() twice over one graph gives the same gradients", () => {
  tidy(() => {
    const x = leaf([1, 2]);
    const loss = sum(exp(x));
    const [first] = backward(loss, [x]);
    const [second] = backward(loss, [x]);
    assert.notEqual(first, second);
    assert.deepEqual(first!.shape, second!.shape);
  });
});

test("backward() computes nothing for a frozen weight", () => {
  const dispatches = (train: readonly ("x" | "weight" | "bias")[]) =>
    tidy(() => {
      const inputs = {
        x: tensor(gpu, new Float32Array(2 * 5 * 3), { shape: [2, 5, 3] }),
        weight: tensor(gpu, new Float32Array(12), { shape: [4, 3] }),
        bias: tensor(gpu, new Float32Array(4)),
      };
      for (const name of train) inputs[name].requireGrad();
      const loss = sum(linear(inputs.x, inputs));
      const before = gpu.stats().dispatches;
      backward(loss, train.map((name) => inputs[name]));
      return gpu.stats().dispatches - before;
    });
  // ones, and the gradient of sum spread over the result, which all of them need.
  const [x, weight, bias] = [dispatches(["x"]), dispatches(["weight"]), dispatches(["bias"])];
  assert.deepEqual([x, weight, bias], [3, 3, 3]);
  assert.equal(dispatches(["x", "weight", "bias"]), 5);
});

test("backward() computes no gradient of a trainable leaf that is not asked for", () => {
  tidy(() => {
    const [x, weight] = [leaf([1, 2], [1, 2]), leaf([1, 2, 3, 4], [2, 2])];
    const loss = sum(linear(x, { weight }));
    const count = (leaves: Tensor[]) => {
      const before = gpu.stats().dispatches;
      backward(loss, leaves);
      return gpu.stats().dispatches - before;
    };
    assert.equal(count([x]), count([x, weight]) - 1);
  });
});

test("backward() skips the whole graph below a frozen part", () => {
  tidy(() => {
    const x = tensor(gpu, new Float32Array(8), { shape: [2, 4] });
    const head = leaf([1, 2, 3, 4], [1, 4]);
    const deep = Array.from({ length: 20 }).reduce<Tensor>((h) => relu(mul(h, 2)), x);
    assert.equal(deep.node, null, "nothing is recorded where nothing is trainable");
    const loss = sum(linear(deep, { weight: head }));
    const before = gpu.stats().dispatches;
    backward(loss, [head]);
    assert.equal(gpu.stats().dispatches - before, 3);
  });
});

test("backward() into given tensors gives the same bits, whatever reads a leaf and however often", async () => {
  const build = () => {
    const [w, b, x] = [leaf([1, 2, 3, 4, 5, 6.5], [2, 3]), leaf([0.1, 0.2]), leaf([1, -2, 0.3], [1, 3])];
    const h = linear(x, { weight: w, bias: b });
    const again = add(mul(h, h), linear(square(x), { weight: w, bias: mul(b, b) }));
    return { loss: add(sum(exp(mul(again, 0.01))), mul(sum(b), 0.7)), leaves: [h, w, b, x] };
  };
  const read = (tensors: Tensor[]) => Promise.all(tensors.map((each) => each.floats()));
  const { loss, leaves } = build();
  const fresh = await read(backward(loss, leaves));
  const into = emptyPacked(gpu, leaves.map(({ shape }) => shape));
  const given = backward(loss, leaves, { into });
  assert.deepEqual(given, into);
  assert.deepEqual(await read(given), fresh);
  assert.deepEqual(
    await read(backward(loss, leaves, { into })),
    fresh,
    "what was there before doesn't count",
  );
});

test("backward() lets a rule write into the given tensor, once", async () => {
  const x = leaf([1, 2]);
  const into = [tensor(gpu, new Float32Array(2))];
  const offered: (Tensor | undefined)[] = [];
  const scaled = (by: number) =>
    record(mul(x.detach(), by), [x], [(dy, target) => {
      offered.push(target);
      if (target === undefined) return mul(dy, by);
      assign(target, mul(dy, by));
      return target;
    }]);
  const loss = sum(add(scaled(2), scaled(3)));
  const before = gpu.stats().dispatches;
  backward(loss, [x], { into });
  // ones, the gradient of sum, two products, one written to its place, one added.
  assert.equal(gpu.stats().dispatches - before, 6);
  assert.deepEqual(offered, [into[0], undefined]);
  assert.deepEqual([...await into[0]!.floats()], [5, 5]);
});

test("backward() leaves alone what a rule hands on while others still hold it", async () => {
  // Both rules of the first sum hand on one gradient; what x gets from the second must not reach y.
  const found = await gradients(() => {
    const [x, y] = [leaf([1, 2]), leaf([3, 4])];
    return [add(sum(add(x, y)), sum(mul(x, 5))), [x, y]];
  });
  assert.deepEqual(found, [[6, 6], [1, 1]]);
});

test("backward() runs a joint rule once, for the inputs that are wanted", async () => {
  const [x, y] = [leaf([1, 2]), leaf([3, 4])];
  const calls: (readonly number[])[] = [];
  const product = record(mul(x.detach(), y.detach()), [x, y], (dy, wanted) => {
    calls.push(wanted);
    return wanted.map((i) => mul(dy, [y, x][i]!));
  });
  const loss = sum(product);
  const into = [tensor(gpu, [0, 0])];
  backward(loss, [y], { into });
  const [dx, dy] = backward(loss, [x, y]);
  assert.deepEqual(calls, [[1], [0, 1]]);
  assert.deepEqual(await Promise.all([into[0]!, dx!, dy!].map(async (each) => [...await each.floats()])), [
    [1, 2],
    [3, 4],
    [1, 2],
  ]);
});

test("backward() refuses to write a gradient into another shape", () => {
  tidy(() => {
    const x = leaf([1, 2]);
    assert.throws(() => backward(sum(x), [x], { into: [tensor(gpu, [0])] }), {
      name: "TypeError",
      message: /leaf 0 of shape \[2\] into shape \[1\]/,
    });
  });
});

test("noGrad() and detach() record nothing, and recording resumes after an error", () => {
  tidy(() => {
    const x = leaf([1]);
    assert.equal(noGrad(() => mul(x, 2)).node, null);
    assert.equal(mul(x.detach(), 2).node, null);
    assert.throws(() =>
      noGrad(() => {
        throw new Error("broken");
      })
    );
    assert.notEqual(mul(x, 2).node, null);
  });
});

test("backward() refuses a loss that isn't a scalar and leaves it does not depend on", () => {
  tidy(() => {
    const [x, other, plain] = [leaf([1, 2]), leaf([1]), tensor(gpu, [1, 2])];
    assert.throws(() => backward(mul(x, 2), [x]), {
      name: "TypeError",
      message: /from shape \[2\]: expected a scalar/,
    });
    assert.throws(() => backward(sum(x), [x, other]), {
      name: "TypeError",
      message: /gradient of leaf 1 of shape \[1\]/,
    });
    assert.throws(() => backward(sum(mul(plain, plain)), [plain]), {
      name: "TypeError",
      message: /leaf 0 of shape \[2\].*requireGrad/,
    });
  });
});

test("backward() sums what a rule gives over the axes along which its input was broadcast", async () => {
  const dy = Float32Array.from({ length: 24 }, (_, i) => i);
  // Sums of 0 … 23 as [2, 3, 4], by hand.
  const cases: [number[], number[]][] = [
    [[], [276]],
    [[4], [60, 66, 72, 78]],
    [[3, 1], [60, 92, 124]],
    [[2, 1, 1], [66, 210]],
    [[2, 3, 4], [...dy]],
  ];
  for (const [shape, expected] of cases) {
    const [found] = await gradients(() => {
      const x = leaf(new Array(expected.length).fill(1), shape);
      const upstream = tensor(gpu, dy, { shape: [2, 3, 4] });
      const y = record(tensor(gpu, [1]), [x], [() => upstream]);
      return [sum(y), [x]];
    });
    assert.deepEqual(found, expected, `${shape}`);
  }
});

test("backward() refuses a rule that gives another shape", () => {
  tidy(() => {
    const x = leaf([1, 2]);
    const y = record(reshape(x.detach(), [2, 1]), [x], [(dy) => dy]);
    assert.throws(() => backward(sum(y), [x]), {
      name: "TypeError",
      message: /the gradient of shape \[2, 1\] that a rule returned for an input of shape \[2\]/,
    });
  });
});

test("backward() frees everything when a rule throws", () => {
  const before = gpu.stats().liveBytes;
  tidy(() => {
    const x = leaf([1, 2]);
    const y = record(mul(x.detach(), 2), [x], [() => {
      throw new Error("broken rule");
    }]);
    assert.throws(() => backward(sum(exp(y)), [x]), /broken rule/);
  });
  assert.equal(gpu.stats().liveBytes, before);
});

test("backward() goes through a chain of thousands of operations", async () => {
  const found = await gradients(() => {
    const x = leaf([1]);
    let h: Tensor = x;
    for (let i = 0; i < 5000; i++) h = add(h, 1);
    return [sum(h), [x]];
  });
  assert.deepEqual(found, [[1]]);
});

test("backward() of a sum of clients' means keeps each client's gradient its own", async () => {
  // Two clients with weights [2, 1, 2]; the loss of client 1 is not finite, client 0 must not see it.
  const found = await gradients(() => {
    const weight = leaf([1, 1, 2, 3], [2, 1, 2]);
    const x = tensor(gpu, [1, 2, 3, 4, Infinity, 1, 1, 1], { shape: [2, 2, 2] });
    return [sum(mean(linear(x, { weight }), { axes: [1, 2] })), [weight]];
  });
  assert.deepEqual(found[0]!.slice(0, 2), [2, 3]);
});

test("backward() through layerNorm() of a frozen layer needs no parameter gradients", () => {
  tidy(() => {
    const x = leaf([1, 2, 3, 4], [2, 2]);
    const frozen = { weight: tensor(gpu, [1, 1]), bias: tensor(gpu, [0, 0]) };
    const loss = sum(layerNorm(x, frozen));
    const before = gpu.stats().dispatches;
    backward(loss, [x]);
    assert.equal(gpu.stats().dispatches - before, 3);
  });
});
