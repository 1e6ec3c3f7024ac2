import { type Gpu, openGpu } from "../../../src/engine/mod.ts";
import { disposeOwn, fedIt, simulate } from "../../../src/fl/mod.ts";
import {
  Bert,
  type BertConfig,
  bertFamily,
  type HostParameters,
  randomParameters,
  uploadParameters,
} from "../../../src/models/mod.ts";
import { classification, TaskModel, type TaskSet } from "../../../src/tasks/mod.ts";
import { randomTexts } from "../../model.ts";
import { encoderArrays, pythonConfig } from "../encoders.ts";
import { type Check, type GpuRow, relativeDifference } from "../row.ts";
import type { StageContext } from "../stage.ts";
import type { PeerArray } from "../torch.ts";
import { ours, time, torchContenders } from "../timing.ts";

const config: BertConfig = {
  vocabSize: 64,
  hiddenSize: 32,
  numHiddenLayers: 2,
  numAttentionHeads: 2,
  intermediateSize: 64,
  hiddenAct: "gelu",
  maxPositionEmbeddings: 16,
  typeVocabSize: 2,
  layerNormEps: 1e-12,
  padTokenId: 0,
};
const blockSize = 64;
const batchSize = 2;
const length = 8;
const rank = 4;
const learningRate = 0.1;
/** Clients beyond which PyTorch isn't asked: its time is that of its clients one after another. */
const mostTorchClients = 256;
/** What a round of SGD changes, relative to its length; rounding of values that are larger than their change. */
const tolerance = 1e-3;

/** Whole simulations of a tiny BERT, one step a client and round. */
export async function* growthStage({ torch, isCuda, quick }: StageContext): AsyncIterable<GpuRow> {
  // A device of its own: the peak of earlier stages would hide this one's.
  using gpu = await openGpu({ powerPreference: "high-performance" });
  const parameters = randomParameters(bertFamily.parameterShapes(config), { seed: 0, name: "bert" });
  const method = fedIt({ targets: ["**.attention.self.*"], rank, alpha: rank });
  const start = await startOf(createClassifier(gpu, parameters));
  const sizes = quick ? [[4, 1]] : [[64, 1], [256, 1], [1024, 1], [64, 10]];
  for (const [clients, rounds] of sizes as [number, number][]) {
    const model = createClassifier(gpu, parameters);
    const texts = randomTexts(clients * batchSize, length, config.vocabSize);
    const program = clients > mostTorchClients ? undefined : await torch?.prepare(
      "rounds",
      encoderArrays({ parameters, trainable: start, texts: arraysOf(texts), length }),
      {
        config: pythonConfig(config),
        ...{ rank, alpha: rank, optimizer: "sgd", learningRate, clients, batchSize, rounds, average: true },
        targets: ["query", "key", "value"],
      },
    );
    const checks: Check[] = [];
    let found = new Map<string, Float32Array>();
    const run = async (isRead: boolean) => {
      const events = simulate(model, {
        ...{ method, train: texts, rounds, blockSize, batchSize, learningRate, seed: 0 },
        clients: Array.from(
          { length: clients },
          (_, client) => Array.from({ length: batchSize }, (_, i) => client * batchSize + i),
        ),
        test: randomTexts(batchSize, length, config.vocabSize),
        work: { steps: 1 },
        optimizer: { name: "sgd" },
        evaluateEvery: 0,
      });
      for await (const event of events) {
        if (event.type !== "finished") continue;
        if (isRead) found = await valuesOf(event.model, [...start.keys()]);
        disposeOwn(event.model, model);
      }
    };
    await run(true);
    if (program) {
      const expected = await program.result();
      const changes = (values: ReadonlyMap<string, Float32Array>) =>
        [...start].flatMap(([name, { data }]) => Array.from(values.get(name)!, (each, i) => each - data[i]!));
      checks.push({
        what: "relative difference of what is learned from PyTorch's",
        found: relativeDifference(changes(found), changes(expected)),
        allowed: tolerance,
      });
    }
    const timed = await time([
      ours(gpu, () => run(false)),
      ...torchContenders(program, isCuda),
    ], { seconds: 3, sampleMilliseconds: 20 });
    await program?.release();
    yield {
      name: `${clients} clients, ${rounds} ${rounds === 1 ? "round" : "rounds"}`,
      ...timed,
      checks,
      notes: [
        `${(1000 * timed.milliseconds["federa"]! / clients / rounds).toFixed(0)} µs a client-step, peak ${
          (gpu.stats().peakBytes / 1e6).toFixed(1)
        } MB`,
      ],
    };
  }

  /** The values that a simulation starts from, by the names that PyTorch's side takes. */
  async function startOf(pretrained: TaskModel): Promise<Map<string, PeerArray>> {
    const { state } = await method.init(pretrained, { seed: 0, numClients: 1 });
    const entries = [...method.parameters(state)].map(async ([name, each]) => {
      const data = await each.floats();
      return [peerName(name), { shape: each.shape, data: data as Float32Array }] as const;
    });
    return new Map(await Promise.all(entries));
  }
}

function createClassifier(gpu: Gpu, parameters: HostParameters): TaskModel {
  const encoder = new Bert(uploadParameters(gpu, parameters), { config, pooling: "mean" });
  return TaskModel.create(gpu, encoder, { task: classification({ labels: ["ham", "spam"] }), seed: 0 });
}

async function valuesOf(model: TaskModel, names: readonly string[]): Promise<Map<string, Float32Array>> {
  const parameters = new Map([...model.namedParameters()].map(([name, each]) => [peerName(name), each]));
  const entries = names.map(async (name) => [name, await parameters.get(name)!.floats()] as const);
  return new Map(await Promise.all(entries));
}

function peerName(name: string): string {
  return name.replace(/^encoder\./, "");
}

function arraysOf({ inputs, targets }: TaskSet) {
  return {
    ids: inputs["inputIds"]!.data as Uint32Array<ArrayBuffer>,
    mask: inputs["attentionMask"]!.data as Float32Array<ArrayBuffer>,
    labels: targets as Int32Array<ArrayBuffer>,
  };
}
