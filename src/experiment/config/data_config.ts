import { z } from "zod";
import { dataFormats, encodingOf, isDelimiter } from "../../data/mod.ts";
import { path } from "./names.ts";
import { show } from "./describe_choice.ts";
import { columnsConfig } from "./columns_config.ts";

const count = z.int().min(1);
const share = z.number().min(0).max(0.9);

const shares = {
  /** Share of the examples held out to choose settings by. */
  validationShare: share.default(0.1),
  /** Share of the examples held out for the final word. */
  testShare: share.default(0.2),
};

const paths = z.union(
  [path, z.array(path).min(1)],
  "expected a path without NUL characters, or a list of them",
);

const encoding = z.string().superRefine((name, context) => {
  try {
    encodingOf(name);
  } catch (error) {
    context.addIssue({ code: "custom", message: (error as Error).message });
  }
});

const reading = {
  /** By default as the extension of the file says. */
  format: z.enum(dataFormats).optional(),
  /** Whether quotation marks enclose values of CSV or TSV, or are part of them, as in GLUE's. */
  quotes: z.boolean().default(true),
  /** The character between values of CSV or TSV; by default found among commas, semicolons, tabs and vertical bars. */
  delimiter: z.string().refine(isDelimiter, 'expected one character, such as ";" or "\\t"').optional(),
  /** How text is encoded, such as "windows-1252"; by default as a byte order mark says, or else UTF-8. */
  encoding: encoding.optional(),
  /** Names of the columns of CSV or TSV without a line of them, or of CoNLL; columns with an empty name are skipped. */
  header: z.array(z.string()).min(1).optional(),
  columns: columnsConfig.default({}),
  /** Whether a file with examples that have no label is refused, or they are dropped and counted. */
  missingLabels: z.enum(["refuse", "drop"]).default("refuse"),
};

/** How data files are read. */
export const readingConfig = z.strictObject(reading);

/** How data files are read, recorded so that other files can be read the way a run read its own. */
export type ReadingOptions = z.output<typeof readingConfig>;

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
    /** Path of the examples, relative to the configuration; or of a folder, a pattern such as `train-*.parquet`, or a list. */
    train: paths,
    /** Path, or paths, of the test set; without it `testShare` of the examples is split off. */
    test: paths.optional(),
    ...reading,
    /** Names of the outputs; by default those that occur among the examples of `train`. */
    labels: z.array(z.string().min(1)).min(1).superRefine((names, context) => {
      const twice = names.find((name, i) => names.indexOf(name) < i);
      if (twice !== undefined) context.addIssue({ code: "custom", message: `${show(twice)} is there twice` });
    }).optional(),
    maxExamples: count.optional(),
    ...shares,
  }),
]);
