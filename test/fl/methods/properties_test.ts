import assert from "node:assert/strict";
import { test } from "node:test";
import { type Tensor, tensor, tidy } from "../../../src/engine/mod.ts";
import { adaptedLinears } from "../../../src/federa/mod.ts";
import type { Method } from "../../../src/fl/mod.ts";
import { withParameters } from "../../../src/fl/tensors.ts";
import type { TaskModel } from "../../../src/tasks/mod.ts";
import { bitsOf, testGpu } from "../../engine/harness.ts";
import { type ClientUpload, DrivenMethod, type UploadOptions } from "../../support/driven_method.ts";
import { methodNames, methodOn } from "../../support/methods.ts";
import { Random } from "../../support/random.ts";
import { tinyClassifier } from "../../support/tiny_encoder.ts";

// Holds of every method in the registry, a new one too: the server's part of rounds, of clients whose values are given.
const gpu = await testGpu();
const targets = ["encoder.inner", "encoder.outer"];
const pretrained = tinyClassifier(gpu, { width: 7, inner: 5, seed: 7, attention: true });

/** SLoRA trains all entries in its sparse rounds, so that these hold any change. */
const make = (name: string, changes: Record<string, unknown> = {}): Method =>
  methodOn(name, {
    targets,
    rank: 2,
    alpha: 3,
    svd: "exact",
    sparseRounds: 1,
    density: 1,
    parts: 1,
    energy: 1,
    ...changes,
  });

const shares = [0.5, 0.125, 0.25, 0.125];
/** Effective weights are up to some 10 in size: a few dozen roundings of u = 6e-8 of the largest. */
const rounding = 1e-5;

/** Bits of all global parameters. */
async function bits({ global }: DrivenMethod): Promise<Map<string, readonly number[]>> {
  return new Map(
    await Promise.all(
      [...global.namedParameters()].map(async ([name, each]) =>
        [name, [...bitsOf(await each.floats())]] as const
      ),
    ),
  );
}

/** The function that a model is: adapted layers by their effective weights, other parameters by name. */
async function effective(model: TaskModel): Promise<Map<string, Float32Array>> {
  const adapters = adaptedLinears(model);
  const found = new Map<string, Float32Array>();
  for (const [name, each] of model.namedParameters()) {
    if (adapters.has(name.slice(0, name.lastIndexOf("."))) && !name.endsWith(".bias")) continue;
    found.set(name, await each.floats());
  }
  for (const [layer, adapter] of adapters) {
    using weight = tidy(() => adapter.effectiveWeight());
    found.set(layer, await weight.floats());
  }
  return found;
}

/** What clients have trained: the global values of what is shared, moved at random. */
async function trained(driven: DrivenMethod, clients: number, seed: number): Promise<ClientUpload[]> {
  const random = new Random(seed);
  const start = await Promise.all(
    [...driven.shared].map(async ([name, each]) => [name, await each.floats()] as const),
  );
  return Array.from(
    { length: clients },
    () =>
      new Map(start.map(([name, values]) => [name, values.map((value) => value + 0.1 * random.normal())])),
  );
}

/** The model of a client by itself: the global one with its values. */
async function modelOf(driven: DrivenMethod, upload: ClientUpload): Promise<Map<string, Float32Array>> {
  const own = new Map<string, Tensor>(
    [...upload].map(([name, values]) => [
      name,
      tensor(gpu, Float32Array.from(values), { shape: driven.shared.get(name)!.shape }),
    ]),
  );
  try {
    return await effective(withParameters(driven.global, own));
  } finally {
    for (const each of own.values()) each.dispose();
  }
}

function near(
  found: ReadonlyMap<string, ArrayLike<number>>,
  wanted: ReadonlyMap<string, ArrayLike<number>>,
  bound: number,
  label: string,
): void {
  assert.deepEqual([...found.keys()].sort(), [...wanted.keys()].sort());
  for (const [name, expected] of wanted) {
    const values = Array.from(found.get(name)!);
    const size = Math.max(1, ...Array.from(expected, Math.abs));
    const worst = Math.max(...values.map((value, i) => Math.abs(value - expected[i]!))) / size;
    assert.ok(worst <= bound, `${label}, ${name}: off by ${worst}`);
  }
}

/** Plays rounds of four clients in two drives that differ by options alone, with the same values. */
async function play(name: string, options: Partial<UploadOptions> = {}, rounds = 3): Promise<DrivenMethod> {
  const driven = await DrivenMethod.start(make(name), pretrained);
  for (let round = 1; round <= rounds; round++) {
    await driven.aggregate(await trained(driven, 4, round), { shares, ...options });
  }
  return driven;
}

/** A method past the round in which its clients only observe, or the server doesn't yet move in its own way, where it has one. */
async function begin(method: Method): Promise<DrivenMethod> {
  const driven = await DrivenMethod.start(method, pretrained);
  if (driven.plan.local?.isStill || method.movesOtherwise) {
    await driven.aggregate(await trained(driven, 4, 99), { shares });
  }
  return driven;
}

for (const name of methodNames) {
  test(`${name}: no bit depends on who trains beside whom, or on the order of arrival`, async () => {
    const wanted = await bits(await play(name));
    for (const blockSize of [2, 3, 4]) assert.deepEqual(await bits(await play(name, { blockSize })), wanted);
    for (const arrivals of [[[3], [2], [1], [0]], [[1, 3], [0, 2]], [[2, 3], [1], [0]]]) {
      assert.deepEqual(
        await bits(await play(name, { arrivals })),
        wanted,
        `arrivals ${arrivals.join(" | ")}`,
      );
    }
  });

  test(`${name}: clients under other numbers make the same model but for rounding`, async () => {
    const order = [2, 0, 3, 1];
    const [one, other] = await Promise.all([0, 1].map(() => DrivenMethod.start(make(name), pretrained)));
    // One round, as later ones would start from other factors of the same product.
    const uploads = await trained(one!, 4, 1);
    await one!.aggregate(uploads, { shares });
    await other!.aggregate(order.map((k) => uploads[k]!), { shares: order.map((k) => shares[k]!) });
    near(await effective(other!.global), await effective(one!.global), rounding, name);
  });

  test(`${name}: one client, or several equal ones, make the global model theirs`, async () => {
    for (const [count, weights] of [[1, [1]], [4, shares]] as const) {
      // The end of the sparse stage is left out: there SLoRA keeps the leading part of what was learnt.
      const method = make(name, { sparseRounds: 9 });
      const driven = await (method.movesOtherwise ? DrivenMethod.start(method, pretrained) : begin(method));
      for (let round = 1; round <= (method.movesOtherwise ? 1 : 3); round++) {
        const [upload] = await trained(driven, 1, round);
        const wanted = await modelOf(driven, upload!);
        await driven.aggregate(new Array<ClientUpload>(count).fill(upload!), { shares: weights });
        near(await effective(driven.global), wanted, rounding, `${count} in round ${round}`);
      }
    }
  });

  test(`${name}: a round that lost a client is the round without it`, async () => {
    const [lossy, whole] = await Promise.all([0, 1].map(() => DrivenMethod.start(make(name), pretrained)));
    const uploads = (await trained(lossy!, 4, 1)).slice(0, 3);
    await lossy!.aggregate(uploads, { shares, cohort: 4 });
    const left = shares.slice(0, 3);
    await whole!.aggregate(uploads, { shares: left.map((share) => share / 0.875) });
    near(await effective(lossy!.global), await effective(whole!.global), rounding, name);
  });
}

/** Whether the global model is the mean of the clients' models. A new method says so here. */
const isExact: Readonly<Record<string, boolean>> = {
  full: true,
  fedbf: true,
  fedap: true,
  "ln-tune": true,
  "prompt-tuning": true,
  "prefix-tuning": true,
  "attn-scale": true,
  fedpeptao: false,
  fedit: false,
  // In its sparse stage.
  slora: true,
  hetlora: false,
  // Of a rank that holds any matrix.
  flexlora: true,
  "ffa-lora": true,
  federa: false,
  "federa-ffa": true,
  "federa-sb": true,
  "federa-ro": true,
  "federa-rot": false,
  "federa-exact": true,
  rolora: true,
  fedsvd: true,
  "fedrot-lora": false,
  "lora-fair": false,
  flora: true,
  // With all of the energy.
  florist: true,
  fedmomentum: true,
  raflora: true,
  // Of what is shared, beside the global B and head.
  "fedsa-lora": true,
  "fed-sb": true,
  "lora-ga": false,
  fedkls: false,
  "ravan": true,
  "fedara": false,
  "prilora": false,
  "smt": true,
  // The mask that averages choose is another.
  pst: false,
  "fedex-lora": true,
  central: false,
  local: true,
};

test("the exact methods make the mean Σ p_k·(W + s·B_k·A_k) of the clients' models, and no other does", async () => {
  assert.deepEqual(Object.keys(isExact).sort(), [...methodNames].sort());
  for (const name of methodNames) {
    // LoRA-GA needs twice as many triplets, and PRILoRA's ranks grow.
    const rank = ["lora-ga", "prilora"].includes(name) ? 2 : 5;
    const driven = await begin(make(name, { rank, sparseRounds: 9 }));
    for (let round = 1; round <= 3; round++) {
      const uploads = await trained(driven, 4, round);
      const models = await Promise.all(uploads.map((upload) => modelOf(driven, upload)));
      const mean = new Map([...models[0]!].map(([key, first]) => [
        key,
        Array.from(
          first,
          (_, i) => models.reduce((sum, each, k) => sum + shares[k]! * each.get(key)![i]!, 0),
        ),
      ]));
      await driven.aggregate(uploads, { shares });
      const found = await effective(driven.global);
      if (isExact[name]) near(found, mean, rounding, `${name}, round ${round}`);
      // By far more than rounding.
      else assert.throws(() => near(found, mean, 100 * rounding, name), /off by/, `${name}, round ${round}`);
    }
  }
});
