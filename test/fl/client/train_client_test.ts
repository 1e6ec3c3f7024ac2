import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  codecConfig,
  createCodec,
  federate,
  type FederationEvent,
  type RoundReport,
  simulate,
  uniformFleet,
  whyUnsound,
} from "../../../src/fl/mod.ts";
import { disposeOwn } from "../../../src/fl/own_parameters.ts";
import { labelDivergences } from "../../../src/fl/simulation/label_divergence.ts";
import type { TaskModel } from "../../../src/tasks/mod.ts";
import { bitsOf, holds, testGpu } from "../../engine/harness.ts";
import { methodNames, methodOn } from "../../support/methods.ts";
import { PayloadParticipants } from "../../support/payload_participants.ts";
import { randomClients, tinyClassifier, tinyTask } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const train = tinyTask({ size: 40, length: 4, seed: 1 });
const pretrained = tinyClassifier(gpu, { seed: 7, attention: true });

/** The bits of a run's final parameters, and what its reports say but for time and memory. */
async function outcome(run: AsyncGenerator<FederationEvent>) {
  const reports: Omit<RoundReport, "seconds" | "liveBytes" | "test">[] = [];
  let model: TaskModel | undefined;
  for await (const event of run) {
    if (event.type === "round") {
      const { seconds: _, liveBytes: __, test: ___, ...rest } = event.report;
      reports.push(rest);
    }
    if (event.type === "finished") model = event.model;
  }
  const parameters = await Promise.all(
    [...model!.namedParameters()].map(async ([name, each]) => [name, bitsOf(await each.floats())]),
  );
  disposeOwn(model!, pretrained);
  return { reports, parameters };
}

test("Participant.train() from payload to payload gives the bits and bytes of simulated blocks, in any order of arrival", async () => {
  const cases = fc.record({
    name: fc.constantFrom(...methodNames.filter((name) => !methodOn(name, {}).isCentral)),
    codec: fc.constantFrom<Parameters<typeof codecConfig.parse>[0]>(
      "f32",
      "f16",
      "bf16",
      "int8",
      "int4",
      { name: "topk", share: 0.2 },
    ),
    seed: fc.nat(),
    blockSize: fc.integer({ min: 1, max: 5 }),
    work: fc.constantFrom({ steps: 2 }, { epochs: 1 }),
    clipNorm: fc.constantFrom(undefined, 1),
    ranks: fc.constantFrom({}, { ranks: [1, 2] }, { gamma: 0.5 }),
    restarts: fc.boolean(),
  });
  await holds(cases, async ({ name, codec, seed, ranks, restarts, ...rest }) => {
    const method = methodOn(name, {
      targets: ["encoder.inner", "encoder.outer"],
      rank: 2,
      alpha: 3,
      sparseRounds: 2,
      warmupRounds: 0,
      pruningRounds: 2,
      pruneEvery: 1,
      density: 0.4,
      ...ranks,
    });
    const isSound = typeof codec === "string" || whyUnsound(method, "errorFeedback") === undefined;
    const clients = randomClients(train.size, 6, seed);
    const options = {
      ...rest,
      method,
      train,
      clients,
      batchSize: 4,
      optimizer: { name: "adamw" } as const,
      learningRate: 0.05,
      seed,
      codec: createCodec(codecConfig.parse(isSound ? codec : "int8")),
    };
    const rounds = 3;
    const simulated = await outcome(
      simulate(pretrained, { ...options, test: train, rounds, clientsPerRound: 4, evaluateEvery: 0 }),
    );
    using participants = new PayloadParticipants({ ...options, pretrained, restarts });
    const fleet = {
      ...uniformFleet(clients.map(({ length }) => length), { clientsPerRound: 4, seed }),
      ...(method.needsLabels && { labelDivergences: labelDivergences(train, clients) }),
    };
    const real = await outcome(federate(pretrained, { method, participants, fleet, rounds, seed }));
    assert.deepEqual(real, simulated);
  }, 16);
});
