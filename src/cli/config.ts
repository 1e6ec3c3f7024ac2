import { z } from "zod";
import { methods } from "../fl/mod.ts";

const name = z.string().regex(
  /^[\w-][\w.-]*$/,
  "expected letters, digits, dots, dashes and underscores, no dot in front",
);
const count = z.int().min(1);
const seed = z.int().min(0).max(2 ** 53 - 1);
const share = z.number().min(0).max(0.9);
const rate = z.number().gt(0).max(1e6);

const shares = {
  /** Share of the examples held out to choose settings by. */
  validationShare: share.default(0.1),
  /** Share of the examples held out for the final word. */
  testShare: share.default(0.2),
};

const data = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("spam-assassin"),
    /** Mails drawn at random; all 5,741 by default. */
    maxExamples: count.min(10).optional(),
    ...shares,
  }),
  z.strictObject({
    kind: z.literal("jsonl"),
    /** Path of the examples, relative to the config file. */
    train: z.string().min(1),
    /** Path of the test set; without it `testShare` of the examples is split off. */
    test: z.string().min(1).optional(),
    textColumn: z.string().min(1).default("text"),
    labelColumn: z.string().min(1).default("label"),
    keyColumn: z.string().min(1).optional(),
    /** The classes; by default those that occur among the training examples. */
    labels: z.array(z.string().min(1)).min(2).optional(),
    maxExamples: count.optional(),
    ...shares,
  }),
]);

const partition = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("iid"), numClients: count }),
  z.strictObject({
    kind: z.literal("dirichlet"),
    numClients: count,
    alpha: rate,
    minSize: count.default(1),
  }),
  z.strictObject({ kind: z.literal("by-key") }),
]);

const optimizer = z.discriminatedUnion("name", [
  z.strictObject({
    name: z.literal("adamw"),
    beta1: z.number().min(0).lt(1).default(0.9),
    beta2: z.number().min(0).lt(1).default(0.999),
    epsilon: z.number().gt(0).default(1e-8),
    weightDecay: z.number().min(0).default(0),
  }),
  z.strictObject({
    name: z.literal("sgd"),
    momentum: z.number().min(0).lt(1).default(0),
    weightDecay: z.number().min(0).default(0),
  }),
]);

/** Falls over the rounds; a warm-up round r of w has (r + 1)/(w + 1) of the rate. */
const decay = { warmupRounds: z.int().min(0).default(0), finalShare: z.number().min(0).max(1).default(0) };
const schedule = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("constant") }),
  z.strictObject({ kind: z.literal("linear"), ...decay }),
  z.strictObject({ kind: z.literal("cosine"), ...decay }),
]);

const method = z.strictObject({
  method: z.enum([...methods.keys()]),
  /** Names the method's folder and its row in the table; the method's name by default. */
  label: name.optional(),
  learningRate: rate,
  rank: count.default(8),
  alpha: rate.default(8),
  targets: z.array(z.string().min(1)).min(1).default(["**.attention.*", "**.feedForward.*"]),
  svd: z.enum(["randomized", "exact"]).default("randomized"),
});

const local = z.strictObject({ epochs: count.optional(), steps: count.optional() })
  .refine(
    ({ epochs, steps }) => (epochs === undefined) !== (steps === undefined),
    "expected epochs or steps, one of them",
  );

/**
 * Everything a run depends on: one file gives one result on one adapter. Unknown keys are errors, everything that can have
 * a sensible default has one.
 */
export const configSchema = z.strictObject({
  /** Names the run's folder. */
  name,
  seed: seed.default(1),
  model: z.discriminatedUnion("kind", [z.strictObject({ kind: z.literal("use-lite") })]).default({
    kind: "use-lite",
  }),
  data,
  /** Tokens kept of each text. */
  maxLength: count.max(128).default(64),
  partition,
  methods: z.array(method).min(1).superRefine((list, context) => {
    const labels = list.map(methodLabel);
    labels.forEach((label, i) => {
      if (labels.indexOf(label) < i) {
        context.addIssue({
          code: "custom",
          path: [i],
          message: `"${label}" is there twice: give one a label`,
        });
      }
    });
  }),
  rounds: count,
  /** All by default. */
  clientsPerRound: count.optional(),
  /** Clients trained at once; changes memory and speed, never a bit of the result. `"auto"` is the most that fit. */
  cohortSize: z.union([count, z.literal("auto")], 'expected a positive whole number or "auto"').default(8),
  /** The most bytes of GPU buffers to hold; see `SimulationOptions` of `federa/fl` for the default. */
  maxGpuBytes: count.optional(),
  /** Of the pretrained weights as they are kept: half precision takes half the memory; see `halfPrecision`. */
  precision: z.enum(["f32", "f16"]).default("f32"),
  /** Runs each layer again in the backward pass instead of keeping its activations; saves memory, changes no bit. */
  checkpointing: z.boolean().default(false),
  local: local.default({ epochs: 1 }),
  batchSize: count.default(8),
  optimizer: optimizer.default({ name: "adamw", beta1: 0.9, beta2: 0.999, epsilon: 1e-8, weightDecay: 0 }),
  schedule: schedule.default({ kind: "constant" }),
  /** Longest gradient of one client; unclipped by default. */
  clipNorm: rate.optional(),
  /** Evaluates every so many rounds and after the last; 0 for before the first and after the last alone. */
  evaluateEvery: z.int().min(0).default(1),
  /** The held-out part to evaluate on. Settings are chosen on validation, reported on test. */
  evaluateOn: z.enum(["test", "validation"]).default("test"),
  /** The score that counts as reached; the table says in which round. */
  target: z.strictObject({
    metric: z.enum(["accuracy", "macroF1"]).default("accuracy"),
    value: z.number().gt(0).max(1),
  }).optional(),
  /** Folder that gets a folder for each run, relative to the working directory. */
  output: z.string().min(1).default("runs"),
});

/** A whole, checked configuration. */
export type Config = z.output<typeof configSchema>;
/** A configuration as people write it, without what has a default. */
export type ConfigInput = z.input<typeof configSchema>;
/** One entry of `methods`. */
export type MethodConfig = Config["methods"][number];

/** What names a method of a run. */
export function methodLabel({ method, label }: Pick<MethodConfig, "method" | "label">): string {
  return label ?? method;
}
