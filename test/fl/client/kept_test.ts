import assert from "node:assert/strict";
import { test } from "node:test";
import { add, mul } from "../../../src/engine/mod.ts";
import {
  federate,
  type HostTensors,
  type Participants,
  simulate,
  type SimulationOptions,
  type Stage,
  uniformFleet,
} from "../../../src/fl/mod.ts";
import { disposeOwn } from "../../../src/fl/own_parameters.ts";
import { pick } from "../../../src/fl/tensors.ts";
import { testGpu, upload } from "../../engine/harness.ts";
import { F64Array } from "../../reference/array.ts";
import { methodOn } from "../../support/methods.ts";
import { randomClients, tinyClassifier, tinyTask } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const train = tinyTask({ size: 24, length: 4, seed: 1 });
const pretrained = tinyClassifier(gpu, { width: 6, inner: 5, seed: 7 });
const layer = "encoder.inner";
const clients = randomClients(train.size, 3, 5);
const options = {
  train,
  test: train,
  clients,
  rounds: 2,
  blockSize: 2,
  work: { steps: 2 },
  batchSize: 4,
  optimizer: { name: "sgd" },
  evaluateEvery: 0,
  seed: 3,
} as const;
const on = (name: string, changes = {}) =>
  methodOn(name, { targets: [layer], rank: 2, alpha: 2, ...changes });

/** What each client keeps after each round, and the values of the final model. */
async function run(settings: SimulationOptions) {
  const kept: (HostTensors | undefined)[][] = [];
  let values = new Map<string, Float32Array>();
  for await (const event of simulate(pretrained, settings)) {
    if (event.type === "round") {
      kept.push(await Promise.all(clients.map((_, id) => event.state.clients.load(id))));
    }
    if (event.type !== "finished") continue;
    const read = [...event.model.namedParameters()].map(async ([name, each]) =>
      [name, await each.floats()] as const
    );
    values = new Map(await Promise.all(read));
    disposeOwn(event.model, pretrained);
  }
  return { kept, values };
}

test("simulate() starts a client from the personal parameters of its last round", async () => {
  for (const name of ["fedsa-lora", "local"]) {
    // In the second round nothing moves: what a client keeps is what it began with.
    const learningRate = (round: number) => round === 0 ? 0.1 : 0;
    const { kept: [first, second] } = await run({ ...options, method: on(name), learningRate });
    assert.deepEqual(second, first, name);
    const heads = first!.map((each) => each!.get("head.output.weight")!.data.join());
    assert.equal(new Set(heads).size, clients.length, `${name}: every client learns its own`);
  }
});

test("simulate() starts clients from the part of their own rank", async () => {
  const ranks = [1, 2, 1];
  const method = on("hetlora", { ranks });
  const { model } = await method.init(pretrained, { seed: options.seed, numClients: 3 });
  const before = await new Map(model.namedParameters()).get(`${layer}.loraA`)!.floats();
  disposeOwn(model, pretrained);
  const { values } = await run({ ...options, rounds: 1, method, learningRate: 0 });
  // Nothing moves and B is 0, so clients weigh by their examples: the second row comes from client 1 alone.
  const share = clients[1]!.length / train.size;
  const found = values.get(`${layer}.loraA`)!;
  before.forEach((value, i) => {
    const wanted = i < 6 ? value : share * value;
    assert.ok(Math.abs(found[i]! - wanted) <= 1e-6 * Math.abs(value), `${i}: ${found[i]}, ${wanted}`);
  });
});

test("simulate() puts uploads through all stages in order", async () => {
  const stage = (name: string, change: Stage["client"]): Stage => ({ name, client: change! });
  const stages = [
    stage("plus one", (values) => new Map([...values].map(([name, x]) => [name, add(x, 1)]))),
    stage("times two", (values) => new Map([...values].map(([name, x]) => [name, mul(x, 2)]))),
  ];
  const method = on("fedbf");
  const { values } = await run({ ...options, rounds: 1, method, stages, learningRate: 0 });
  const head = new Map(pretrained.namedParameters()).get("head.output.weight")!;
  (await head.floats()).forEach((value, i) => {
    const wanted = 2 * (value + 1);
    assert.ok(Math.abs(values.get("head.output.weight")![i]! - wanted) <= 1e-6, `${i}`);
  });
});

test("federate() keeps what a client kept earlier beside what it keeps now", async () => {
  const participants: Participants = {
    async *train({ clients, model, plan, round }) {
      const start = pick(new Map(model.namedParameters()), plan.trained);
      const values = new Map(
        await Promise.all(
          [...start].map(async ([name, x]) =>
            [name, upload(gpu, F64Array.from([1, ...x.shape], [...await x.floats()]))] as const
          ),
        ),
      );
      const keep = new Map([[`of round ${round}`, upload(gpu, F64Array.from([1, 1], [round]))]]);
      yield { clients, values, keep, losses: [0], bytesUp: [1], bytesDown: [2] };
    },
  };
  const fleet = uniformFleet([4], { clientsPerRound: 1, seed: 1 });
  const rounds: string[][] = [];
  for await (
    const event of federate(pretrained, { method: on("fedit"), participants, fleet, rounds: 2, seed: 1 })
  ) {
    if (event.type === "round") rounds.push([...(await event.state.clients.load(0))!.keys()]);
    if (event.type === "finished") disposeOwn(event.model, pretrained);
  }
  assert.deepEqual(rounds, [["of round 1"], ["of round 1", "of round 2"]]);
});
