import { join } from "node:path";
import type { Gpu } from "../../src/engine/mod.ts";
import { loadModel } from "../../src/experiment/model/load_model.ts";
import type { Reporter } from "../../src/experiment/mod.ts";
import { FlowerLearner, folderStore, runFlowerNode, type WrittenModel } from "../../src/network/mod.ts";
import { silent } from "./silent_reporter.ts";
import { examplesOfClient, type TinyFederation } from "./tiny_federation.ts";

/** Options of {@link joinTiny}. */
export interface JoinTinyOptions {
  /** Address of the SuperLink. */
  readonly superlink: string;
  /** A tiny project's folder. */
  readonly folder: string;
  readonly client: number;
  readonly federation: TinyFederation;
  /** Has the node leave. */
  readonly signal: AbortSignal;
  readonly writeModel?: (written: WrittenModel) => Promise<void>;
  readonly reporter?: Reporter;
}

/** A node of a tiny federation in this process, until the signal. */
export async function joinTiny(gpu: Gpu, options: JoinTinyOptions): Promise<void> {
  const { superlink, folder, client, federation, signal, writeModel, reporter = silent } = options;
  using learner = new FlowerLearner({
    gpu,
    openModel: (pooling) =>
      loadModel(gpu, {
        model: { source: join(folder, "bert"), pooling },
        precision: "f32",
      }, { reporter }),
    examples: await examplesOfClient(folder, client, federation),
    client,
    reporter,
    store: folderStore(join(folder, `node-${client}`)),
    writeModel,
  });
  await learner.open();
  await runFlowerNode({
    superlink,
    handler: (message) => learner.handle(message),
    // They leave when the run is over: nobody waits for their last reply.
    timing: { poll: 0.2, settle: 0.1 },
    signal,
  });
}
