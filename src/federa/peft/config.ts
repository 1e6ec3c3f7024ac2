import { describeIssue } from "../../data/text/describe_issue.ts";
import { z } from "zod";
import { excerpt } from "../../data/text/excerpt.ts";
import { scalingOf } from "../layers/scaling.ts";
import type { LayerSettings } from "../patterns/layer_settings.ts";
import { readPatternMap } from "./_pattern_map.ts";
import { readTargets, type Targets } from "./_targets.ts";
import { UnsupportedAdapterError } from "./errors.ts";

/** What an `adapter_config.json` of PEFT says, as far as it changes what the adapter computes. */
export interface PeftConfig {
  /** `SEQ_CLS`, `TOKEN_CLS`, `QUESTION_ANS`, or another task. */
  readonly taskType: string | undefined;
  /** The `transformers` class of the adapted model, if PEFT recorded it. */
  readonly baseClass: string | undefined;
  /** The model that the adapter is for: a name on the hub, or a path. */
  readonly baseModel: string | undefined;
  /** The branch, tag or commit of that model on the hub. */
  readonly revision: string | undefined;
  /** Whether rows of the adapted weight are given lengths of their own (arXiv 2402.09353). */
  readonly useDora: boolean;
  /** Whether the frozen weight lacks its leading singular triplets (PiSSA, arXiv 2404.02948). */
  readonly isPissa: boolean;
  /** Modules that the adapter holds whole. */
  readonly modulesToSave: readonly string[];
  /** Whether it adapts the linear layer of a name; undefined if that is unknown. */
  readonly targets: Targets;
  /** Rank and scaling of the layer of a name. */
  settingsOf(layer: string): Omit<LayerSettings, "alpha">;
}

/** Options of {@linkcode parsePeftConfig}. */
export interface ParsePeftConfigOptions {
  /** Where the adapter comes from, for messages. */
  readonly source?: string | undefined;
}

/** Most modules that are stored whole: each is searched for in every name. */
const maxModules = 1000;

/** Where nothing is said, as in PEFT. */
const defaultRank = 8;
const defaultAlpha = 8;

/** Fields that don't change what an adapter computes here: how it was initialized and trained, and other kinds of layers. */
const passedOver = new Set([
  ..."peft_version inference_mode runtime_config lora_dropout fan_in_fan_out ensure_weight_tying".split(" "),
  ..."megatron_core loftq_config eva_config corda_config lora_ga_config velora_config qalora_group_size"
    .split(" "),
]);

/** Fields that change what an adapter computes, in ways that aren't supported. */
const notSupported = new Set([
  ..."use_qalora use_bdlora layer_replication lora_bias trainable_token_indices target_parameters".split(" "),
  ..."alora_invocation_tokens megatron_config arrow_config kasa_config monteclora_config".split(" "),
]);

/** Values of `init_lora_weights` after which the base is what it was. */
const innocentStarts = ["gaussian", "eva", "orthogonal", "mica"];

const positive = z.number().positive();
const flag = z.boolean().nullish().transform((value) => value ?? false);
const names = z.union([z.string(), z.array(z.string())]).nullish();
const pattern = <Value extends z.ZodType>(value: Value) => z.record(z.string(), value).nullish();

const schema = z.looseObject({
  peft_type: z.literal("LORA", {
    error: ({ input }) => `only adapters of LORA are read, got ${excerpt(input)}`,
  }),
  task_type: z.string().nullish(),
  auto_mapping: z.looseObject({ base_model_class: z.string().nullish() }).nullish(),
  base_model_name_or_path: z.string().nullish(),
  revision: z.string().nullish(),
  r: z.int().positive().default(defaultRank),
  lora_alpha: positive.default(defaultAlpha),
  rank_pattern: pattern(z.int().positive()),
  alpha_pattern: pattern(positive),
  use_rslora: flag,
  use_dora: flag,
  bias: z.enum(["none", "all", "lora_only"]).default("none"),
  init_lora_weights: z.union([z.boolean(), z.string()]).nullish(),
  target_modules: names,
  exclude_modules: names,
  layers_to_transform: z.union([z.int(), z.array(z.int())]).nullish(),
  layers_pattern: names,
  modules_to_save: z.array(z.string()).max(maxModules).nullish(),
});

/** Modules of heads, which PEFT always stores whole, whatever the configuration says. */
const headsOf: Readonly<Record<string, readonly string[]>> = {
  SEQ_CLS: ["classifier", "score"],
  TOKEN_CLS: ["classifier", "score"],
  QUESTION_ANS: ["qa_outputs"],
};

/**
 * Reads the JSON of an `adapter_config.json` of PEFT. Fields that change the numbers and aren't supported, and unknown ones that
 * are set, are refused. Its regular expressions are those of Python; they are matched in linear time, so lookaround and
 * back-references are refused too.
 *
 * @throws {UnsupportedAdapterError} listing everything that is.
 */
export function parsePeftConfig(value: unknown, options: ParsePeftConfigOptions = {}): PeftConfig {
  const refuse = (problems: readonly string[]) =>
    new UnsupportedAdapterError(
      `Cannot load ${
        options.source === undefined ? "an adapter" : `the adapter of ${options.source}`
      } by its ` +
        `adapter_config.json:\n  ${problems.join("\n  ")}`,
    );
  const { success, data, error } = schema.safeParse(value, { error: (issue) => describeIssue(issue) });
  if (!success) {
    throw refuse(error.issues.map(({ path, message }) => `${path.join(".") || "it"}: ${message}`));
  }
  const { r, lora_alpha, use_rslora, init_lora_weights, task_type } = data;
  const problems = [...findUnknown(data), ...startProblems(init_lora_weights ?? true)];
  const patterns = <Value>(field: string, found: Readonly<Record<string, Value>> | null | undefined) => {
    try {
      return readPatternMap(found ?? {});
    } catch (error) {
      if (!(error instanceof SyntaxError)) throw error;
      problems.push(`${field} ${error.message}`);
      return undefined;
    }
  };
  const ranks = patterns("rank_pattern", data.rank_pattern);
  const alphas = patterns("alpha_pattern", data.alpha_pattern);
  if (problems.length > 0) throw refuse(problems);
  const modulesToSave = data.modules_to_save ?? [];
  return {
    taskType: task_type ?? undefined,
    baseClass: data.auto_mapping?.base_model_class ?? undefined,
    baseModel: data.base_model_name_or_path || undefined,
    revision: data.revision || undefined,
    useDora: data.use_dora,
    isPissa: init_lora_weights === "pissa",
    modulesToSave,
    targets: readTargets({ ...data, modules_to_save: [...modulesToSave, ...headsOf[task_type ?? ""] ?? []] }),
    settingsOf(layer) {
      const rank = ranks!.get(layer) ?? r;
      const alpha = alphas!.get(layer) ?? lora_alpha;
      return { rank, scaling: scalingOf({ rank, alpha, scaling: use_rslora ? "rslora" : "alpha/r" }) };
    },
  };
}

/** Fields beyond those that are read, unless they are off. */
function findUnknown(fields: Readonly<Record<string, unknown>>): string[] {
  return Object.entries(fields).flatMap(([name, value]) => {
    if (Object.hasOwn(schema.shape, name) || passedOver.has(name) || isOff(value)) return [];
    const what = notSupported.has(name)
      ? "it changes what the adapter computes, and isn't supported"
      : "the field is unknown; if it doesn't change what the adapter computes, remove it";
    return [`${excerpt(name).slice(1, -1)} = ${excerpt(value)}: ${what}`];
  });
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
