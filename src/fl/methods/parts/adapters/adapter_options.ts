import { z } from "zod";
import {
  attachAdapters,
  checkAdapters,
  federa,
  gaussian,
  type Initialization,
  lora,
  matchLinears,
  milora,
  olora,
  pissa,
  randomTriplets,
  scalingRules,
} from "../../../../federa/mod.ts";
import type { TaskModel } from "../../../../tasks/mod.ts";
import { type InitContext, isHead, trainableParameters, withOwnParameters } from "../../../method.ts";
import { disposeOwn } from "../../../own_parameters.ts";

/** Options of methods that train low-rank adapters. */
export const adapterOptions = z.strictObject({
  /** Rank r of the update, from 1 to the smaller side of each weight. */
  rank: z.int().min(1).max(2 ** 16).default(8),
  /** The update is scaled by s = alpha / r, or as `scaling` says. */
  alpha: z.number().gt(0).max(1e6).default(8),
  /** `alpha/r` by default, or `rslora`: alpha / √r (arXiv 2312.03732). */
  scaling: z.enum(scalingRules).optional(),
  /**
   * Names of the layers to adapt, or patterns of them, see `matchesPattern`; by default every linear one of the encoder's layers.
   */
  targets: z.array(z.string().min(1)).min(1).optional(),
  /** Ranks of layers that have another, by patterns as for `targets`; the first that matches wins. */
  rankPattern: z.record(z.string().min(1), z.int().min(1).max(2 ** 16)).optional(),
  /** Alphas of layers that have another. */
  alphaPattern: z.record(z.string().min(1), z.number().gt(0).max(1e6)).optional(),
  /** Whether rows of the weights get lengths of their own; not in methods that work with the product s·B·A, as DoRA's change isn't that. */
  dora: z.literal(false, {
    error:
      "this method's server works with the change s·B·A, and DoRA's isn't that; take one that averages factors, such as fedit, federa, " +
      "ffa-lora, rolora or fedsa-lora",
  }).optional(),
});

/** The option of methods that average factors as they are: DoRA (arXiv 2402.09353) in the place of LoRA. */
export const doraOption = z.boolean().optional();

/** Checked options of methods that train low-rank adapters. */
export type AdapterOptions = Omit<z.output<typeof adapterOptions>, "dora"> & {
  readonly dora?: boolean | undefined;
};

/** How the pretrained weights are decomposed where a method starts from their SVD. */
export const svdOption = z.enum(["randomized", "exact"]).default("randomized");

/** How far clients turn their factors towards those of the round's start, λ: 0.4 to 0.6 are usual. */
export const rotationOption = z.number().min(0).max(1).default(0.5);

/** Where adapters may start. */
const starts = {
  /** A uniform, B zero. */
  "lora": lora,
  /** A normal, B zero, as PEFT's `gaussian`. */
  "gaussian": gaussian,
  /** The r leading singular triplets, by the randomized SVD. */
  "federa": federa(),
  /** The same by the exact SVD. */
  "pissa": pissa,
  /** The r last singular triplets. */
  "milora": milora,
  /** r singular triplets drawn at random. */
  "random-r": randomTriplets,
  /** The first r columns of Q and rows of R. */
  "olora": olora,
} as const satisfies Readonly<Record<string, Initialization>>;

/** Where adapters start in methods that leave it open; without it they start as LoRA's own. */
export const startOption = z.enum(Object.keys(starts) as (keyof typeof starts)[]);

/** Options of methods that train low-rank adapters from any start. */
export const startedOptions = adapterOptions.extend({ start: startOption.optional() });

/** The start that was chosen. */
export function initializationOf(
  { start = "lora" }: { readonly start?: z.output<typeof startOption> | undefined },
): Initialization {
  return starts[start];
}

/**
 * Checks by shapes alone that adapters fit a model's encoder.
 *
 * @throws {RangeError} when a pattern matches the head, or the rank doesn't fit a layer.
 * @throws {PatternError} when a pattern matches nothing.
 */
export function checkEncoderAdapters(pretrained: TaskModel, options: AdapterOptions): void {
  const targets = adapterTargets(pretrained, options);
  if (matchLinears(pretrained, targets).some((name) => isHead(`${name}.`))) {
    throw new RangeError(
      `Cannot adapt the head by "${
        targets.join('", "')
      }": it is trained whole; expected layers of the encoder, such as "encoder.**"`,
    );
  }
  checkAdapters(pretrained, { ...options, targets });
}

/**
 * Checks by shapes and types alone that adapters fit a model's encoder, and that the weights themselves can be trained.
 *
 * @throws as {@linkcode checkEncoderAdapters}, and {TypeError} for a weight that is stored for reading alone.
 */
export function checkAdaptedWeights(pretrained: TaskModel, options: AdapterOptions): void {
  checkEncoderAdapters(pretrained, options);
  const layers = matchLinears(pretrained, adapterTargets(pretrained, options));
  const weights = new Set(layers.map((layer) => `${layer}.weight`));
  trainableParameters(pretrained, (name) => weights.has(name));
}

/** A pretrained model with adapters on its encoder and a head of its own, which is trained whole. */
export async function adaptEncoder(
  pretrained: TaskModel,
  options: AdapterOptions & { readonly context: InitContext; readonly initialization: Initialization },
): Promise<TaskModel> {
  const { context: { seed, onProgress } } = options;
  const model = withOwnParameters(pretrained, isHead);
  try {
    return await attachAdapters(model, {
      ...options,
      seed,
      onProgress,
      targets: adapterTargets(pretrained, options),
    });
  } catch (error) {
    disposeOwn(model, pretrained);
    throw error;
  }
}

/** The layers that are adapted: by default those that the encoder names. */
export function adapterTargets(pretrained: TaskModel, { targets }: AdapterOptions): readonly string[] {
  return targets ?? pretrained.encoder.adapterTargets;
}
