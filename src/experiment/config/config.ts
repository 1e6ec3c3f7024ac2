import { z } from "zod";
import { codecConfig, measures, measuresOfEach } from "../../fl/mod.ts";
import { aggregatorConfig } from "./aggregator_config.ts";
import { asynchronyConfig } from "./asynchrony_config.ts";
import { attackersConfig } from "./attackers_config.ts";
import { columnProblem } from "./columns_config.ts";
import { dataConfig } from "./data_config.ts";
import { type MethodConfig, methodConfig, methodLabel } from "./method_config.ts";
import { folderName, path } from "./names.ts";
import { checkPrivacyPlan, type PrivacyConfig, privacyConfig } from "./privacy_config.ts";
import { modelConfig, precisionConfig, USE_LITE } from "./model_config.ts";
import { partitionConfig, partitionProblems } from "./partition_config.ts";
import { secureAggregationConfig } from "./secure_aggregation_config.ts";
import { taskConfig } from "./task_config.ts";
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
} from "./training_config.ts";

/** Larger than any run needs; the limits of the model, the data and the device are checked later. */
const clients = count.max(1e7);
/** How many, or which seeds. */
const replicates = z.union(
  [count.max(1000), z.array(seedConfig).min(1).max(1000)],
  "expected how many, from 1 to 1000, or a list of seeds",
);

const blockSize = z.union([count, z.literal("auto")], 'expected a positive whole number or "auto"');

/**
 * Everything a run depends on: one file gives one result on one adapter. Unknown keys are errors, everything that can have
 * a sensible default has one.
 */
export const configSchema = z.strictObject({
  /** Names the run's folder. */
  name: folderName,
  /** Seeds everything random; with `draws` and `seeds`, only the sampling and splitting of the data. */
  seed: seedConfig.default(1),
  /**
   * Draws of the partition: how many, seeded by `seed`, `seed` + 1 and so on, or a list of their seeds. By default one, seeded
   * by `seed`. Every method runs on every draw with every seed.
   */
  draws: replicates.optional(),
  /** Seeds of the head, the adapters, the batches and the sampled clients: how many, or which, like `draws`. By default `seed`. */
  seeds: replicates.optional(),
  model: modelConfig.default({ source: USE_LITE }),
  task: taskConfig.default({ kind: "sequence-classification" }),
  data: dataConfig,
  /** Tokens of a text, special ones included, or of a window on it. */
  maxLength: steps.default(64),
  partition: partitionConfig,
  methods: z.array(methodConfig).min(1).superRefine((list, context) => {
    // Some file systems ignore case.
    const labels = list.map((each) => methodLabel(each).toLowerCase());
    labels.forEach((label, i) => {
      if (labels.indexOf(label) < i) {
        context.addIssue({
          code: "custom",
          path: [i],
          message: `"${methodLabel(list[i]!)}" is used twice: give one of them a label`,
        });
      }
    });
  }),
  rounds: steps,
  /** All by default. */
  clientsPerRound: clients.optional(),
  /** Clients trained at once; changes memory and speed, never a bit of the result. `"auto"` is the most that fit. */
  blockSize: blockSize.optional(),
  /** The former name of `blockSize`. */
  cohortSize: blockSize.optional(),
  /** The most bytes of GPU buffers to hold; see `SimulationOptions` of `federa/fl` for the default. */
  maxGpuBytes: count.optional(),
  /** How the pretrained weights are kept: `f16` takes half the memory, `int8` a quarter; see `inPrecision`. */
  precision: precisionConfig.default("f32"),
  /** Runs each layer again in the backward pass instead of keeping its activations; saves memory, changes no bit. */
  checkpointing: z.boolean().default(false),
  local: localConfig.default({ epochs: 1 }),
  batchSize: batchSizeConfig.default(8),
  optimizer: optimizerConfig.default(defaultOptimizer),
  schedule: scheduleConfig.default({ kind: "constant" }),
  /** How uploads are put into bytes, by name or with options; what is aggregated is what arrives. */
  codec: codecConfig.default({ name: "f32" }),
  /** How the server combines uploads, by name or with options; entries of `methods` may have their own. The mean by default. */
  aggregator: aggregatorConfig.optional(),
  /** Whether the server gets sums of uploads alone, by the protocol of secure aggregation, and its options; entries of `methods` may have their own. */
  secureAggregation: secureAggregationConfig.optional(),
  /**
   * Whether the server moves without waiting for all that it asked, on a simulated clock, and how; `rounds` are then its updates. Entries of
   * `methods` may have their own. Not by default.
   */
  asynchrony: asynchronyConfig.optional(),
  /** Hostile clients, to find out what a rule withstands: a share of all, and what they do. Nobody by default. */
  attackers: attackersConfig.optional(),
  /** What protects clients' privacy; entries of `methods` may have their own, or `"none"`. Nothing by default. */
  privacy: privacyConfig.optional(),
  /** Longest gradient of one client; unclipped by default. */
  clipNorm: rate.optional(),
  /** Evaluates every so many rounds and after the last; 0 for before the first and after the last alone. */
  evaluateEvery: z.int().min(0).default(1),
  /**
   * What is observed of each round beside scores and bytes. By default aggregation error and weight variation; the latter alone where
   * secure aggregation or differential privacy lets nothing look at single uploads, or an asynchronous update has those of several models.
   */
  measures: z.array(z.enum([...measures.keys()])).optional(),
  /**
   * Whether each client is also tested on its own part of the test set, shared out like its training data: the report then has mean, worst
   * tenth and spread over clients. Always so where clients see the classes permuted.
   */
  clientScores: z.boolean().default(false),
  /** Also leaves the models of clients that have parameters or a rank of their own, in the method's folder `clients`. */
  clientModels: z.boolean().default(false),
  /** The held-out part to evaluate on. Settings are chosen on validation, reported on test. */
  evaluateOn: z.enum(["test", "validation"]).default("test"),
  /** The score that counts as reached; the table says in which round. */
  target: z.strictObject({
    /** One of the task's scores; its first by default. */
    metric: z.string().min(1).optional(),
    value: z.number().gt(-1).max(1),
  }).optional(),
  /**
   * Ends a method before its last round: once the target is reached, or after so many rounds without a better score of the target's
   * metric, by default the task's first.
   */
  stopEarly: z.strictObject({
    atTarget: z.boolean().default(false),
    patience: count.optional(),
  }).refine(
    ({ atTarget, patience }) => atTarget || patience !== undefined,
    "expected atTarget: true or patience, or both",
  ).optional(),
  /** Also keeps the model of the round with the best score, in the folder `best` of its method. */
  keepBest: z.boolean().default(false),
  /** Where clients keep what they need in later rounds, such as control variates: in memory, or in files of the run's folder. */
  clientState: z.enum(["memory", "disk"]).default("memory"),
  /** How often a run may go on by itself on a new device after it has lost one. */
  maxDeviceLosses: z.int().min(0).max(1000).default(3),
  /** Folder that gets a folder for each run, relative to the working directory. */
  output: path.default("runs"),
}).superRefine((config, context) => {
  const { task, data, partition, model, schedule, rounds, seed, draws, seeds } = config;
  const refuse = (path: string, message: string) =>
    context.addIssue({ code: "custom", path: path.split("."), message });
  if (config.blockSize !== undefined && config.cohortSize !== undefined) {
    refuse("cohortSize", "it is the former name of blockSize: leave one of them out");
  }
  if (schedule.kind !== "constant" && schedule.warmupRounds > rounds) {
    refuse("schedule.warmupRounds", `expected at most rounds (${rounds}), got ${schedule.warmupRounds}`);
  }
  const { stopEarly, keepBest, evaluateEvery, target } = config;
  if (stopEarly?.atTarget && target === undefined) {
    refuse("stopEarly.atTarget", "expected a target, got none: add target");
  }
  if ((stopEarly !== undefined || keepBest) && evaluateEvery === 0) {
    refuse(
      "evaluateEvery",
      "expected at least 1, as stopEarly and keepBest go by the scores of rounds, got 0",
    );
  }
  for (const [name, given] of Object.entries({ draws, seeds })) {
    if (typeof given === "number" && seed > Number.MAX_SAFE_INTEGER - (given - 1)) {
      refuse(name, `expected seeds up to 2^53 - 1, got ${given} from ${seed}: lower seed`);
    }
    if (typeof given === "object" && new Set(given).size < given.length) {
      refuse(name, `${given.find((each, i) => given.indexOf(each) < i)} is there twice`);
    }
  }
  const seeing = (config.measures ?? []).findIndex((name) => measuresOfEach.has(name));
  const hiding = hidingOf(config);
  if (seeing >= 0 && hiding !== undefined) {
    refuse(
      `measures.${seeing}`,
      `${config.measures![seeing]} looks at the upload of each client, and ${hiding}: leave it out`,
    );
  }
  const { clientsPerRound } = config;
  const numClients = "numClients" in partition ? partition.numClients : undefined;
  for (const [i, method] of numClients === undefined ? [] : config.methods.entries()) {
    try {
      checkPrivacyPlan(method.privacy ?? config.privacy, {
        name: method.method,
        numClients: numClients!,
        clientsPerRound,
        rounds,
      });
    } catch (error) {
      if (!(error instanceof Error)) throw error;
      const path = method.privacy ? ["methods", i, "privacy"] : ["privacy"];
      context.addIssue({ code: "custom", path, message: error.message });
      if (!method.privacy) break;
    }
  }
  const { kind } = task;
  if (data.kind === "spam-assassin" && kind !== "sequence-classification") {
    refuse("data", `mails have one class each: expected the task "sequence-classification", got "${kind}"`);
  }
  const problems = partitionProblems(partition, {
    kind,
    columns: data.kind === "files" ? data.columns : undefined,
  });
  for (const { option, message } of problems) refuse(option, message);
  const problem = data.kind === "files" ? columnProblem(kind, data.columns) : undefined;
  if (problem !== undefined) refuse("data", `columns: ${problem}`);
  if (kind === "question-answering" && model.source === USE_LITE) {
    refuse(
      "model",
      `${USE_LITE} reads no pairs of texts: expected a BERT-like checkpoint for question-answering`,
    );
  }
}).transform(({ cohortSize, ...config }) => ({
  ...config,
  methods: config.methods.map((method): MethodConfig => {
    const privacy = method.privacy ?? config.privacy;
    return privacy === undefined ? method : { ...method, privacy };
  }),
  blockSize: config.blockSize ?? cohortSize ?? 8,
  measures: config.measures ??
    [...hidingOf(config) === undefined ? ["aggregation-error"] : [], "weight-variation"],
}));

/** What hides the upload of each client, or makes nothing of comparing them, in some method of a run, as the end of a sentence. */
function hidingOf(
  { methods, secureAggregation, asynchrony, privacy }: {
    readonly methods: readonly MethodConfig[];
    readonly secureAggregation?: false | object | undefined;
    readonly asynchrony?: false | object | undefined;
    readonly privacy?: PrivacyConfig | undefined;
  },
): string | undefined {
  if (methods.some((method) => (method.secureAggregation ?? secureAggregation ?? false) !== false)) {
    return "secure aggregation hides them";
  }
  if (methods.some((method) => (method.asynchrony ?? asynchrony ?? false) !== false)) {
    return "those of an asynchronous update are of several models";
  }
  return methods.some((method) => (method.privacy ?? privacy)?.kind === "dp-fedavg")
    ? "the noise of dp-fedavg covers their sum alone"
    : undefined;
}

/** A whole, checked configuration. */
export type Config = z.output<typeof configSchema>;
/** A configuration as people write it, without what has a default. */
export type ConfigInput = z.input<typeof configSchema>;
export { type MethodConfig, methodLabel };
