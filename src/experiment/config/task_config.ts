import { z } from "zod";

const count = z.int().min(1);

/** The task to learn; a string alone is its kind. */
export const taskConfig = z.preprocess(
  (value) => typeof value === "string" ? { kind: value } : value,
  z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("sequence-classification") }),
    z.strictObject({
      kind: z.literal("multi-label-classification"),
      /** The probability from which a label counts as predicted. */
      threshold: z.number().gt(0).lt(1).default(0.5),
    }),
    z.strictObject({ kind: z.literal("regression") }),
    z.strictObject({ kind: z.literal("token-classification") }),
    z.strictObject({
      kind: z.literal("question-answering"),
      /** Tokens of a context that a window shares with the one before it; a third of `maxLength` by default. */
      stride: z.int().min(0).optional(),
      /** Tokens of the longest answer. */
      maxAnswerLength: count.default(30),
      /** Candidates of a prediction. */
      nBest: count.default(20),
      /**
       * By how much the score of no answer must exceed the best answer's. `"tune"` picks the best on the validation part after
       * training, and uses 0 until then. By default it is 0 if some questions have no answer; otherwise every question is answered.
       */
      noAnswerThreshold: z.union([z.number(), z.literal("tune")], 'expected a number or "tune"').optional(),
    }),
  ]),
);

/** A task and its settings. */
export type TaskConfig = z.output<typeof taskConfig>;
