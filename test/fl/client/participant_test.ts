import assert from "node:assert/strict";
import { test } from "node:test";
import { CorruptFileError } from "../../../src/data/mod.ts";
import {
  f32Codec,
  ForgottenRoundError,
  Participant,
  type ParticipantOptions,
  simulate,
} from "../../../src/fl/mod.ts";
import { disposeOwn } from "../../../src/fl/own_parameters.ts";
import { type HostTensors, pick, toHost } from "../../../src/fl/tensors.ts";
import { disposeTree } from "../../../src/fl/tree.ts";
import { decodePayload } from "../../../src/fl/transport/mod.ts";
import { evaluate } from "../../../src/tasks/mod.ts";
import { bitsOf, testGpu } from "../../engine/harness.ts";
import { methodOn } from "../../support/methods.ts";
import { tinyClassifier, tinyTask } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const data = tinyTask({ size: 12, length: 4, seed: 1 });
const pretrained = tinyClassifier(gpu, { seed: 7, attention: true });
const on = (name: string) => methodOn(name, { targets: ["encoder.inner"], rank: 2, alpha: 3 });
const options = (name: string, more: Partial<ParticipantOptions> = {}): ParticipantOptions => ({
  method: on(name),
  id: 1,
  numClients: 3,
  data,
  work: { steps: 2 },
  batchSize: 4,
  optimizer: { name: "adamw" },
  codec: f32Codec,
  seed: 5,
  ...more,
});

/** What the first round's clients download. */
async function firstDownload(name: string): Promise<HostTensors> {
  const { method, seed } = options(name);
  const { model, state } = await method.init(pretrained, { seed, numClients: 3 });
  const { trained, shared = trained } = method.plan(state, 1);
  const values = await toHost(pick(new Map(model.namedParameters()), shared));
  disposeOwn(model, pretrained);
  disposeTree(state, [...pretrained.namedParameters()].map(([, each]) => each));
  return values;
}

/** Other values for all that is downloaded. */
function moved(values: HostTensors, by: number): Uint8Array {
  return f32Codec.encode(
    new Map([...values].map(([name, { shape, data }]) => [name, { shape, data: data.map((x) => x + by) }])),
  );
}
const valuesIn = (payload: Uint8Array) =>
  [...decodePayload(payload)].map(([name, { data }]) => [name, bitsOf(data)]);

test("Participant goes back to before a round whose upload the server never got", async () => {
  const values = await firstDownload("fedsa-lora");
  const [first, second] = [moved(values, 0), moved(values, 0.01)];
  const learningRate = 0.05;
  using lossless = await Participant.open(pretrained, options("fedsa-lora"));
  await lossless.train({ round: 1, payload: first, learningRate });
  const wanted = await lossless.train({ round: 3, payload: second, learningRate, lastRound: 1 });
  using lossy = await Participant.open(pretrained, options("fedsa-lora"));
  await lossy.train({ round: 1, payload: first, learningRate });
  await lossy.train({ round: 2, payload: second, learningRate });
  assert.equal(lossy.lastRound, 2);
  const found = await lossy.train({ round: 3, payload: second, learningRate, lastRound: 1 });
  assert.deepEqual(valuesIn(found.payload), valuesIn(wanted.payload));
  assert.deepEqual([...lossy.kept], [...lossless.kept]);
  // One that the server knows nothing of begins anew, as in its first round.
  const anew = await lossy.train({ round: 3, payload: second, learningRate, lastRound: 0 });
  assert.notDeepEqual(valuesIn(anew.payload), valuesIn(wanted.payload));
});

test("Participant refuses a round that it has forgotten, and stays as it was", async () => {
  const values = await firstDownload("fedit");
  using participant = await Participant.open(pretrained, options("fedit"));
  const call = { round: 2, payload: moved(values, 0), learningRate: 0.05, lastRound: 1 };
  await assert.rejects(
    participant.train(call),
    (error) =>
      error instanceof ForgottenRoundError &&
      /last upload was of round 1.*remembers none/.test(error.message),
  );
  await participant.train({ ...call, round: 1, lastRound: 0 });
  const before = participant.encode();
  await assert.rejects(participant.train({ ...call, payload: call.payload.slice(0, 40) }), CorruptFileError);
  await assert.rejects(participant.train({ ...call, lastRound: 2 }), ForgottenRoundError);
  assert.deepEqual(participant.encode(), before);
});

test("Participant.evaluate() scores what a download makes, and remembers nothing", async () => {
  const values = await firstDownload("fedit");
  const payload = moved(values, 0.1);
  using participant = await Participant.open(pretrained, options("fedit"));
  const call = { round: 1, payload };
  const found = await participant.evaluate(data, { call });
  const model = await participant.openModel(call);
  try {
    const own = await toHost(pick(new Map(model.namedParameters()), values.keys()));
    for (const [name, { data }] of decodePayload(payload)) assert.deepEqual(own.get(name)!.data, data, name);
    assert.deepEqual(found, await evaluate(model, data));
  } finally {
    participant.close(model);
  }
  const untrained = await participant.openModel();
  const before = await evaluate(untrained, data);
  participant.close(untrained);
  assert.notEqual(found.loss, before.loss);
  assert.equal(participant.lastRound, 0);
});

test("Participant frees all that it took", async () => {
  for (const name of ["fedit", "fedsa-lora", "federa-exact", "full"]) {
    const values = await firstDownload(name);
    const before = gpu.stats().liveBytes;
    const participant = await Participant.open(pretrained, options(name));
    const opened = gpu.stats().liveBytes;
    const payload = moved(values, 0);
    for (const round of [1, 2]) {
      await participant.train({ round, payload, learningRate: 0.05 });
      await participant.evaluate(data, { call: { round: round + 1, payload } });
      assert.equal(gpu.stats().liveBytes, opened, `${name}, after round ${round}`);
    }
    participant[Symbol.dispose]();
    assert.equal(gpu.stats().liveBytes, before, name);
  }
});

test("Participant.open() refuses a state of another client, method or seed, or a broken one", async () => {
  const values = await firstDownload("fedit");
  using participant = await Participant.open(pretrained, options("fedit"));
  await participant.train({ round: 1, payload: moved(values, 0), learningRate: 0.05 });
  const state = participant.encode();
  for (const other of [options("fedit", { id: 2 }), options("ffa-lora"), options("fedit", { seed: 6 })]) {
    await assert.rejects(
      Participant.open(pretrained, { ...other, state }),
      (error) => error instanceof CorruptFileError && /its owner must be client/.test(error.message),
    );
  }
  await assert.rejects(
    Participant.open(pretrained, options("fedit", { state: state.slice(0, -1) })),
    CorruptFileError,
  );
  using restored = await Participant.open(pretrained, options("fedit", { state }));
  assert.equal(restored.lastRound, 1);
});

test("Participant's own model has its personal parameters", async () => {
  const clients = [[0, 1, 2, 3], [...Array(12).keys()], [4, 5]];
  const { sampling: _, ...training } = options("fedsa-lora");
  const shared = { ...training, train: data, test: data, clients, learningRate: 0.05 };
  const values = await firstDownload("fedsa-lora");
  using participant = await Participant.open(pretrained, options("fedsa-lora"));
  await participant.train({ round: 1, payload: moved(values, 0), learningRate: 0.05 });
  const own = await participant.openModel();
  const head = await new Map(own.namedParameters()).get("head.output.weight")!.floats();
  participant.close(own);
  for await (const event of simulate(pretrained, { ...shared, rounds: 1, blockSize: 3, evaluateEvery: 0 })) {
    if (event.type !== "finished") continue;
    const wanted = await event.clientModel(1);
    assert.deepEqual(head, await new Map(wanted.namedParameters()).get("head.output.weight")!.floats());
    disposeOwn(wanted, event.model);
    disposeOwn(event.model, pretrained);
  }
});
