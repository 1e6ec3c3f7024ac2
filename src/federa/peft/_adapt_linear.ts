import {
  disposeAll,
  formatShape,
  type Layer,
  type Linear,
  sqrt,
  sumOfSquares,
  type Tensor,
  tidy,
  unrounded,
} from "../../engine/mod.ts";
import { jacobiSvd } from "../../engine/linalg/mod.ts";
import { CorruptFileError } from "../../models/errors.ts";
import { leadingFactors } from "../starts/leading_factors.ts";
import { DoraLinear } from "../layers/dora_linear.ts";
import { type LowRankFactors, LowRankLinear } from "../layers/factored/low_rank_linear.ts";
import { precisionOf, residualWeight } from "../starts/residual.ts";
import { UnsupportedAdapterError } from "./errors.ts";

/** What PEFT stores of a layer. */
export interface StoredLayer extends LowRankFactors {
  /** Name of the layer, for messages. */
  readonly name: string;
  readonly scaling: number;
  /** Lengths of the weight's rows [out], of DoRA. */
  readonly magnitude: Tensor | undefined;
  /** Whether the leading singular triplets were taken out of the weight. */
  readonly isPissa: boolean;
}

/** A layer, and the tensors that it doesn't share with the pretrained one. */
export interface AdaptedLayer {
  readonly layer: Layer;
  readonly own: readonly Tensor[];
}

/**
 * The least distance between the singular values that PiSSA parts, by the largest of them. The product of the leading triplets
 * is determined to about the rounding of the decomposition divided by that distance.
 */
const leastGap = 1e-4;

/** Adapts a layer as PEFT does. Takes over the stored tensors. */
export async function adaptLinear({ weight, bias }: Linear, stored: StoredLayer): Promise<AdaptedLayer> {
  const { loraA, loraB, scaling, magnitude, isPissa } = stored;
  const taken = isPissa ? await takeOutLeading(weight, stored) : undefined;
  const own = [loraA, loraB, ...taken ? [taken.weight, taken.initial.loraA, taken.initial.loraB] : []];
  const lowRank = new LowRankLinear({
    weight: taken?.weight ?? weight,
    bias,
    loraA,
    loraB,
    scaling,
    initial: taken?.initial,
  });
  if (magnitude === undefined) return { layer: lowRank, own };
  own.push(magnitude);
  try {
    await checkRows(lowRank, stored.name);
    return { layer: new DoraLinear({ ...lowRank, scaling, magnitude }), own };
  } catch (error) {
    disposeAll(own);
    throw error;
  }
}

/** Checks that each row of W + s·B·A has a length, which DoRA divides by. */
async function checkRows(layer: LowRankLinear, name: string): Promise<void> {
  using norms = tidy(() => sqrt(sumOfSquares(layer.effectiveWeight(), { axes: [-1] })));
  const lengths = await norms.floats();
  const bad = lengths.findIndex((length) => !(length > 0 && Number.isFinite(length)));
  if (bad >= 0) {
    throw new CorruptFileError(
      `Cannot give row ${bad} of ${name} a length: with its adapter it has the length ${lengths[bad]}`,
    );
  }
}

/** PiSSA's frozen weight and the factors that were taken out of it. */
async function takeOutLeading(weight: Tensor, { name, loraA, scaling }: StoredLayer) {
  const rank = loraA.shape[0]!;
  const most = Math.min(...weight.shape);
  if (rank > most) {
    throw new UnsupportedAdapterError(
      `Cannot take ${rank} singular triplets out of ${name} ${formatShape(weight.shape)}: there are ${most}`,
    );
  }
  using wide = await unrounded(weight);
  const { u, s, vt } = await jacobiSvd(wide);
  try {
    const values = await s.floats();
    if (rank < most && !(values[rank - 1]! - values[rank]! >= leastGap * values[0]!)) {
      throw new UnsupportedAdapterError(
        `Cannot compute PiSSA's frozen weight of ${name} again: its singular values ${rank} and ${
          rank + 1
        }, ` +
          `${values[rank - 1]} and ${values[rank]}, are too close; convert the adapter in Python by ` +
          "save_pretrained(…, path_initial_model_for_weight_conversion=…)",
      );
    }
    const precision = precisionOf(weight);
    return tidy(() => {
      const initial = leadingFactors({ u, s, vt }, { rank, scaling });
      return { weight: residualWeight(wide, { ...initial, scaling, precision }), initial };
    });
  } finally {
    disposeAll([u, s, vt]);
  }
}
