import { z } from "zod";
import { excerpt } from "../../data/excerpt.ts";
import { matchPatterns, patternProblem } from "./_pattern_key.ts";
import { UnsupportedAdapterError } from "./errors.ts";

/** What an `adapter_config.json` of PEFT says, as far as it changes what the adapter computes. */
export interface PeftConfig {
  /** `SEQ_CLS`, `TOKEN_CLS`, `QUESTION_ANS`, or another task. */
  readonly taskType: string | undefined;
  /** The model that the adapter is for: a name on the hub, or a path. */
  readonly baseModel: string | undefined;
  /** Whether rows of the adapted weight are given lengths of their own (arXiv 2402.09353). */
  readonly useDora: boolean;
  /** Whether the frozen weight lacks its leading singular triplets (PiSSA, arXiv 2404.02948). */
  readonly isPissa: boolean;
  /** Modules that the adapter holds whole. */
  readonly modulesToSave: readonly string[];
  /** Rank and scaling of the layer of a name. */
  settingsOf(layer: string): LayerSettings;
}

/** What a configuration says of one layer. */
export interface LayerSettings {
  readonly rank: number;
  /** alpha / r, or alpha / √r of rank-stabilised LoRA (arXiv 2312.03732). */
  readonly scaling: number;
}

/** Where nothing is said, as in PEFT. */
const defaultRank = 8;
const defaultAlpha = 8;

/** Fields that change nothing once an adapter is made: how it was started, which layers it chose, where it came from. */
const passedOver = new Set([
  ..."auto_mapping peft_version inference_mode revision runtime_config".split(" "),
  ..."target_modules exclude_modules layers_to_transform layers_pattern lora_dropout".split(" "),
  ..."megatron_core loftq_config eva_config corda_config lora_ga_config qalora_group_size".split(" "),
]);

/** Values of `init_lora_weights` after which the base is what it was. */
const innocentStarts = ["gaussian", "eva", "orthogonal", "mica"];

const positive = z.number().positive();
const flag = z.boolean().nullish().transform((value) => value ?? false);
const pattern = <Value extends z.ZodType>(value: Value) =>
  z.record(z.string(), value).nullish().transform((found) => new Map(Object.entries(found ?? {})));

const schema = z.looseObject({
  peft_type: z.literal("LORA"),
  task_type: z.string().nullish(),
  base_model_name_or_path: z.string().nullish(),
  r: z.int().positive().default(defaultRank),
  lora_alpha: positive.default(defaultAlpha),
  rank_pattern: pattern(z.int().positive()),
  alpha_pattern: pattern(positive),
  use_rslora: flag,
  use_dora: flag,
  bias: z.enum(["none", "all", "lora_only"]).default("none"),
  fan_in_fan_out: z.literal(false).nullish(),
  init_lora_weights: z.union([z.boolean(), z.string()]).nullish(),
  modules_to_save: z.array(z.string()).nullish(),
});

/**
 * Reads the JSON of an `adapter_config.json` of PEFT. Fields that change the numbers and aren't built, and unknown ones that
 * are set, are refused.
 *
 * @throws {UnsupportedAdapterError} listing everything that is.
 */
export function parsePeftConfig(value: unknown): PeftConfig {
  const { success, data, error } = schema.safeParse(value);
  if (!success) {
    throw refuse(error.issues.map(({ path, message }) => `${path.join(".") || "it"}: ${message}`));
  }
  const { r, rank_pattern: ranks, lora_alpha, alpha_pattern: alphas, use_rslora, init_lora_weights } = data;
  const problems = [...findUnknown(data), ...startProblems(init_lora_weights ?? true)];
  for (const [field, patterns] of Object.entries({ rank_pattern: ranks, alpha_pattern: alphas })) {
    for (const key of patterns.keys()) {
      const problem = patternProblem(key);
      if (problem !== undefined) problems.push(`${field} ${excerpt(key)}: ${problem}`);
    }
  }
  if (problems.length > 0) throw refuse(problems);
  return {
    taskType: data.task_type ?? undefined,
    baseModel: data.base_model_name_or_path ?? undefined,
    useDora: data.use_dora,
    isPissa: init_lora_weights === "pissa",
    modulesToSave: data.modules_to_save ?? [],
    settingsOf(layer) {
      const rank = matchPatterns(ranks, layer) ?? r;
      const alpha = matchPatterns(alphas, layer) ?? lora_alpha;
      return { rank, scaling: alpha / (use_rslora ? Math.sqrt(rank) : rank) };
    },
  };
}

/** Fields beyond those that are read, unless they are off. */
function findUnknown(fields: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(fields).filter(([name, value]) =>
    !Object.hasOwn(schema.shape, name) && !passedOver.has(name) && !isOff(value)
  ).map(([name, value]) =>
    `${excerpt(name).slice(1, -1)} = ${
      excerpt(value)
    }: not built; if it doesn't change what the adapter computes, ` +
    "remove the field"
  );
}

function isOff(value: unknown): boolean {
  if (value === null || value === undefined || value === false || value === "") return true;
  return typeof value === "object" && Object.keys(value).length === 0;
}

function startProblems(start: boolean | string): string[] {
  if (typeof start === "boolean" || innocentStarts.includes(start.toLowerCase()) || start === "pissa") {
    return [];
  }
  return [
    `init_lora_weights = ${
      excerpt(start)
    }: it changed the base's weights in a way that can't be computed again exactly; ` +
    "convert the adapter in Python by save_pretrained(…, path_initial_model_for_weight_conversion=…)",
  ];
}

function refuse(problems: readonly string[]): UnsupportedAdapterError {
  return new UnsupportedAdapterError(
    `Cannot load an adapter by its adapter_config.json:\n  ${problems.join("\n  ")}`,
  );
}
