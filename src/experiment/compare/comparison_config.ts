import { dirname, resolve } from "node:path";
import { z } from "zod";
import { methods } from "../../fl/mod.ts";
import type { Config } from "../config/config.ts";
import { describeChoice } from "../config/describe_choice.ts";
import { methodLabel } from "../config/method_config.ts";
import { folderName } from "../config/names.ts";
import {
  checkSource,
  ConfigError,
  parseConfig,
  parseWith,
  readJsonFile,
  resolvePaths,
} from "../config/parse_config.ts";
import { replicatesOf } from "../run/replicate.ts";
import type { Comparison, Contender, Setting } from "./comparison.ts";

const rate = z.number().gt(0).max(1e6);
const rates = z.array(rate).min(1).refine(
  (list) => list.every((each, i) => i === 0 || each > list[i - 1]!),
  "expected rates from the lowest to the highest, each once",
);
const seed = z.int().min(0).max(2 ** 53 - 1);
const anything = z.record(z.string(), z.unknown());

/** What a comparison has beside a run's configuration. */
const comparisonSchema = z.looseObject({
  name: folderName,
  /** What methods are compared under: each a label and the keys of the configuration that it changes. */
  settings: z.array(z.looseObject({ label: z.string().min(1).max(60) })).min(1),
  /** Options that every method gets which has them, such as `rank`. */
  methodDefaults: anything.default({}),
  /** Rates that each method is tuned over, unless it brings `learningRates` or a `learningRate` of its own. */
  learningRates: rates.optional(),
  methods: z.array(z.looseObject({
    method: z.string(),
    learningRate: rate.optional(),
    learningRates: rates.optional(),
    /** Also scores clients on their own parts of the test set, as methods whose clients keep parameters always are. */
    clientScores: z.boolean().default(false),
    /** Some of the draws alone, for a method that takes long. */
    draws: z.array(seed).min(1).optional(),
  })).min(1),
  /** Rates are chosen on the validation part, by a draw and a seed that aren't compared. */
  tuning: z.strictObject({
    /** The setting that all are tuned in, by default the middle one; `null` tunes in every setting for itself. */
    setting: z.string().nullable().optional(),
    draw: seed.default(1001),
    seed: seed.default(1001),
    /** Among rates whose score is this close to the best, the one with the lowest loss is chosen. */
    tolerance: z.number().min(0).max(1).default(0),
  }).prefault({}),
  /** The method that the others are compared with; the first by default. */
  reference: z.string().optional(),
  /** Scores whose first round, and bytes until then, are told. */
  targets: z.array(z.number().gt(-1).max(1)).default([]),
  /** Bytes up and down of a run at which scores are compared. */
  byteBudgets: z.array(z.number().gt(0)).default([]),
});

/** What a comparison can be given in place of what its file says, as models and data lie elsewhere on every machine. */
export interface ComparisonSources {
  readonly model?: string | undefined;
  readonly train?: string | undefined;
  readonly test?: string | undefined;
}

/** A comparison as people write it. */
export type ComparisonInput = z.input<typeof comparisonSchema>;

/**
 * Reads the file of a comparison: the configuration of a run, without rates of methods, with `settings`, `learningRates` and `tuning`.
 * Paths of data and models in it are relative to its folder.
 *
 * @throws {ConfigError} as {@linkcode parseComparison}, or if it can't be read.
 */
export async function readComparison(path: string, sources: ComparisonSources = {}): Promise<Comparison> {
  const comparison = parseComparison(withSources(await readJsonFile(path), sources), path);
  for (const { config } of comparison.settings) await checkSource(config, path);
  const at = (config: Config) => resolvePaths(config, (file) => resolve(dirname(path), file));
  return {
    ...comparison,
    settings: comparison.settings.map((setting) => ({ ...setting, config: at(setting.config) })),
  };
}

/** Puts other sources into a comparison; a path from the command line is relative to the working directory. */
function withSources(given: unknown, { model, train, test }: ComparisonSources): unknown {
  if (typeof given !== "object" || given === null) return given;
  const { model: ownModel, data, ...rest } = given as Record<string, unknown>;
  const options = typeof ownModel === "object" && ownModel !== null ? ownModel : {};
  const at = (file: string) => /^(hf|npm|file):/.test(file) || file === "use-lite" ? file : resolve(file);
  return {
    ...rest,
    ...(ownModel !== undefined || model !== undefined) && {
      model: model === undefined ? ownModel : { ...options, source: at(model) },
    },
    data: typeof data === "object" && data !== null
      ? { ...data, ...train && { train: at(train) }, ...test && { test: at(test) } }
      : data,
  };
}

/**
 * Checks a comparison and fills in its defaults.
 *
 * @throws {ConfigError} naming the place of every problem, and what was expected.
 */
export function parseComparison(value: unknown, source = "the comparison"): Comparison {
  const {
    settings,
    methodDefaults,
    learningRates,
    methods: entries,
    tuning,
    reference,
    targets,
    byteBudgets,
    ...run
  } = parseWith(comparisonSchema, value, source);
  const refuse = (place: string, message: string): never => {
    throw new ConfigError(`Cannot use ${source}:\n  ${place}: ${message}`);
  };
  const grids = entries.map(({ learningRate, learningRates: own }, i) => {
    if (learningRate !== undefined && own !== undefined) {
      refuse(`methods[${i}]`, "expected learningRate or learningRates, one of them");
    }
    return own ?? (learningRate === undefined ? learningRates : [learningRate]) ??
      refuse(`methods[${i}]`, "expected learningRates, here or for all methods");
  });
  const whole = entries.map((
    { learningRate: _rate, learningRates: _rates, clientScores: _scored, draws: _draws, ...entry },
    i,
  ) => ({ ...defaultsFor(entry.method, methodDefaults), ...entry, learningRate: grids[i]![0]! }));
  const labels = settings.map(({ label }) => label);
  labels.forEach((label, i) => {
    if (labels.indexOf(label) < i) refuse(`settings[${i}].label`, `"${label}" is there twice`);
  });
  const clientScores = entries.some((entry) => entry.clientScores);
  const found = settings.map(({ label, ...changes }, i): Setting => {
    for (const key of ["name", "methods", "draws", "seeds", "seed", "evaluateOn", "clientScores"]) {
      if (key in changes) refuse(`settings[${i}].${key}`, "settings can't change it");
    }
    const place = settings.length > 1 ? `${source}, setting "${label}"` : source;
    const written = { ...run, ...changes };
    return { label, config: parseConfig({ ...written, clientScores, methods: whole }, place), written };
  });
  for (const option of Object.keys(methodDefaults)) {
    if (entries.some(({ method }) => hasOption(method, option))) continue;
    refuse(`methodDefaults.${option}`, "none of the methods has this option");
  }
  const first = found[0]!.config;
  if (first.evaluateOn !== "test") {
    refuse("evaluateOn", "a comparison tunes on validation and compares on test: leave it out");
  }
  const written = whole.map(({ label: _label, learningRate: _rate, ...options }: Record<string, unknown>) =>
    options
  );
  const contenders = first.methods.map((method, i): Contender => ({
    label: methodLabel(method),
    method,
    written: written[i]!,
    learningRates: grids[i]!,
    clientScores: entries[i]!.clientScores,
    draws: entries[i]!.draws,
  }));
  const draws = [...new Set(replicatesOf(first).map(({ draw }) => draw))];
  contenders.forEach((contender, i) => {
    const other = contender.draws?.find((draw) => !draws.includes(draw));
    if (other === undefined) return;
    refuse(`methods[${i}].draws`, `expected some of the draws ${draws.join(", ")}, got ${other}`);
  });
  const names = contenders.map(({ label }) => label);
  if (reference !== undefined && !names.includes(reference)) {
    refuse("reference", describeChoice(names, reference));
  }
  const { setting = labels[Math.floor(labels.length / 2)]!, ...held } = tuning;
  if (setting !== null && !labels.includes(setting)) {
    refuse("tuning.setting", describeChoice(labels, setting));
  }
  for (const replicate of replicatesOf(first)) {
    for (const key of ["draw", "seed"] as const) {
      if (replicate[key] !== tuning[key]) continue;
      refuse(`tuning.${key}`, `expected another one than those compared, got ${tuning[key]}`);
    }
  }
  if (first.data.validationShare === 0 && contenders.some((each) => each.learningRates.length > 1)) {
    refuse("data.validationShare", "expected a share above 0 to choose learning rates by");
  }
  return {
    name: first.name,
    settings: found,
    contenders,
    tuning: { setting, ...held },
    reference: reference ?? names[0]!,
    targets,
    byteBudgets,
  };
}

function optionsOf(method: string): Readonly<Record<string, unknown>> {
  const found = methods.get(method) ??
    [...methods.values()].find(({ definition: { aliases = [] } }) => aliases.includes(method));
  return found?.definition.options.shape ?? {};
}

function hasOption(method: string, option: string): boolean {
  return Object.hasOwn(optionsOf(method), option);
}

function defaultsFor(method: string, defaults: Readonly<Record<string, unknown>>): object {
  return Object.fromEntries(Object.entries(defaults).filter(([option]) => hasOption(method, option)));
}
