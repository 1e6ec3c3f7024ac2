import assert from "node:assert/strict";
import { test } from "node:test";
import { clone, disposeAll, fill, type Tensor, tidy } from "../../../../src/engine/mod.ts";
import { layerSimilarities } from "../../../../src/federa/mod.ts";
import {
  f32Codec,
  federate,
  type FederationEvent,
  fedPepTao,
  fedProx,
  type Method,
  simulate,
  uniformFleet,
} from "../../../../src/fl/mod.ts";
import { disposeOwn } from "../../../../src/fl/own_parameters.ts";
import { eigenvalues, layerScore } from "../../../../src/fl/methods/parts/local/layer_score.ts";
import { bitsOf, testGpu } from "../../../engine/harness.ts";
import { drawTexts, uploadTexts } from "../../../support/bert.ts";
import { PayloadParticipants } from "../../../support/payload_participants.ts";
import { played } from "../../../support/simulated.ts";
import { randomClients, tinyClassifier, tinyTask } from "../../../support/tiny_encoder.ts";
import { tinyFamilyClassifier } from "../../../support/tiny_families.ts";

const gpu = await testGpu();

test("layerScore() is Σ (log λ + 1/λ) of the cosines' eigenvalues + 1e-5, without texts that aren't there", () => {
  // Two texts of cosine c: eigenvalues 1 ± c. Their lengths don't count.
  const score = (...lambdas: number[]) =>
    lambdas.reduce((sum, each) => sum + Math.log(each + 1e-5) + 1 / (each + 1e-5), 0);
  for (const c of [0, 0.5, -0.9]) {
    assert.ok(Math.abs(layerScore([4, 6 * c, 6 * c, 9], 2) - score(1 + c, 1 - c)) < 1e-9);
  }
  // Equal texts: an eigenvalue of 0, which rounding may put below.
  assert.ok(Math.abs(layerScore([1, 1, 1, 1], 2) / score(2, 0) - 1) < 1e-9);
  assert.equal(layerScore([4, 0, 0, 0], 2), score(1));
  assert.equal(layerScore([0], 1), 0);
  // By numpy.linalg.eigvalsh, of the three texts that are there.
  const rows = [[1, 2, 0], [2, 1, 1], [0, 0, 0], [-1, 0, 3]];
  const products = rows.flatMap((x) => rows.map((y) => x.reduce((sum, value, i) => sum + value * y[i]!, 0)));
  assert.ok(Math.abs(layerScore(products, 4) / 5.11664749437846 - 1) < 1e-9);
  const values = eigenvalues([[2, 1, 0], [1, 2, 0], [0, 0, 5]]).sort((a, b) => a - b);
  values.forEach((value, i) => assert.ok(Math.abs(value - [1, 3, 5][i]!) < 1e-12));
});

test("layerSimilarities() multiplies the pretrained states of texts, whatever stands in front of them and however they are padded", async () => {
  const pretrained = tinyFamilyClassifier(gpu, "bert");
  const { model } = await fedPepTao({ tokens: 3 }).init(pretrained, { seed: 1, numClients: 2 });
  const texts = drawTexts({ vocabSize: 23, typeVocabSize: 1 }, [5, 2, 4], 4);
  const products = (padTo: number, encoder = model.encoder) =>
    tidy(() => layerSimilarities(encoder, uploadTexts(gpu, texts, { padTo })));
  using found = products(5);
  using same = products(5, pretrained.encoder);
  assert.deepEqual(found.shape, [2, 3, 3]);
  assert.deepEqual(bitsOf(await found.floats()), bitsOf(await same.floats()));
  // The last layer's are the encoder's states.
  using states = tidy(() => pretrained.encoder.encode(uploadTexts(gpu, texts)));
  const [values, all] = [await states.floats(), await found.floats()];
  const row = (text: number) => values.subarray(text * 60, text * 60 + 12 * [5, 2, 4][text]!);
  for (const [i, j] of [[0, 0], [0, 1], [1, 2], [2, 2]] as const) {
    const wanted = row(i).reduce((sum, value, k) => sum + value * (row(j)[k] ?? 0), 0);
    assert.ok(Math.abs(all[9 + 3 * i + j]! - wanted) < 1e-5 * 60);
  }
  using longer = products(9);
  const padded = await longer.floats();
  padded.forEach((value, i) => assert.ok(Math.abs(value - all[i]!) < 1e-5 * Math.max(1, Math.abs(value))));
  disposeOwn(model, pretrained);
});

test("fedPepTao() averages round 1, then moves by momentum and control variates, by hand", async () => {
  const method = fedPepTao({ tokens: 2, serverRate: 0.5, decay: 0.5, momentum: 0.75 });
  const { model, state } = await method.init(tinyClassifier(gpu, { attention: true }), {
    seed: 1,
    numClients: 4,
  });
  const names = [...method.parameters(state).keys()];
  const filled = (prefix: string, value: number): [string, Tensor][] =>
    names.map((name) => {
      const like = method.parameters(state).get(name)!;
      return [prefix + name, full(like, value)];
    });
  const clients = [0, 1].map((id) => ({ id, numExamples: 1, lastRound: 0 }));
  const scores: [string, Tensor] = ["scores", full1(3)];
  // Round 1: x = 2, c = 0 + 2/4·(mean change 4) = 2, v = 0.
  let next = await method.apply(state, {
    clients,
    values: new Map([...filled("", 2), ...filled("control-change/", 4), scores]),
  } as never, 1);
  const check = async (part: "global" | "control" | "momentum", wanted: number) => {
    for (const name of names) {
      for (const value of await next[part].get(name)!.floats()) {
        assert.equal(value, wanted, `${part}, ${name}`);
      }
    }
  };
  await check("global", 2);
  await check("control", 2);
  await check("momentum", 0);
  assert.deepEqual(next.chosen, ["encoder.attention.point"]);
  // Round 2: mean y = 6: v = ¼·(2 − 6) = −1; x = 2 − ½·(−1 + 2 − (mean own 3)) = 3; c = 2 + ½·2 = 3.
  next = await method.apply(next, {
    clients,
    values: new Map([...filled("", 6), ...filled("own-control/", 3), ...filled("control-change/", 2)]),
  } as never, 2);
  await check("momentum", -1);
  await check("global", 3);
  await check("control", 3);
  // Round 3: mean y = 3: v = ¾·−1 = −¾; η = ¼; x = 3 − ¼·(−¾ + 3 − 2¼) = 3.
  next = await method.apply(next, {
    clients,
    values: new Map([...filled("", 3), ...filled("own-control/", 2.25), ...filled("control-change/", 0)]),
  } as never, 3);
  await check("momentum", -0.75);
  await check("global", 3);
  disposeAll([...model.namedParameters()].map(([, each]) => each));

  function full(like: Tensor, value: number): Tensor {
    const copy = clone(like);
    fill(copy, value);
    return copy;
  }
  function full1(value: number): Tensor {
    return full(method.parameters(state).get("head.output.bias")!, value);
  }
});

const pretrained = tinyFamilyClassifier(gpu, "bert");
const train = tinyTask({ size: 30, length: 7, vocabulary: 23, seed: 1 });
const clients = randomClients(train.size, 5, 1);
const plain = fedPepTao({ tokens: 3, share: 0.5, serverRate: 0.5 });
const settings = {
  train,
  clients,
  work: { steps: 2 },
  batchSize: 4,
  optimizer: { name: "adamw" } as const,
  learningRate: 0.05,
  seed: 3,
};

/** What was trained, and bytes of each round. */
async function outcome(run: AsyncGenerator<FederationEvent>) {
  const { reports, values } = await played(run, pretrained);
  return { bytes: reports.map(({ bytesUp, bytesDown }) => [bytesUp, bytesDown]), values };
}

test("fedPepTao() shares the chosen layer alone, in blocks, one at a time and from payload to payload", async () => {
  for (const method of [plain, fedProx(plain, { mu: 0.5 })]) await check(method);
});

async function check(method: Method): Promise<void> {
  const options = { ...settings, method };
  const simulated = (blockSize: number) =>
    outcome(
      simulate(pretrained, {
        ...options,
        blockSize,
        test: train,
        rounds: 4,
        clientsPerRound: 3,
        evaluateEvery: 0,
      }),
    );
  const together = await simulated(3);
  assert.deepEqual(await simulated(1), together);
  const participants = new PayloadParticipants({ ...options, pretrained, codec: f32Codec });
  const fleet = uniformFleet(clients.map(({ length }) => length), { clientsPerRound: 3, seed: 3 });
  const real = await outcome(federate(pretrained, { method, participants, fleet, rounds: 4, seed: 3 }));
  assert.deepEqual(real, together);
}
