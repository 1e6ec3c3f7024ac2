import { basename } from "node:path";
import type { Gpu } from "../../../../engine/mod.ts";
import { checkLabels } from "../../../../experiment/data/check_labels.ts";
import type { LoadOptions } from "../../../../experiment/data/load_data.ts";
import { prepareAnswers } from "../../../../experiment/data/prepare_set.ts";
import { readExamples } from "../../../../experiment/data/read_examples.ts";
import { buildTask } from "../../../../experiment/model/build_task.ts";
import { type LoadedModel, openModel } from "../../../../experiment/model/load_model.ts";
import { withDefaultThreshold } from "../../../../experiment/model/no_answer.ts";
import { disposeHead } from "../../../../experiment/run/prepare.ts";
import { createCodec } from "../../../../fl/mod.ts";
import { createMethod } from "../../../../experiment/config/method_config.ts";
import { parseModelSpec } from "../../../../hub/model_spec.ts";
import { TaskModel, type TaskSet } from "../../../../tasks/mod.ts";
import { checkHosted } from "./check_hosted.ts";
import type { HostSettings } from "./host.ts";
import type { HostConfig } from "./host_config.ts";

/** What a host needs before it invites anybody. */
export interface PreparedHost {
  readonly config: HostConfig;
  readonly settings: HostSettings;
  readonly pretrained: TaskModel;
  readonly model: LoadedModel;
  /** What the global model is scored on, if the host has anything. */
  readonly test: TaskSet | undefined;
  /** Frees the head. */
  [Symbol.dispose](): void;
}

/**
 * Loads what the configuration of a host names. The weights come last, after every check that doesn't need them.
 *
 * @throws {FederationError} or {TypeError} when the method can't be hosted, or doesn't fit the model.
 * @throws {ConfigError} when the test set can't be read, or has labels that aren't the federation's.
 * @throws as opening the model throws.
 */
export async function prepareHost(
  given: HostConfig,
  gpu: Gpu,
  options: LoadOptions,
): Promise<PreparedHost> {
  const { reporter, signal } = options;
  const { test: files, maxLength, seed, labels } = given;
  const { kind } = given.task;
  const onNotice = (line: string) => reporter.line(line);
  const examples = files && await readExamples(kind, files.files, { ...files, labels, signal, onNotice });
  const config = { ...given, task: withDefaultThreshold(given.task, examples ?? [], { reporter }) };
  const task = buildTask(config.task, labels ?? []);
  if (examples !== undefined) {
    const advice = "add it to labels to give it an output, or correct the file";
    checkLabels(examples, { kind, labels: task.labels, owner: "labels", advice });
  }
  const opened = await openModel(gpu, config, { ...options, choosesPooling: !task.perToken });
  const settingsOf = (model: Pick<LoadedModel, "source" | "pooling">): HostSettings => {
    const {
      name: federation,
      output: _,
      test: __,
      schedule: ___,
      evaluateEvery: ____,
      measures: _____,
      keepBest: ______,
      gatherSeconds: _______,
      labels: ________,
      precision,
      model: { pooling = task.perToken ? undefined : model.pooling },
      ...rest
    } = config;
    return {
      ...rest,
      federation,
      model: { source: publicSource(model.source), ...(pooling && { pooling }), precision },
    };
  };
  gpu.rehearse(() => {
    const skeleton = TaskModel.create(gpu, opened.skeleton(), { task, seed });
    checkHosted(createMethod(config.method), {
      settings: settingsOf({ source: opened.source }),
      codec: createCodec(config.codec),
      pretrained: skeleton,
    });
  });
  const tokenizer = await opened.tokenizer();
  const test = examples &&
    prepareAnswers(task, examples, { tokenizer, reporter, maxLength, what: "texts to test on" });
  reporter.progress("loading weights", 0, 0);
  const model = await opened.load();
  reporter.endProgress();
  const pretrained = TaskModel.create(gpu, model.encoder, { task, seed });
  return {
    config,
    settings: settingsOf(model),
    pretrained,
    model,
    test,
    [Symbol.dispose]: () => disposeHead(pretrained),
  };
}

/** What participants are told of where a model is from: of a folder, its name alone. */
function publicSource(source: string): string {
  return source !== "use-lite" && parseModelSpec(source).kind === "folder" ? basename(source) : source;
}
