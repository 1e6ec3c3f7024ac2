import assert from "node:assert/strict";
import { test } from "node:test";
import {
  codecConfig,
  type Companion,
  companions,
  createCodec,
  dpFedAvg,
  localDp,
  median,
  type Method,
  methods,
  simulate,
  type SimulationOptions,
  whyClashing,
  whyUnsound,
} from "../../src/fl/mod.ts";
import { testGpu } from "../engine/harness.ts";
import { methodNames, methodOn } from "../support/methods.ts";
import { randomClients, tinyClassifier, tinyTask } from "../support/tiny_encoder.ts";

// Whatever can be chosen together is run for two rounds: sound pairs finish, the others are refused by name.
const gpu = await testGpu();
const train = tinyTask({ size: 24, length: 4, seed: 1 });
const pretrained = tinyClassifier(gpu, { seed: 7, attention: true });
const defaults: Omit<SimulationOptions, "method"> = {
  train,
  test: train,
  clients: randomClients(train.size, 4, 1),
  rounds: 2,
  blockSize: 2,
  work: { steps: 1 },
  batchSize: 2,
  optimizer: { name: "sgd" },
  learningRate: 0.01,
  evaluateEvery: 0,
  seed: 1,
};

/** How a companion is asked for; mixed ranks are an option of methods. */
const asked: Readonly<Partial<Record<Companion, () => Partial<SimulationOptions>>>> = {
  partialParticipation: () => ({ clientsPerRound: 3 }),
  robustAggregation: () => ({ aggregator: median() }),
  secureAggregation: () => ({ secureAggregation: { neighbors: 2, threshold: 2 } }),
  asynchrony: () => ({ asynchrony: { kind: "fedbuff", bufferSize: 2 } }),
  lossyCodec: () => ({ codec: createCodec(codecConfig.parse("int8")) }),
  errorFeedback: () => ({ codec: createCodec(codecConfig.parse({ name: "topk", share: 0.5 })) }),
};
/** Companions that go over a method. */
const over: Readonly<Partial<Record<Companion, (method: Method) => Method>>> = {
  differentialPrivacy: (method) => dpFedAvg(method, { clipNorm: 1, noiseMultiplier: 1, epsilon: 1e6 }),
  localPrivacy: (method) => localDp(method, { clipNorm: 1, noiseMultiplier: 1, epsilon: 1e6 }),
};
const ranks = [1, 2, 1, 2];
const all = (Object.keys(companions) as Companion[]).filter((each) =>
  each === "mixedRanks" || each in asked || each in over
);

function make(name: string, chosen: readonly Companion[]): Method {
  return methodOn(name, {
    targets: ["encoder.inner", "encoder.outer"],
    rank: 2,
    alpha: 3,
    svd: "exact",
    sparseRounds: 1,
    parts: 2,
    ...(chosen.includes("mixedRanks") && { ranks }),
  });
}

/** Whether a method can have a companion at all. */
function has(name: string, companion: Companion): boolean {
  return companion !== "mixedRanks" || "ranks" in methods.get(name)!.definition.options.shape;
}

/** Plays two rounds. */
async function play(method: Method, chosen: readonly Companion[]): Promise<number> {
  let rounds = 0;
  const options = Object.assign({}, ...chosen.map((each) => asked[each]?.()));
  for await (const event of simulate(pretrained, { ...defaults, ...options, method })) {
    if (event.type === "round") {
      rounds++;
      assert.ok(Number.isFinite(event.report.trainLoss), `${method.name}: loss ${event.report.trainLoss}`);
    }
    if (event.type === "finished") {
      const shared = new Set([...pretrained.namedParameters()].map(([, each]) => each));
      for (const [, each] of event.model.namedParameters()) if (!shared.has(each)) each.dispose();
    }
  }
  return rounds;
}

async function check(name: string, chosen: readonly Companion[], why: string | undefined): Promise<void> {
  const label = [name, ...chosen].join(" with ");
  const play2 = async () =>
    await play(chosen.reduce((method, each) => over[each]?.(method) ?? method, make(name, chosen)), chosen);
  if (why === undefined) assert.equal(await play2(), 2, label);
  else {
    await assert.rejects(play2, (error) => {
      const isRefused = chosen.length > 1 && chosen.every((each) => each in over)
        ? /put the privacy over it$/.test(String(error))
        : String(error).includes(why);
      assert.ok(error instanceof TypeError && isRefused, `${label}: ${error}`);
      return true;
    });
  }
}

for (const name of methodNames) {
  test(`${name} plays two rounds with everything that it is sound with, and is refused with the rest`, async () => {
    for (const companion of all.filter((each) => has(name, each))) {
      await check(name, [companion], whyUnsound(make(name, [companion]), companion));
    }
  });
}

test("companions play two rounds together where that is sound, and are refused where it isn't", async () => {
  for (const [i, one] of all.entries()) {
    for (const other of all.slice(0, i)) {
      const name = [one, other].includes("mixedRanks") ? "flexlora" : "fedit";
      const method = make(name, [one, other]);
      const why = whyClashing(one, other) ?? whyUnsound(method, one) ?? whyUnsound(method, other);
      await check(name, [one, other], why);
    }
  }
});
