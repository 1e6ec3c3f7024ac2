import { z } from "zod";

/** A positive whole number. */
export const count = z.int().min(1);
/** Larger than any run needs; the limits of the model, the data and the device are checked later. */
export const steps = count.max(1e6);
/** Examples of a batch. */
export const batchSizeConfig = count.max(2 ** 16);
/** Seeds everything random. */
export const seedConfig = z.int().min(0).max(2 ** 53 - 1);
/** A learning rate, or the length of a gradient. */
export const rate = z.number().gt(0).max(1e6);

/** What clients descend by. */
export const optimizerConfig = z.discriminatedUnion("name", [
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

/** How the learning rate goes over the rounds. */
export const scheduleConfig = z.discriminatedUnion("kind", [
  z.strictObject({ kind: z.literal("constant") }),
  z.strictObject({ kind: z.literal("linear"), ...decay }),
  z.strictObject({ kind: z.literal("cosine"), ...decay }),
]);

/** How much a client trains each round. */
export const localConfig = z.strictObject({ epochs: steps.optional(), steps: steps.optional() })
  .refine(
    ({ epochs, steps }) => (epochs === undefined) !== (steps === undefined),
    "expected epochs or steps, one of them",
  );

/** The optimizer of a configuration that says nothing of it. */
export const defaultOptimizer = {
  name: "adamw",
  beta1: 0.9,
  beta2: 0.999,
  epsilon: 1e-8,
  weightDecay: 0,
} as const;
