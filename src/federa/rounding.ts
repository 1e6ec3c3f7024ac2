import {
  concat,
  isStorageOnly,
  matmul,
  type Module,
  mul,
  type Precision,
  reshape,
  sub,
  sumOfSquares,
  type Tensor,
  tidy,
  toFloat,
  unrounded,
} from "../engine/mod.ts";
import { linearWeights, pretrainedWeight } from "./files/pretrained.ts";
import { factoredLinears } from "./adapters.ts";
import { loraLayers } from "./layers/lora_layers.ts";
import type { FactoredLinear } from "./layers/factored/factored_linear.ts";
import { precisionOf } from "./starts/residual.ts";

/** How far the layers of one kind are from the pretrained ones because their weights are stored rounded. */
export interface RoundingError {
  /** What their names have after the number of the layer, such as `attention.self.query`. */
  readonly kind: string;
  /** Number of layers of this kind. */
  readonly layers: number;
  readonly precision: Precision;
  /** ‖W − (Q + s·B₀·A₀)‖/‖W‖ in Frobenius norms, Q being what is frozen as it is stored; over all layers of the kind. */
  readonly error: number;
  /** What rounding W itself would give. */
  readonly plain: number;
}

/**
 * How far adapted layers start from the pretrained ones because of the precision that their frozen weights are stored in, by kind.
 * Where factors were taken out of a weight, the rest of it is rounded, which is smaller (QPiSSA, arXiv 2404.02948, section 4).
 * Without layers whose weights are in f32, or can't be read again as they were.
 *
 * @throws what reading the weights throws.
 * @example
 * ```ts no-run
 * const [query] = await roundingErrors(adapted, { pretrained });
 * query?.error; // 0.006, where rounding the weight itself gives 0.008
 * ```
 */
export async function roundingErrors(
  model: Module,
  { pretrained }: { readonly pretrained: Module },
): Promise<RoundingError[]> {
  const weights = linearWeights(pretrained);
  const kinds = new Map<string, { layers: number; precision: Precision; sums: number[] }>();
  const doras = [...loraLayers(model)].flatMap(([name, { lora, magnitude }]) =>
    magnitude === undefined ? [] : [[name, lora] as const]
  );
  for (const [name, adapter] of [...factoredLinears(model), ...doras]) {
    const weight = pretrainedWeight(name, adapter, weights);
    if (!isStorageOnly(adapter.weight.dtype) || weight.original === undefined) continue;
    const kind = name.replace(/^.*\.\d+\./, "");
    const { layers, sums } = kinds.get(kind) ?? { layers: 0, sums: [0, 0, 0] };
    const own = await squares(adapter, weight);
    kinds.set(kind, {
      layers: layers + 1,
      precision: precisionOf(adapter.weight),
      sums: sums.map((sum, i) => sum + own[i]!),
    });
  }
  return Array.from(kinds, ([kind, { layers, precision, sums: [all, adapted, plain] }]) => ({
    kind,
    layers,
    precision,
    error: Math.sqrt(adapted! / all!) || 0,
    plain: Math.sqrt(plain! / all!) || 0,
  }));
}

/** ‖W‖², ‖W − (Q + s·B₀·A₀)‖² and ‖W − Q(W)‖². */
async function squares(adapter: FactoredLinear, pretrained: Tensor): Promise<Float32Array> {
  using whole = await unrounded(pretrained);
  const { weight, initial, sharedScaling: scaling } = adapter;
  using found = tidy(() => {
    const square = (x: Tensor) => reshape(sumOfSquares(x), [1]);
    const rest = sub(whole, toFloat(weight));
    const moved = initial ? sub(rest, mul(matmul(initial.loraB, initial.loraA), scaling)) : rest;
    return concat([square(whole), square(moved), square(sub(whole, toFloat(pretrained)))]);
  });
  return await found.floats();
}
