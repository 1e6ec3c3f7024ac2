import { z } from "zod";
import { codecConfig, measures } from "../../../../fl/mod.ts";
import { aggregatorConfig } from "../../../../experiment/config/aggregator_config.ts";
import { dataConfig } from "../../../../experiment/config/data_config.ts";
import { type MethodConfig, methodConfig } from "../../../../experiment/config/method_config.ts";
import { modelConfig, precisionConfig } from "../../../../experiment/config/model_config.ts";
import { folderName, path } from "../../../../experiment/config/names.ts";
import { type PrivacyConfig, privacyConfig } from "../../../../experiment/config/privacy_config.ts";
import { taskConfig } from "../../../../experiment/config/task_config.ts";
import {
  batchSizeConfig,
  count,
  defaultOptimizer,
  localConfig,
  optimizerConfig,
  rate,
  scheduleConfig,
  seedConfig,
  steps,
} from "../../../../experiment/config/training_config.ts";
import { nameSchema } from "../subjects.ts";

const seconds = z.number().gt(0).max(1e7);

/** Files of a test set, read as those of a run are. */
const testConfig = dataConfig.options[1].omit({
  kind: true,
  train: true,
  test: true,
  labels: true,
  maxExamples: true,
  validationShare: true,
  testShare: true,
}).extend({
  /** Path, or paths, of the examples, relative to the configuration. */
  files: z.union([path, z.array(path).min(1)]),
});

/**
 * What a host decides: everything of a run's configuration but the data to train on, which participants have, and how many of these there
 * are. Unknown keys are errors, everything that can have a sensible default has one.
 */
export const hostConfigSchema = z.strictObject({
  /** Names the federation, in the subjects on the NATS server too, and the folder of its run. */
  name: nameSchema.and(folderName),
  /** Who hosts it, in words for participants. */
  host: z.string().min(1).max(1000).default("unnamed"),
  seed: seedConfig.default(1),
  model: modelConfig,
  precision: precisionConfig.default("f32"),
  task: taskConfig.default({ kind: "sequence-classification" }),
  /** Names of the outputs, in their order: participants' labels must be among them. */
  labels: z.array(z.string().min(1)).min(1).optional(),
  /** Tokens of a text, special ones included, or of a window on it. */
  maxLength: steps.default(64),
  /** The method with its options and learning rate. */
  method: methodConfig,
  /** How the server combines uploads; the mean by default. */
  aggregator: aggregatorConfig.optional(),
  /** What protects participants' privacy; nothing by default. Its noise is secret unless it says otherwise. */
  privacy: privacyConfig.optional(),
  rounds: steps,
  /** How many participants it begins with. */
  participants: count.max(1e6),
  /** How many of them a round asks; all by default. */
  clientsPerRound: count.max(1e6).optional(),
  /** How many uploads a round must have to count; two by default, or all where it asks fewer. */
  minimum: count.max(1e6).optional(),
  /** Seconds to wait for participants that are missing, for the answers of a round, and for a word of one. */
  gatherSeconds: seconds.default(3600),
  roundSeconds: seconds.default(600),
  silenceSeconds: seconds.default(60),
  local: localConfig.default({ epochs: 1 }),
  batchSize: batchSizeConfig.default(8),
  optimizer: optimizerConfig.default(defaultOptimizer),
  schedule: scheduleConfig.default({ kind: "constant" }),
  codec: codecConfig.default({ name: "f32" }),
  clipNorm: rate.optional(),
  /** What the host scores the global model on; without it there are the losses alone. */
  test: testConfig.optional(),
  evaluateEvery: z.int().min(0).default(1),
  measures: z.array(z.enum([...measures.keys()])).optional(),
  /** Whether participants with test data of their own score each evaluated model on it, and tell the host. */
  clientScores: z.boolean().default(false),
  /** Whether participants get the global model at the end. */
  sharesModel: z.boolean().default(true),
  keepBest: z.boolean().default(false),
  /** Folder that gets a folder for each run. */
  output: path.default("runs"),
}).superRefine((config, context) => {
  const { task: { kind }, labels, clientsPerRound, participants, minimum, schedule, rounds, keepBest, test } =
    config;
  const refuse = (path: string, message: string) =>
    context.addIssue({ code: "custom", path: path.split("."), message });
  if (labels === undefined && kind !== "question-answering") {
    refuse("labels", "expected the names of the outputs, as participants must agree on them");
  }
  const twice = labels?.find((each, i) => labels.indexOf(each) < i);
  if (twice !== undefined) refuse("labels", `${JSON.stringify(twice)} is there twice`);
  if (clientsPerRound !== undefined && clientsPerRound > participants) {
    refuse("clientsPerRound", `expected at most participants (${participants}), got ${clientsPerRound}`);
  }
  const asked = clientsPerRound ?? participants;
  if (minimum !== undefined && minimum > asked) {
    refuse("minimum", `expected at most as many as a round asks (${asked}), got ${minimum}`);
  }
  if (schedule.kind !== "constant" && schedule.warmupRounds > rounds) {
    refuse("schedule.warmupRounds", `expected at most rounds (${rounds}), got ${schedule.warmupRounds}`);
  }
  if (keepBest && (test === undefined || config.evaluateEvery === 0)) {
    refuse("keepBest", "expected test and evaluateEvery, as it goes by the scores of rounds");
  }
  if (config.method.asynchrony || config.method.secureAggregation) {
    refuse(
      "method",
      config.method.asynchrony
        ? "a host waits for the answers of a round: leave asynchrony out"
        : "a host sees each upload, so that secure aggregation would protect nobody: leave it out",
    );
  }
}).transform(({ privacy, ...config }) => ({
  ...config,
  minimum: config.minimum ?? Math.min(2, config.clientsPerRound ?? config.participants),
  method: withSecretNoise(
    {
      ...config.method,
      ...(config.method.privacy ?? privacy ? { privacy: config.method.privacy ?? privacy } : {}),
    } as MethodConfig,
  ),
  measures: config.measures ?? [],
}));

/** A whole, checked configuration of a host. */
export type HostConfig = z.output<typeof hostConfigSchema>;
/** A configuration of a host as people write it. */
export type HostConfigInput = z.input<typeof hostConfigSchema>;

function withSecretNoise(method: MethodConfig): MethodConfig {
  const { privacy } = method;
  return privacy === undefined || privacy.kind === "none"
    ? method
    : { ...method, privacy: { ...privacy, noise: "secret" } as PrivacyConfig };
}
