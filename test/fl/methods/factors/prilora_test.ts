import assert from "node:assert/strict";
import { test } from "node:test";
import { disposeAll, mul, noGrad, type Tensor, tensor, tidy, zeros } from "../../../../src/engine/mod.ts";
import { adaptersOf, PriloraLinear } from "../../../../src/federa/mod.ts";
import type { Local } from "../../../../src/fl/mod.ts";
import { priLora, ranksByDepth } from "../../../../src/fl/methods/factors/prilora.ts";
import { evaluate, testGpu, upload } from "../../../engine/harness.ts";
import { F64Array } from "../../../reference/array.ts";
import { linearStack } from "../../../support/linear_stack.ts";
import { gaussian } from "../../../support/matrices.ts";
import { Random } from "../../../support/random.ts";
import { tinyClassifier } from "../../../support/tiny_encoder.ts";
import type { TaskModel } from "../../../../src/tasks/mod.ts";

const gpu = await testGpu();

test("ranksByDepth() grow linearly with r as their mean: 4 to 12 over six layers for 8", () => {
  const stack = linearStack(gpu, [16, 16, 16, 16, 16, 16, 16, 2], 1);
  const ranks = ranksByDepth(stack as unknown as TaskModel, { rank: 8, targets: ["layers.*"] }, 0.5);
  // 4 + 8·l/5; `layers.0` has no number between dots, so that order counts.
  assert.deepEqual(Object.values(ranks), [4, 6, 7, 9, 10, 12]);
  assert.deepEqual(
    Object.values(ranksByDepth(stack as unknown as TaskModel, { rank: 8, targets: ["layers.*"] }, 0)),
    [
      8,
      8,
      8,
      8,
      8,
      8,
    ],
  );
});

test("PriloraLinear tells each client's ‖x_j‖ of the rows that matter, in place of a gradient of its own", async () => {
  const random = new Random(1);
  const draw = (shape: number[]) => F64Array.fromF32(shape, gaussian(shape, random).data);
  const [clients, rows, out, width, rank] = [2, 5, 3, 4, 2];
  const x = draw([clients, rows, width]);
  const [w, a, b] = [draw([out, width]), draw([clients, rank, width]), draw([clients, out, rank])];
  const options = { weight: upload(gpu, w), bias: undefined, scaling: 1 };
  // Rows 3 and 4 of the first client take no part in the loss.
  const mask = F64Array.from([clients, rows, 1], [1, 1, 1, 0, 0, 1, 1, 1, 1, 1]);
  const used = upload(gpu, mask);
  const { gradients } = await evaluate(
    gpu,
    (x, loraA, loraB, inputNorms) => {
      const y = new PriloraLinear({ ...options, loraA: loraA!, loraB: loraB!, inputNorms: inputNorms! })
        .forward(x!);
      return mul(y, used);
    },
    { inputs: [x, a, b, F64Array.from([clients, width], new Float64Array(clients * width))], seed: 1 },
  );
  for (let c = 0; c < clients; c++) {
    for (let j = 0; j < width; j++) {
      let squares = 0;
      for (let i = 0; i < rows; i++) {
        squares += mask.data[c * rows + i]! * x.data[(c * rows + i) * width + j]! ** 2;
      }
      // Squares, a sum of five and a root.
      assert.ok(Math.abs(gradients[3]![c * width + j]! / Math.sqrt(squares) - 1) <= 1e-6);
    }
  }
});

test("priLora sets the entries of A to zero whose |A_ij|·‖x_j‖ is smallest in their row, of clients that still train", async () => {
  const pretrained = tinyClassifier(gpu, { width: 4, inner: 4, classes: 2 });
  const method = priLora({ targets: ["encoder.inner"], rank: 1, spread: 0, pruneEvery: 2, decay: 0.5 });
  const { model, state } = await method.init(pretrained, { seed: 1, numClients: 2 });
  const rule = method.plan(state, 1).local!;
  const [a, norms] = ["encoder.inner.loraA", "encoder.inner.inputNorms"] as const;
  const values = new Map([[a, tensor(gpu, [1, 2, 3, 4, 1, 2, 3, 4], { shape: [2, 1, 4] })]]);
  const sums = new Map([[norms, zeros(gpu, [2, 4])]]);
  const step = async (step: number, observed: number[]) => {
    const gradients = new Map([[norms, tensor(gpu, observed, { shape: [2, 4] })]]);
    const local = { sums, step, steps: [2, 1] } as unknown as Local;
    noGrad(() => tidy(() => rule.correct!(gradients, values, local)));
    return [await host(values.get(a)!), await host(gradients.get(norms)!)];
  };
  const same = [8, 0, 2, 0];
  assert.deepEqual(await step(1, [...same, ...same]), [
    [1, 2, 3, 4, 1, 2, 3, 4],
    new Array<number>(8).fill(0),
  ]);
  assert.deepEqual(await host(sums.get(norms)!), [4, 0, 1, 0, 4, 0, 1, 0]);
  // The average is (2, 1, ½, 2): |A|·it is (2, 2, 1½, 8). The second client has done its steps.
  assert.deepEqual((await step(2, [0, 2, 0, 4, 0, 2, 0, 4]))[0], [1, 0, 0, 4, 1, 2, 3, 4]);
  const sent = rule.finish!(
    new Map([[a, values.get(a)!], [norms, zeros(gpu, [2, 4])]]),
    { sums } as unknown as Local,
  );
  assert.deepEqual([...sent.upload.keys()], [a]);
  assert.equal(adaptersOf(model).size, 0);
  disposeAll([...values.values(), ...sums.values()]);
});

async function host(x: Tensor): Promise<number[]> {
  return Array.from(await x.floats());
}
