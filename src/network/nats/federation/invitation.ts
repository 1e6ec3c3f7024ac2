import { z } from "zod";
import { codecConfig } from "../../../fl/mod.ts";
import { buildTask } from "../../../experiment/model/build_task.ts";
import { methodConfig } from "../../../experiment/config/method_config.ts";
import { precisionConfig } from "../../../experiment/config/model_config.ts";
import { taskConfig } from "../../../experiment/config/task_config.ts";
import {
  batchSizeConfig,
  localConfig,
  optimizerConfig,
  rate,
  seedConfig,
  steps,
} from "../../../experiment/config/training_config.ts";
import type { Task } from "../../../tasks/mod.ts";
import { nameSchema } from "./subjects.ts";

const seconds = z.number().gt(0).max(1e9);
const text = z.string().max(1000);

/** What a host says of its federation before anybody joins. */
export const invitationSchema = z.strictObject({
  federation: nameSchema,
  /** One run of it; what a participant kept is of use in the same run alone. */
  run: z.string().regex(/^[0-9a-f]{32}$/),
  /** Who hosts it, in words. */
  host: text,
  software: text,
  task: taskConfig,
  /** Names of the outputs, in their order. */
  labels: z.array(z.string().min(1).max(1000)).min(1).max(1e5),
  /** Where the host has the pretrained model from; what counts is the fingerprint of its encoder. */
  model: z.strictObject({
    source: text,
    pooling: z.enum(["mean", "cls", "pooler"]).optional(),
    precision: precisionConfig,
    fingerprint: z.string().regex(/^[0-9a-f]{64}$/),
  }),
  maxLength: steps,
  seed: seedConfig,
  method: methodConfig,
  codec: codecConfig,
  local: localConfig,
  batchSize: batchSizeConfig,
  optimizer: optimizerConfig,
  clipNorm: rate.optional(),
  rounds: steps,
  /** How many participants it begins with, and how many each round asks; all by default. */
  participants: steps,
  clientsPerRound: steps.optional(),
  /** How many uploads a round must have to count: the mean of fewer would show too much of each. */
  minimum: steps,
  /** Seconds that a participant has for a round, and after how many without a word it counts as gone. */
  roundSeconds: seconds,
  silenceSeconds: seconds,
  /** Whether participants with test data of their own score each evaluated model on it, and tell the host. */
  clientScores: z.boolean().optional(),
  /** Whether participants get the global model at the end. */
  sharesModel: z.boolean(),
});

/** What a host says of its federation: all that a participant needs to take part, and to decide whether to. */
export type Invitation = z.output<typeof invitationSchema>;

/** What a side says that it is. */
export const SOFTWARE = "federa";

/** The task of a federation. */
export function invitedTask({ task, labels }: Pick<Invitation, "task" | "labels">): Task {
  return buildTask(task, labels);
}
