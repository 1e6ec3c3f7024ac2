import { concat, type Module, neg, tidy } from "../../engine/mod.ts";
import type { StoredTensor } from "../../models/weights/dtype.ts";
import { isResidual, linearWeights, pretrainedWeight } from "./pretrained.ts";
import { withPlainAdapters } from "../layers/factored/plain_adapter.ts";
import { AdapterMismatchError } from "../errors.ts";
import { loraLayers } from "../layers/lora_layers.ts";

/** Options of {@linkcode exportLora}. */
export interface ExportLoraOptions {
  /** The model that the adapters were attached to, which the exported ones belong on. */
  readonly pretrained: Module;
}

/**
 * Standard LoRA adapters on the pretrained weights: y = W₀·x + b + (alpha/rank)·B·(A·x); or DoRA's, whose rows W₀ + (alpha/rank)·B·A are given
 * lengths of their own.
 */
export interface LoraExport {
  /**
   * `<layer>.lora_A.weight` [rank, in] and `<layer>.lora_B.weight` [out, rank], and of DoRA `<layer>.lora_magnitude_vector` [out], as PEFT
   * names them.
   */
  readonly tensors: Map<string, StoredTensor>;
  /** What a configuration has to say of each layer. */
  readonly layers: Map<string, { readonly rank: number; readonly alpha: number }>;
}

/**
 * The adapters of a model as LoRA on the *pretrained* weights, which other programs load. Where factors were taken out of
 * the weight they are given back: s·[B, −B₀]·[A; A₀] of rank 2r (as PiSSA does, arXiv 2404.02948), with twice the alpha so
 * that the scaling stays s.
 *
 * @throws {AdapterMismatchError} when a frozen weight is not what the initialisation left of the pretrained one, as after
 *   exact aggregation: no adapter of this rank holds that change, but {@linkcode merge} does.
 * @example
 * ```ts no-run
 * const { tensors } = await exportLora(model, { pretrained });
 * await writeFileAtomic("adapter_model.safetensors", encodeSafetensors(tensors));
 * ```
 */
export function exportLora(model: Module, options: ExportLoraOptions): Promise<LoraExport> {
  return withPlainAdapters(model, (plain) => exportPlain(plain, options));
}

async function exportPlain(model: Module, options: ExportLoraOptions): Promise<LoraExport> {
  const weights = linearWeights(options.pretrained);
  const tensors = new Map<string, StoredTensor>();
  const layers = new Map<string, { rank: number; alpha: number }>();
  for (const [name, { lora: adapter, magnitude }] of loraLayers(model)) {
    if (!await isResidual(adapter, pretrainedWeight(name, adapter, weights))) {
      throw new AdapterMismatchError(
        `Cannot export ${name} as LoRA: its frozen weight is not what the initialisation left of the pretrained one; merge the model, or export it on a base converted with it`,
      );
    }
    const { loraA, loraB, initial, sharedScaling: scaling } = adapter;
    const { a, b } = tidy(() => ({
      a: initial ? concat([loraA, initial.loraA]) : loraA.detach(),
      b: initial ? concat([loraB, neg(initial.loraB)], { axis: 1 }) : loraB.detach(),
    }));
    for (const [part, factor] of [["lora_A", a], ["lora_B", b]] as const) {
      tensors.set(`${name}.${part}.weight`, {
        dtype: "F32",
        shape: factor.shape,
        data: await factor.floats(),
      });
      factor.dispose();
    }
    if (magnitude) {
      const { shape } = magnitude;
      const stored = { dtype: "F32", shape, data: await magnitude.floats() } as const;
      tensors.set(`${name}.lora_magnitude_vector`, stored);
    }
    const rank = a.shape[0]!;
    layers.set(name, { rank, alpha: scaling * rank });
  }
  return { tensors, layers };
}
