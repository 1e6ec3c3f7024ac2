import {
  BlockTraining,
  countTokens,
  disposeOwn,
  evaluate,
  packBatches,
  sizeOf,
  type TaskModel,
  type Tokenizer,
} from "federa";
import type { Forecast, Settings } from "./alone_calls.ts";
import { type Data, prepareSets } from "./data.ts";
import { methodOf, startFrom } from "./method.ts";

/** What is about to be trained on. */
export interface ForecastInput {
  readonly pretrained: TaskModel;
  readonly tokenizer: Tokenizer;
  readonly data: Data;
}

/**
 * Finds out what training will take, by rehearsing it without the device: the start, a step on the longest texts and a score.
 *
 * @throws {OutOfMemoryError} when a tensor is larger than the adapter allows.
 */
export async function forecast(
  { pretrained, tokenizer, data }: ForecastInput,
  settings: Settings,
): Promise<Forecast> {
  const { gpu } = pretrained;
  const { batchSize, learningRate, epochs, maxLength, seed } = settings;
  const { train, test } = prepareSets(data, tokenizer, settings);
  const lengths = Array.from({ length: train.size }, (_, row) => countTokens(train, row) ?? train.length);
  const longest = [...lengths.keys()].sort((a, b) => lengths[b]! - lengths[a]!).slice(0, batchSize);
  let numTrained = 0;
  const peakBytes = await gpu.rehearse(async () => {
    const { model, trained } = await startFrom(methodOf(settings), pretrained, seed);
    const parameters = new Map(model.namedParameters());
    const start = new Map(trained.map((name) => [name, parameters.get(name)!]));
    numTrained = [...start.values()].reduce((total, { shape }) => total + sizeOf(shape), 0);
    const training = new BlockTraining(model, start, {
      // The second step finds the optimizer's state.
      batches: packBatches(train, [[longest, longest]], batchSize),
      optimizer: { name: "adamw" },
      learningRate,
      clipNorm: 1,
    });
    for (let step = 0; step < 2; step++) training.step();
    await evaluate(model, test);
    training[Symbol.dispose]();
    disposeOwn(model, pretrained);
  });
  const modelBytes = gpu.stats().liveBytes;
  return {
    peakBytes: modelBytes + peakBytes,
    modelBytes,
    steps: epochs * Math.ceil(train.size / batchSize),
    numTrained,
    numFull: lengths.filter((length) => length === maxLength).length,
  };
}
