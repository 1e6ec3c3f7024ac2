import { z } from "zod";
import { dataFormats } from "../../data/mod.ts";
import { columnsConfig } from "./columns_config.ts";

const count = z.int().min(1);
const share = z.number().min(0).max(0.9);

const shares = {
  /** Share of the examples held out to choose settings by. */
  validationShare: share.default(0.1),
  /** Share of the examples held out for the final word. */
  testShare: share.default(0.2),
};

/** Where the examples come from. */
export const dataConfig = z.discriminatedUnion("kind", [
  z.strictObject({
    kind: z.literal("spam-assassin"),
    /** Mails drawn at random; all 5,741 by default. */
    maxExamples: count.min(10).optional(),
    ...shares,
  }),
  z.strictObject({
    kind: z.literal("files"),
    /** Path of the examples, relative to the configuration. */
    train: z.string().min(1),
    /** Path of the test set; without it `testShare` of the examples is split off. */
    test: z.string().min(1).optional(),
    /** By default as the extension of the file says. */
    format: z.enum(dataFormats).optional(),
    /** Whether quotation marks enclose values of CSV or TSV, or are part of them, as in GLUE's. */
    quotes: z.boolean().default(true),
    columns: columnsConfig.default({}),
    /** Names of the outputs; by default those that occur among the examples of `train`. */
    labels: z.array(z.string().min(1)).min(1).optional(),
    maxExamples: count.optional(),
    ...shares,
  }),
]);
