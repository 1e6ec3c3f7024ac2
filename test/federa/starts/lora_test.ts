import assert from "node:assert/strict";
import { test } from "node:test";
import { zeros } from "../../../src/engine/mod.ts";
import { adaptersOf, attachAdapters, lora } from "../../../src/federa/mod.ts";
import { bitsOf, testGpu } from "../../engine/harness.ts";
import { linearStack } from "../../support/linear_stack.ts";

const gpu = await testGpu();

async function factorsOf({ seed, name }: { seed: number; name: string }) {
  const weight = zeros(gpu, [5, 7]);
  const [factors] = await lora([weight], { rank: 3, scaling: 1, seed, names: [name] });
  return bitsOf(await factors!.loraA.floats());
}

test("lora() draws A uniformly from ±1/√in and leaves B zero and the weight alone", async () => {
  const [out, width, rank] = [11, 100, 50];
  const weight = zeros(gpu, [out, width]);
  const [factors] = await lora([weight], { rank, scaling: 2, seed: 1, names: ["x"] });
  const { loraA, loraB, weight: frozen, initial } = factors!;
  const a = await loraA.floats();
  const n = a.length;
  const bound = 1 / Math.sqrt(width);
  assert.deepEqual(loraA.shape, [rank, width]);
  assert.ok(a.every((value) => Math.abs(value) <= bound));
  // Moments of a uniform variable on ±b: variance b²/3, fourth moment b⁴/5. Five standard errors of each estimate.
  const mean = a.reduce((total, value) => total + value, 0) / n;
  const variance = a.reduce((total, value) => total + value * value, 0) / n;
  assert.ok(Math.abs(mean) <= 5 * bound / Math.sqrt(3 * n), `mean ${mean}`);
  assert.ok(
    Math.abs(variance - bound ** 2 / 3) <= 5 * bound ** 2 * Math.sqrt((1 / 5 - 1 / 9) / n),
    `variance ${variance}`,
  );
  // The largest of n uniform |a| is below (1 − 20/n)·b with probability e⁻²⁰.
  assert.ok(Math.max(...a.map(Math.abs)) > (1 - 20 / n) * bound);
  assert.deepEqual(loraB.shape, [out, rank]);
  assert.ok((await loraB.floats()).every((value) => value === 0));
  assert.ok(frozen === weight);
  assert.equal(initial, undefined);
});

test("lora() draws by seed and layer name", async () => {
  const draw = await factorsOf({ seed: 1, name: "a" });
  assert.deepEqual(await factorsOf({ seed: 1, name: "a" }), draw);
  assert.notDeepEqual(await factorsOf({ seed: 2, name: "a" }), draw);
  assert.notDeepEqual(await factorsOf({ seed: 1, name: "b" }), draw);
});

test("lora() gives a layer the same factors whichever others are adapted", async () => {
  const model = linearStack(gpu, [6, 5, 5, 5], 1);
  const options = { rank: 2, alpha: 2, initialization: lora, seed: 3 };
  const all = adaptersOf(await attachAdapters(model, { ...options, targets: ["**"] }));
  const one = adaptersOf(await attachAdapters(model, { ...options, targets: ["layers.1"] }));
  const [a, b] = [all.get("layers.1")!, one.get("layers.1")!];
  assert.deepEqual(await a.loraA.floats(), await b.loraA.floats());
  assert.notDeepEqual(await a.loraA.floats(), await all.get("head")!.loraA.floats());
});
