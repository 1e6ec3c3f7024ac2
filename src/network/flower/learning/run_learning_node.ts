import { join } from "node:path";
import { makeFolder } from "../../../data/mod.ts";
import type { Gpu, Precision } from "../../../engine/mod.ts";
import type { ReadingOptions } from "../../../experiment/config/data_config.ts";
import { readExamples } from "../../../experiment/data/read_examples.ts";
import { type LoadOptions, writeModelFolder } from "../../../experiment/mod.ts";
import { openModel } from "../../../experiment/model/load_model.ts";
import type { TaskKind } from "../../../tasks/mod.ts";
import { describeFlowerEvent } from "../event.ts";
import { type FlowerNodeOptions, parseSuperlink, runFlowerNode } from "../node/run_flower_node.ts";
import { folderStore } from "./folder_store_node.ts";
import { FlowerLearner } from "./learner.ts";

/** Options of {@linkcode runLearningNode}. */
export interface LearningNodeOptions
  extends LoadOptions, Pick<FlowerNodeOptions, "superlink" | "caFile" | "insecure" | "timing"> {
  /** Source of the base model: a folder, `hf:owner/name` or `npm:package@version`. */
  readonly model: string;
  /** How its weights are stored; `f32` by default. */
  readonly precision?: Precision | undefined;
  /** The node's own examples; they never leave it. */
  readonly data: string | readonly string[];
  /** Examples that it scores models on; by default those that it trains on. */
  readonly test?: string | readonly string[] | undefined;
  /** What the examples are for; `sequence-classification` by default. */
  readonly task?: TaskKind | undefined;
  /** How the files are read; by their extensions by default. */
  readonly reading?: Partial<ReadingOptions> | undefined;
  /** Names of the outputs, in their order, where the node insists on them; by default as the server says. */
  readonly labels?: readonly string[] | undefined;
  /** Its number among the clients, from 0: its batches are drawn by it. */
  readonly client: number;
  /** Folder of its key and of what it must go on with after it was killed; one for each node. */
  readonly folder: string;
  /** Folder that gets the model of the last round, for `federa predict`; none by default. */
  readonly save?: string | undefined;
}

/**
 * Takes part in federations of Flower as a node of its own, training and scoring on its own files what a ServerApp as that of
 * `examples/flower` asks for, until the signal (Node only).
 *
 * @throws as `runFlowerNode`, and what reading the files and the model throw, before the node joins.
 *
 * @example
 * ```ts no-run
 * using gpu = await openTunedGpu(reporter);
 * await runLearningNode(gpu, {
 *   superlink: "http://127.0.0.1:8000",
 *   model: "hf:sentence-transformers/all-MiniLM-L6-v2",
 *   data: "mine.jsonl",
 *   client: 0,
 *   folder: "node-0",
 *   reporter,
 * });
 * ```
 */
export async function runLearningNode(gpu: Gpu, options: LearningNodeOptions): Promise<void> {
  const { task: kind = "sequence-classification", data, test, labels, client, folder, save } = options;
  const { model: source, precision = "f32", reporter, signal, reading } = options;
  // Before anything is read.
  parseSuperlink(options);
  const reads = { ...reading, labels, signal, onNotice: (message: string) => reporter.line(message) };
  const examples = {
    kind,
    train: await readExamples(kind, data, reads),
    test: test === undefined ? undefined : await readExamples(kind, test, reads),
    labels,
  };
  await makeFolder(folder);
  using learner = new FlowerLearner({
    gpu,
    examples,
    client,
    reporter,
    store: folderStore(join(folder, "runs")),
    async openModel(pooling) {
      const choosesPooling = kind !== "token-classification" && kind !== "question-answering";
      const opened = await openModel(gpu, { model: { source, pooling }, precision }, {
        reporter,
        signal,
        choosesPooling,
      });
      return await opened.load();
    },
    precision,
    ...(save !== undefined && {
      writeModel: async ({ model, ...written }) => {
        await makeFolder(save);
        await writeModelFolder(save, model, written);
        reporter.line(`Wrote the model to ${save}`);
      },
    }),
  });
  await learner.open();
  reporter.line(
    `Client ${client} has ${examples.train.length} examples to train on` +
      (examples.test === undefined
        ? ", and is scored on them"
        : ` and ${examples.test.length} to be scored on`),
  );
  await runFlowerNode({
    ...options,
    keyFile: join(folder, "node.key"),
    handler: (message) => learner.handle(message),
    onEvent: (event) => {
      // The learner reports what arrived.
      if (event.type !== "received") reporter.line(describeFlowerEvent(event));
    },
  });
}
