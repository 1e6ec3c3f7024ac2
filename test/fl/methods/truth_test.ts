import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { constantSchedule, tidy } from "../../../src/engine/mod.ts";
import { adaptersOf } from "../../../src/federa/mod.ts";
import { f32Codec, federate, isLost, uniformFleet } from "../../../src/fl/mod.ts";
import { disposeOwn } from "../../../src/fl/own_parameters.ts";
import { BlockParticipants } from "../../../src/fl/simulation/block_participants.ts";
import { readSafetensors } from "../../../src/models/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import {
  federatedBase,
  federatedData,
  federatedFolder,
  federatedMethods,
  federatedRun,
  readFederated,
} from "../../support/golden_federation.ts";
import { meddled } from "../../support/meddled_participants.ts";

// Three rounds of clients and server that were written for this in PyTorch and PEFT, in float64: test/golden/federated/generate.py.
const gpu = await testGpu();
const pretrained = await federatedBase(gpu);
const { train, clients } = federatedData();
/** Losses of each step, by round and client. */
const steps = readFederated<Readonly<Record<string, readonly (readonly (readonly number[])[])[]>>>(
  "reference.json",
);
const { tensors } = readSafetensors(readFileSync(join(federatedFolder, "rounds.safetensors")));
const numExamples = clients.map(({ length }) => length);

/**
 * Twelve steps of each client through two layers in f32 beside float64. A gradient is off by some 1e-6 of the largest one; AdamW makes
 * a step of up to the rate 0.01 of it, whatever its size, so that an element whose gradient is a thousandth of the largest is off by
 * 1e-5. Factors move by some 0.05.
 */
const tolerance = 1e-4;

for (const [name, { method, optimizer, learningRate }] of federatedMethods) {
  test(`${name} has the losses and the adapters that PyTorch and PEFT have, in three rounds`, async () => {
    const { rounds, seed, work, batchSize } = federatedRun;
    const participants = new BlockParticipants({
      train,
      clients,
      work,
      batchSize,
      optimizer,
      learningRate: constantSchedule(learningRate),
      seed,
      stages: [],
      codec: f32Codec,
    });
    participants.blockSize = clients.length;
    const found: (readonly number[])[] = [];
    const listening = meddled(participants, async function* (outcomes) {
      for await (const outcome of outcomes) {
        assert.ok(!isLost(outcome));
        found.push(outcome.losses);
        yield outcome;
      }
    });
    let compared = 0;
    /** How far the head is from where it began. */
    let moved = 0;
    const head = await new Map(pretrained.namedParameters()).get("head.output.weight")!.floats();
    const near = (values: ArrayLike<number>, wanted: ArrayLike<number>, label: string) => {
      assert.equal(values.length, wanted.length, label);
      for (let i = 0; i < values.length; i++) {
        const error = Math.abs(values[i]! - wanted[i]!);
        assert.ok(error <= tolerance, `${label}[${i}]: ${values[i]}, ${wanted[i]}`);
      }
      compared++;
    };
    const fleet = uniformFleet(numExamples, { clientsPerRound: clients.length, seed });
    for await (
      const event of federate(pretrained, { method, participants: listening, fleet, rounds, seed })
    ) {
      if (event.type === "round") {
        const { round } = event.report;
        const wanted = steps[name]![round - 1]!.map((losses) =>
          losses.reduce((a, b) => a + b) / losses.length
        );
        near(found[round - 1]!, wanted, `losses of round ${round}`);
        const parameters = new Map(event.model.namedParameters());
        for (const [key, { data }] of tensors) {
          if (!key.startsWith(`${name}/${round}/`)) continue;
          const own = key.slice(`${name}/${round}/`.length);
          const layer = own.replace(/\.change$/, "");
          using change = layer === own
            ? undefined
            : tidy(() => adaptersOf(event.model).get(layer)!.effectiveWeight());
          if (own === "head.output.weight") {
            moved = Math.max(...head.map((value, i) => Math.abs((data as Float32Array)[i]! - value)));
          }
          if (change === undefined) near(await parameters.get(own)!.floats(), data as Float32Array, key);
          else {
            const before = await new Map(pretrained.namedParameters()).get(`${layer}.weight`)!.floats();
            near((await change.floats()).map((value, i) => value - before[i]!), data as Float32Array, key);
          }
        }
      }
      if (event.type === "finished") disposeOwn(event.model, pretrained);
    }
    // Head, and of two layers' queries and values two factors, a change, or both; and the losses.
    const each = name === "federa" ? 4 : name === "fedex-lora" ? 12 : 8;
    assert.equal(compared, rounds * (1 + 2 + each), name);
    assert.ok(moved > 100 * tolerance, `${name} moved by ${moved}`);
  });
}
