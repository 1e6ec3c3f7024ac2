import { formatShape, NonFiniteError } from "../../engine/mod.ts";
import type { StoredTensor } from "../../models/weights/dtype.ts";
import type { EncoderFamily } from "../../models/family.ts";
import { type TaskModel, type TransformersNames, transformersNames } from "../../tasks/mod.ts";
import { AdapterMismatchError } from "../errors.ts";
import { loraLayers } from "../layers/lora_layers.ts";
import { withPlainAdapters } from "../layers/factored/plain_adapter.ts";
import { exportLora, type LoraExport } from "../files/export.ts";
import { checkFactorsAlone } from "./_check_factors.ts";
import { type SentenceHead, sentenceHeadOf } from "./_sentence_modules.ts";
import { exportedTypeOf } from "./_task_type.ts";
import { PREFIX } from "./_tensor_names.ts";
import type { BaseModel } from "./base_model.ts";

/** Options of {@linkcode exportPeft}. */
export interface ExportPeftOptions {
  /** The model that the adapters were attached to. */
  readonly pretrained: TaskModel;
  /** The family that the model's encoder is of. */
  readonly family: EncoderFamily | undefined;
  /** The model that the adapter is to be put on, as `transformers` knows it; see {@linkcode baseModelOf}. */
  readonly base: BaseModel;
  /**
   * `original`: an adapter on the pretrained weights; where factors were taken out of them its rank is doubled, s·[B, −B₀]·[A; A₀].
   * `converted`: B and A as they were trained, on a base whose weights lack what was taken out of them, as
   * {@linkcode writeCheckpoint} writes it with `weights: "frozen"`.
   */
  readonly form: "original" | "converted";
}

/** The two files of an adapter as PEFT loads it, and its head if that has other files. */
export interface PeftExport {
  /** The JSON of `adapter_config.json`. */
  readonly config: PeftConfigFields;
  /** What `adapter_model.safetensors` holds: factors, and the head. */
  readonly tensors: Map<string, StoredTensor>;
  /** A head on pooled states, which only `sentence-transformers` supports. */
  readonly sentenceHead?: SentenceHead | undefined;
}

/** The fields of an `adapter_config.json`; the others have PEFT's defaults. */
export interface PeftConfigFields {
  readonly peft_type: "LORA";
  readonly task_type: string | null;
  readonly base_model_name_or_path: string;
  readonly revision: string | null;
  readonly inference_mode: true;
  readonly r: number;
  readonly lora_alpha: number;
  readonly lora_dropout: 0;
  /** Ranks of layers that have another than `r`, by name. */
  readonly rank_pattern: Readonly<Record<string, number>>;
  /** Alphas of layers that have another than `lora_alpha`, by name. */
  readonly alpha_pattern: Readonly<Record<string, number>>;
  readonly target_modules: readonly string[];
  readonly modules_to_save: readonly string[];
  readonly init_lora_weights: true;
  readonly use_rslora: false;
  readonly use_dora: boolean;
  readonly fan_in_fan_out: false;
  readonly bias: "none";
}

/**
 * An adapted model in the form that PEFT loads: the adapters as LoRA or DoRA, the head as modules that are stored whole. On the base
 * it names, with as many labels as the model's task has, it computes the model's outputs. A head on pooled states has no
 * class in `transformers`: then it is an adapter of the bare encoder, and the head is separate.
 *
 * @throws {NoCounterpartError} when `transformers` has no such model.
 * @throws {NonFiniteError} when a value is NaN or infinite.
 * @throws {TypeError} when a factor carries the client axis.
 * @throws {AdapterMismatchError} when no layer is adapted, one by a kind of adapter that PEFT's LoRA lacks, a parameter beside adapters and head was trained, or, in the
 *   form `original`, a frozen weight isn't what the initialisation left of the pretrained one, as after exact aggregation.
 * @example
 * ```ts no-run
 * const { config, tensors } = await exportPeft(model, {
 *   pretrained, family: bertFamily, base: await baseModelOf(files), form: "original",
 * });
 * ```
 */
export function exportPeft(model: TaskModel, options: ExportPeftOptions): Promise<PeftExport> {
  return withPlainAdapters(model, (plain) => exportPlain(plain, options));
}

async function exportPlain(model: TaskModel, options: ExportPeftOptions): Promise<PeftExport> {
  const { pretrained, family, base, form } = options;
  const names = transformersNames(model, family);
  checkOwnParameters(model, pretrained);
  const { tensors, layers } = form === "original"
    ? await exportLora(model, { pretrained })
    : await factorsAsTheyAre(model);
  const { sentencePooling } = names;
  for (const [name, parameter] of sentencePooling ? [] : model.head.namedParameters("head")) {
    tensors.set(name, { dtype: "F32", shape: parameter.shape, data: await parameter.floats() });
  }
  return {
    tensors: rename(tensors, names),
    ...sentencePooling && { sentenceHead: await sentenceHeadOf(model, sentencePooling) },
    config: {
      peft_type: "LORA",
      task_type: sentencePooling ? "FEATURE_EXTRACTION" : exportedTypeOf(model),
      base_model_name_or_path: base.name,
      revision: base.revision ?? null,
      inference_mode: true,
      lora_dropout: 0,
      ...settingsOf(layers, names),
      modules_to_save: names.headModules,
      init_lora_weights: true,
      use_rslora: false,
      use_dora: [...loraLayers(model).values()].some(({ magnitude }) => magnitude !== undefined),
      fan_in_fan_out: false,
      bias: "none",
    },
  };
}

/** Tensors by the names that PEFT has for them; a pooler that the class lacks has none. */
function rename(
  tensors: ReadonlyMap<string, StoredTensor>,
  names: TransformersNames,
): Map<string, StoredTensor> {
  const renamed = new Map<string, StoredTensor>();
  for (const [name, stored] of tensors) {
    const theirs = names.toTransformers(name);
    if (theirs === undefined) continue;
    const data = stored.data as Float32Array;
    const bad = data.findIndex((value) => !Number.isFinite(value));
    if (bad >= 0) throw new NonFiniteError(`Cannot export ${name}: its element ${bad} is ${data[bad]}`);
    renamed.set(PREFIX + theirs, stored);
  }
  return renamed;
}

/** Factors and head have a place in an adapter, other trained parameters haven't. */
function checkOwnParameters(model: TaskModel, pretrained: TaskModel): void {
  checkFactorsAlone(model);
  const adapters = loraLayers(model);
  for (const [name, { lora: { loraA, loraB } }] of adapters) {
    if (name.startsWith("head.")) {
      throw new AdapterMismatchError(
        `Cannot export an adapter of ${name}: the head is stored whole; merge the model instead`,
      );
    }
    if (loraA.ndim !== 2 || loraB.ndim !== 2) {
      throw new TypeError(
        `Cannot export the adapter of ${name}: expected A [r, in] and B [out, r], got ${
          formatShape(loraA.shape)
        } and ${formatShape(loraB.shape)}`,
      );
    }
  }
  if (adapters.size === 0) {
    throw new AdapterMismatchError(
      "Cannot export an adapter: no layer of the model is adapted; merge the model instead",
    );
  }
  const shared = new Set([...pretrained.namedParameters()].map(([, parameter]) => parameter));
  const parts = new Set(
    [...adapters.values()].flatMap(({ lora: { weight, loraA, loraB }, magnitude }) => [
      weight,
      loraA,
      loraB,
      ...magnitude ? [magnitude] : [],
    ]),
  );
  const others = [...model.namedParameters()].filter(([name, parameter]) =>
    !name.startsWith("head.") && !shared.has(parameter) && !parts.has(parameter)
  ).map(([name]) => name);
  if (others.length > 0) {
    throw new AdapterMismatchError(
      `Cannot export an adapter: parameters beside adapters and head were trained, ${
        others.join(", ")
      }; merge the model ` +
        "instead",
    );
  }
}

async function factorsAsTheyAre(model: TaskModel): Promise<LoraExport> {
  const tensors = new Map<string, StoredTensor>();
  const layers = new Map<string, { rank: number; alpha: number }>();
  for (const [name, { lora: { loraA, loraB, sharedScaling, rank }, magnitude }] of loraLayers(model)) {
    const parts = [
      ["lora_A.weight", loraA],
      ["lora_B.weight", loraB],
      ...magnitude ? [["lora_magnitude_vector", magnitude] as const] : [],
    ] as const;
    for (const [part, factor] of parts) {
      tensors.set(`${name}.${part}`, {
        dtype: "F32",
        shape: factor.shape,
        data: await factor.floats(),
      });
    }
    layers.set(name, { rank, alpha: sharedScaling * rank });
  }
  return { tensors, layers };
}

/** The commonest rank and alpha for all, others by name. */
function settingsOf(layers: LoraExport["layers"], names: TransformersNames) {
  const named = [...layers].flatMap(([ours, each]) => {
    const name = names.toTransformers(ours);
    return name === undefined ? [] : [{ ...each, name }];
  });
  const r = commonest(named.map(({ rank }) => rank));
  const alpha = commonest(named.map((each) => each.alpha));
  return {
    r,
    lora_alpha: alpha,
    rank_pattern: Object.fromEntries(
      named.filter((each) => each.rank !== r).map((each) => [each.name, each.rank]),
    ),
    alpha_pattern: Object.fromEntries(
      named.filter((each) => each.alpha !== alpha).map((each) => [each.name, each.alpha]),
    ),
    target_modules: named.map(({ name }) => name),
  };
}

function commonest(values: readonly number[]): number {
  const counts = new Map<number, number>();
  for (const value of values) counts.set(value, (counts.get(value) ?? 0) + 1);
  return [...counts].reduce((best, each) => each[1] > best[1] ? each : best)[0];
}
