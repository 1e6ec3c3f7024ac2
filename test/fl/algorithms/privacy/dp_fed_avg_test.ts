import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { tensor, tidy } from "../../../../src/engine/mod.ts";
import { type Client, dpFedAvg, type Method, type Tensors } from "../../../../src/fl/mod.ts";
import { holds, testGpu } from "../../../engine/harness.ts";
import { type ClientUpload, DrivenMethod } from "../../../support/driven_method.ts";
import { methodOn } from "../../../support/methods.ts";
import { Random } from "../../../support/random.ts";
import { tinyClassifier } from "../../../support/tiny_encoder.ts";

const gpu = await testGpu();
const pretrained = tinyClassifier(gpu, { width: 7, inner: 5, seed: 7 });
const make = (name: string): Method =>
  methodOn(name, { targets: ["encoder.inner", "encoder.outer"], rank: 2, alpha: 2, svd: "exact" });
/** Of 40 clients each is asked with probability 0.1: 4 on average. */
const context = { sampling: { kind: "poisson", rate: 0.1 }, rounds: 100 } as const;
type Options = Parameters<typeof dpFedAvg>[1];

function start(options: Options, method = make("fedit")): Promise<DrivenMethod> {
  return DrivenMethod.start(dpFedAvg(method, options), pretrained, 40, context);
}

/** Values of what is shared, in one list. */
async function flat(driven: DrivenMethod): Promise<number[]> {
  return (await Promise.all([...driven.shared.values()].map(async (each) => [...await each.floats()])))
    .flat();
}

/** Uploads of clients whose changes are given by the place in the list of all values. */
async function moved(
  driven: DrivenMethod,
  changes: readonly ((i: number) => number)[],
): Promise<ClientUpload[]> {
  const values = new Map(
    await Promise.all([...driven.shared].map(async ([name, each]) => [name, await each.floats()] as const)),
  );
  return changes.map((change) => {
    let i = 0;
    return new Map([...values].map(([name, each]) => [name, each.map((value) => value + change(i++))]));
  });
}

const shares = (count: number) => new Array<number>(count).fill(1 / count);

test("dpFedAvg() adds up clipped changes, one norm over all of a client's, and divides by the expected cohort whoever came", async () => {
  for (const cohort of [2, 3]) {
    const driven = await start({ clipNorm: 10, noiseMultiplier: 1e-7 });
    const before = await flat(driven);
    // Of length 5, and of length 20 in two tensors: the last is the head's bias.
    const last = before.length - 1;
    const clients = await moved(driven, [
      (i) => i === 0 ? 3 : i === 1 ? 4 : 0,
      (i) => i === 0 ? 12 : i === last ? 16 : 0,
    ]);
    await driven.aggregate(clients, { shares: shares(cohort).slice(0, 2), cohort });
    const after = await flat(driven);
    // 20 is clipped to 10·(1 − 2⁻¹²); 4 are expected. Noise has a deviation of 1e-6/4; values of up to 1 round by 6e-8.
    const safe = 1 - 2 ** -12;
    const wanted = before.map((x, i) =>
      x + (i === 0 ? 3 + 6 * safe : i === 1 ? 4 : i === last ? 8 * safe : 0) / 4
    );
    after.forEach((value, i) =>
      assert.ok(Math.abs(value - wanted[i]!) < 3e-6, `${i}: ${value}, ${wanted[i]}`)
    );
  }
});

test("dpFedAvg() lets no client change the sum by more than the clip norm, however long its change is, and leaves short ones alone", async () => {
  const driven = await start({ clipNorm: 0.5, noiseMultiplier: 1 });
  const { plan, shared } = driven;
  const cases = fc.record({
    members: fc.integer({ min: 1, max: 3 }),
    scale: fc.constantFrom(0, 1e-30, 1e-6, 0.01, 1, 1e3, 1e30),
    spread: fc.constantFrom("even", "one", "random"),
    seed: fc.nat(),
  });
  await holds(cases, async ({ members, scale, spread, seed }) => {
    const random = new Random(seed);
    const clients: Client[] = Array.from(
      { length: members },
      (_, id) => ({ id, numExamples: 1, lastRound: 0 }),
    );
    const zero: Tensors = new Map(
      [...shared].map(([name, { shape, size }]) =>
        [name, tensor(gpu, new Float32Array(size), { shape })] as const
      ),
    );
    const changes = new Map([...shared].map(([name, { shape, size }], n) => [
      name,
      tensor(
        gpu,
        Float32Array.from(
          { length: members * size },
          (_, i) =>
            scale *
            (spread === "even" ? 1 : spread === "one" ? Number(n === 0 && i % size === 0) : random.normal()),
        ),
        { shape: [members, ...shape] },
      ),
    ]));
    const { upload } = tidy(() =>
      plan.local!.finish!(changes, {
        clients,
        start: zero,
        sent: new Map(),
        kept: new Map(),
        sums: new Map(),
        prepared: new Map(),
        step: 0,
        steps: clients.map(() => 1),
        optimizer: { name: "sgd" },
        learningRate: 1,
      })
    );
    assert.deepEqual([...upload.keys()], [...shared.keys()].map((name) => `change/${name}`));
    const read = async (tensors: Tensors) =>
      (await Promise.all([...tensors.values()].map(async (each) => ({ each, data: await each.floats() }))))
        .map(({ each, data }) => ({ data, size: each.size / members }));
    const [found, given] = [await read(upload), await read(changes)];
    for (let k = 0; k < members; k++) {
      const of = (all: typeof found) =>
        all.flatMap(({ data, size }) => [...data.slice(k * size, (k + 1) * size)]);
      const [sent, own] = [of(found), of(given)];
      assert.ok(Math.hypot(...sent) <= 0.5, `${Math.hypot(...sent)}`);
      if (Math.hypot(...own) < 0.49) assert.deepEqual(sent, own);
      else assert.ok(Math.hypot(...sent) > 0.4998);
    }
    for (const each of [...upload.values(), ...changes.values(), ...zero.values()]) each.dispose();
  }, 30);
});

test("dpFedAvg() moves in a round that nobody came to, by Gaussian noise of deviation z·C/(q·N), new in each round and element", async () => {
  const driven = await start({ clipNorm: 0.3, noiseMultiplier: 2 });
  const noise: number[] = [];
  const size = (await flat(driven)).length;
  for (let round = 0; round < 120; round++) {
    const before = await flat(driven);
    await driven.aggregate([], { shares: [] });
    const after = await flat(driven);
    noise.push(...after.map((value, i) => (value - before[i]!) / (2 * 0.3 / 4)));
  }
  const n = noise.length;
  assert.ok(n > 8000, `${n}`);
  const moment = (f: (x: number, i: number) => number) => noise.reduce((sum, x, i) => sum + f(x, i), 0) / n;
  // Each is normal about 0 for so large an n; of correct noise one seed in 10⁶ is beyond 4.9 deviations of one of the five.
  const within = (value: number, variance: number, what: string) =>
    assert.ok(Math.abs(value) < 5.2 * Math.sqrt(variance / n), `${what}: ${value} of ${n}`);
  within(moment((x) => x), 1, "mean");
  within(moment((x) => x ** 2) - 1, 2, "variance");
  within(moment((x) => x ** 3), 15, "skew");
  within(moment((x) => x ** 4) - 3, 96, "kurtosis");
  within(moment((x, i) => x * noise[(i + size) % n]!), 1, "correlation with the next round");
  within(moment((x, i) => x * noise[(i + 1) % n]!), 1, "correlation with the next element");
});
