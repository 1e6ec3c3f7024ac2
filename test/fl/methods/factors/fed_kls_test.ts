import assert from "node:assert/strict";
import { test } from "node:test";
import { fedKls, simulate } from "../../../../src/fl/mod.ts";
import { labelDivergences } from "../../../../src/fl/simulation/label_divergence.ts";
import { testGpu } from "../../../engine/harness.ts";
import { DrivenMethod } from "../../../support/driven_method.ts";
import { diagonalClassifier, tinyTask } from "../../../support/tiny_encoder.ts";

const gpu = await testGpu();
const layer = "encoder.inner";

const pretrained = () => diagonalClassifier(gpu);

const method = () => fedKls({ targets: [layer], rank: 1, alpha: 1, parts: 2, svd: "exact" });
const firstTask = tinyTask({ size: 8, length: 4, seed: 1, classes: 2 });

test("labelDivergences() is KL to the shares of all, as a share of ln(classes)", () => {
  const { targets } = firstTask;
  const of = (label: number) => [...targets.keys()].filter((row) => targets[row] === label);
  const [zeros, ones] = [of(0), of(1)];
  assert.ok(zeros.length >= 3 && ones.length >= 3);
  const [a, b] = [zeros.slice(0, 3), ones.slice(0, 3)];
  // p = (½, ½): one class has ln 2 of ln 2.
  assert.deepEqual(labelDivergences(firstTask, [a, b]), [1, 1]);
  assert.deepEqual(labelDivergences(firstTask, [[a[0]!, b[0]!], [a[1]!, b[1]!]]), [0, 0]);
  assert.deepEqual(labelDivergences(firstTask, [a.slice(0, 1), a.slice(1)]), [0, 0]);
  // p = (¾, ¼): q = (1, 0) has ln(4/3)/ln 2 = 0.41504, q = (½, ½) has (½·ln(⅔) + ½·ln 2)/ln 2 = 0.20752.
  const found = labelDivergences(firstTask, [a.slice(0, 2), [a[2]!, b[0]!]]);
  found.forEach((value, k) => assert.ok(Math.abs(value - [0.4150375, 0.2075187]![k]!) < 1e-6, String(value)));
  const numbers = { ...firstTask, targets: new Float32Array(targets.length) };
  assert.throws(() => labelDivergences(numbers, [[0]]), {
    name: "TypeError",
    message: /predicts numbers, expected one with classes/,
  });
});

test("fedKls averages each part over the clients whose labels chose it", async () => {
  const driven = await DrivenMethod.start(method(), pretrained());
  const head = new Map(
    [...driven.shared].filter(([name]) => name.startsWith("head.")).map(([name, { size }]) =>
      [name, new Array<number>(size).fill(1)] as const
    ),
  );
  const of = (a: number[], b: number[]) => new Map([...head, [`${layer}.loraA`, a], [`${layer}.loraB`, b]]);
  // Rows of A and columns of B are the parts: √4 and √1 at the start, at most in sign.
  const uploads = [
    of([3, 3, 9, 9], [1, 9, 2, 9]),
    of([5, 7, 9, 9], [3, 9, 4, 9]),
    of([9, 9, 6, 8], [9, 5, 9, 7]),
  ];
  const values = async (name: string) => [...await driven.shared.get(name)!.floats()];
  const shares = [0.5, 0.25, 0.25];
  await driven.aggregate(uploads, { shares, divergences: [0, 0.49, 0.5], blockSize: 2 });
  // Part 0: ⅔ of client 0 and ⅓ of client 1; part 1: client 2's.
  const near = (found: number[], wanted: number[]) =>
    found.forEach((value, i) => assert.ok(Math.abs(value - wanted[i]!) < 1e-6, `${found}`));
  near(await values(`${layer}.loraA`), [11 / 3, 13 / 3, 6, 8]);
  near(await values(`${layer}.loraB`), [5 / 3, 5, 8 / 3, 7]);
  // Nobody has part 1 now: it stays.
  await driven.aggregate(uploads, { shares, divergences: [0, 0, 0] });
  near(await values(`${layer}.loraA`), [1.5 + 1.25 + 2.25, 1.5 + 1.75 + 2.25, 6, 8]);
  near(await values(`${layer}.loraB`), [0.5 + 0.75 + 2.25, 5, 1 + 1 + 2.25, 7]);
});

test("fedKls trains and sends a client's own part alone, whatever the weight decay", async () => {
  const base = pretrained();
  const balanced = [[0, 1, 2, 3, 4, 5, 6, 7]];
  const factors = new Map<string, number[][]>();
  let bytesUp: number | undefined;
  const events = simulate(base, {
    method: method(),
    train: firstTask,
    test: firstTask,
    clients: balanced,
    rounds: 1,
    blockSize: 1,
    work: { steps: 3 },
    batchSize: 4,
    optimizer: { name: "adamw", weightDecay: 0.1 },
    learningRate: 0.1,
    evaluateEvery: 0,
    seed: 1,
  });
  for await (const event of events) {
    if (event.type === "round") bytesUp = event.report.bytesUp;
    if (event.type !== "initialized" && event.type !== "finished") continue;
    for (const [name, each] of event.model.namedParameters()) {
      if (/lora[AB]$/.test(name)) factors.set(name, [...factors.get(name) ?? [], [...await each.floats()]]);
    }
  }
  const [a, nextA] = factors.get(`${layer}.loraA`)!;
  assert.deepEqual(nextA!.slice(2), a!.slice(2));
  assert.notDeepEqual(nextA!.slice(0, 2), a!.slice(0, 2));
  const [b, nextB] = factors.get(`${layer}.loraB`)!;
  assert.deepEqual([nextB![1], nextB![3]], [b![1], b![3]]);
  assert.notEqual(nextB![0], b![0]);
  // One part is 1·(2 + 2) values and the head 2·2 + 2, 4 bytes each, and the payload's header.
  assert.ok(bytesUp! > 40 && bytesUp! < 40 + 512, String(bytesUp));
});

test("fedKls refuses parts that don't fit, and tasks without classes", async () => {
  const large = fedKls({ targets: [layer], rank: 1, parts: 3 });
  assert.throws(() => large.check(pretrained()), {
    name: "RangeError",
    message: /^Cannot take 3 parts of rank 1, which are rank 3 together: .*; lower parts or rank$/,
  });
  const driven = await DrivenMethod.start(method(), pretrained());
  const local = driven.plan.local!;
  assert.throws(
    () =>
      local.correct!(
        driven.shared,
        driven.shared,
        { clients: [{ id: 0, numExamples: 1, lastRound: 0 }] } as never,
      ),
    /how its labels diverge isn't known/,
  );
});
