import { createHash } from "node:crypto";
import type { MethodConfig } from "../../../../experiment/config/config.ts";
import { USE_LITE } from "../../../../experiment/config/model_config.ts";
import type { Experiment } from "../../../../experiment/run/experiment.ts";
import type { Tree } from "../../../../fl/tree.ts";
import type { Method } from "../../../../fl/mod.ts";
import type { ModelFile, ModelFiles } from "../../../../hub/mod.ts";
import { openWeights, readEncoderConfig, readUseLite, TransformerEncoder } from "../../../../models/mod.ts";
import type { TaskModel } from "../../../../tasks/mod.ts";
import type { Objects } from "../../objects.ts";
import { encodeMessage, type Job, type ObjectReference } from "../messages.ts";
import { fingerprintOf, frozenHash, kindOf } from "../bits_node.ts";
import { encodeHost } from "../state_bytes.ts";
import { encodeSharedOut } from "../task_set_bytes.ts";

/** Bytes of a file that are read at a time. */
const partBytes = 4 << 20;

/** What {@linkcode describeJob} needs of the first round of a method. */
export interface JobStart {
  readonly experiment: Experiment;
  readonly config: MethodConfig;
  readonly method: Method;
  /** The global model, and the state that it is in. */
  readonly model: TaskModel;
  readonly state: Tree;
}

/** Puts all that workers need for a method into a bucket, and what it is. */
export async function describeJob(
  objects: Objects,
  start: JobStart,
): Promise<{ readonly job: Job; readonly reference: ObjectReference }> {
  const { experiment, config: chosen, method, model, state } = start;
  const { config, gpu, train, clients, pretrained, draw, seed } = experiment;
  const job: Job = {
    format: "federa-job",
    version: 1,
    kind: kindOf(gpu),
    config: JSON.parse(JSON.stringify(config)),
    method: config.methods.indexOf(chosen),
    draw,
    seed,
    labels: [...pretrained.task.labels],
    base: await shareBase(objects, experiment),
    data: await share(objects, encodeSharedOut({ train, clients })),
    fingerprint: await fingerprintOf(pretrained, train),
    frozen: await frozenHash(model, method, state),
  };
  return { job, reference: await share(objects, encodeMessage(job)) };
}

/** Puts bytes into a bucket. */
export async function share(objects: Objects, bytes: Uint8Array): Promise<ObjectReference> {
  return { sha256: await objects.put(bytes), size: bytes.length };
}

/** Puts the files of the pretrained model that its loading reads into a bucket. */
async function shareBase(objects: Objects, { model, config }: Experiment): Promise<Job["base"]> {
  const { checkpoint, encoder } = model;
  if (checkpoint === undefined) {
    if (config.model.source !== USE_LITE) {
      throw new TypeError(`Cannot share the model ${config.model.source}`);
    }
    const { parameters } = await readUseLite();
    return { kind: "use-lite", parameters: await share(objects, encodeHost(parameters, {})) };
  }
  const files = [];
  for (const name of await namesOfFiles(checkpoint.files)) {
    const file = (await checkpoint.files.open(name))!;
    try {
      const { size } = file;
      const hash = createHash("sha256");
      for await (const part of partsOf(file)) hash.update(part);
      const sha256 = hash.digest("hex");
      await objects.putParts({ sha256, size }, () => partsOf(file));
      files.push({ name, sha256, size });
    } finally {
      await file.close();
    }
  }
  const pooling = encoder instanceof TransformerEncoder ? encoder.pooling : null;
  return { kind: "checkpoint", pooling, files };
}

/** The files that the loading of an encoder opens. */
async function namesOfFiles(files: ModelFiles): Promise<string[]> {
  const names = new Set<string>();
  const noted: ModelFiles = {
    source: files.source,
    has: (name) => files.has(name),
    async open(name) {
      const file = await files.open(name);
      if (file !== undefined) names.add(name);
      return file;
    },
  };
  await readEncoderConfig(noted);
  await (await openWeights(noted)).close();
  return [...names];
}

async function* partsOf(file: ModelFile): AsyncGenerator<Uint8Array, undefined> {
  for (let begin = 0; begin < file.size; begin += partBytes) {
    yield await file.read(begin, Math.min(file.size, begin + partBytes));
  }
  return undefined;
}
