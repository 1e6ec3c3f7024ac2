import {
  accumulate,
  add,
  addMatmul,
  concat,
  disposeAll,
  isStorageOnly,
  keep,
  Linear,
  matmul,
  mul,
  sub,
  sum,
  sumOfSquares,
  type Tensor,
  tidy,
  toFloat,
  zeros,
} from "../../engine/mod.ts";
import { AdaptedLinear, DoraLinear, FactoredLinear, LowRankLinear } from "../../federa/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import { isHead } from "../method.ts";
import type { Figures, Measure, MeasureContext } from "./measure.ts";

/** A layer with a weight [out, in]. */
type Layer = Linear | AdaptedLinear;

/**
 * How far the effective weights moved, in DoRA's terms (arXiv 2402.09353); FeDeRA's own definition was not available. With
 * m_n = ‖W[:, n]‖₂ and v_n = W[:, n], as means over columns and layers:
 *
 * - `magnitudeFromLastRound` and `magnitudeFromPretrained`: |m_n − m′_n|.
 * - `directionFromLastRound` and `directionFromPretrained`: 1 − cos(v_n, v′_n); 0 where either is zero.
 *
 * They are taken over adapted layers, and over linear layers whose own weight is trained, but not the head. All are null where
 * there is none of either, as when biases alone are trained.
 *
 * Both come from the difference D of the weights W′ = W + D, as m′² − m² = 2·v′·d − ‖d‖² and 1 − cos = (‖d‖² − (m′ − m)²) /
 * (2·m·m′), so that they tell changes far below the rounding of a weight; a direction is known to some 2⁻²⁴·‖d‖²/(m·m′). Since
 * the last round, D is built from the differences of LoRA's factors; of other adapted layers, such as DoRA's, it is the difference of the
 * weights, and changes below their rounding are noise. At the end of a round it takes some five matrices, of one
 * layer at a time; the sums down their columns are read back and worked on in float64.
 */
export function weightVariation({ pretrained }: MeasureContext): Measure {
  return new WeightVariation(pretrained);
}

class WeightVariation implements Measure {
  readonly name = "weight-variation";
  readonly #pretrained: ReadonlyMap<string, Layer>;
  #before: ReadonlyMap<string, Layer> = new Map();

  constructor(pretrained: TaskModel) {
    this.#pretrained = layersOf(pretrained);
  }

  begin(model: TaskModel): void {
    this.#before = layersOf(model);
  }

  add(): void {}

  async end(model: TaskModel): Promise<Figures> {
    const found = [...layersOf(model)].flatMap(([name, layer]) => {
      const [before, origin] = [this.#before.get(name), this.#pretrained.get(name)];
      const isOwn = before && origin && (layer instanceof AdaptedLinear || layer.weight !== origin.weight);
      return isOwn ? [keep(tidy(() => columnSums(layer, { before, origin })))] : [];
    });
    const all = found.length > 0 ? keep(tidy(() => concat(found))) : null;
    disposeAll(found);
    try {
      const values = await all?.floats();
      let start = 0;
      const layers = found.map(({ size }) => figuresOf(values!.subarray(start, start += size)));
      const mean = (column: number) =>
        layers.length === 0
          ? null
          : layers.reduce((total, figures) => total + figures[column]!, 0) / layers.length;
      return {
        magnitudeFromLastRound: mean(0),
        directionFromLastRound: mean(1),
        magnitudeFromPretrained: mean(2),
        directionFromPretrained: mean(3),
      };
    } finally {
      all?.dispose();
    }
  }

  dispose(): void {
    this.#before = new Map();
  }
}

/** The layers with weights outside the head. */
function layersOf(model: TaskModel): Map<string, Layer> {
  return new Map(
    [...model.namedModules()].flatMap(([name, module]) =>
      (module instanceof Linear || module instanceof AdaptedLinear) && !isHead(name) ? [[name, module]] : []
    ),
  );
}

/**
 * Sums down the columns of a layer, [7·in]: ‖v′‖², then for the last round and for the pretrained weight ‖v‖², v′·d and ‖d‖²
 * with d = v′ − v.
 */
function columnSums(layer: Layer, { before, origin }: { before: Layer; origin: Layer }): Tensor {
  const weight = weightOf(layer);
  const squares = (x: Tensor) => sumOfSquares(x, { axes: [0] });
  const sums = (last: Tensor, difference: Tensor) => [
    squares(last),
    sum(mul(weight, difference), { axes: [0] }),
    squares(difference),
  ];
  const change = changeOf(layer, before);
  const pretrained = startOf(layer, origin);
  return concat([
    squares(weight),
    ...tidy(() => sums(sub(weight, change), change)),
    ...tidy(() => sums(pretrained, sub(weight, pretrained))),
  ]);
}

/** Magnitude and direction since the last round, then since the pretrained weight, from {@linkcode columnSums}. */
function figuresOf(sums: Float32Array): number[] {
  const width = sums.length / 7;
  const at = (row: number, n: number) => sums[row * width + n]!;
  const figures = [0, 0, 0, 0];
  for (let n = 0; n < width; n++) {
    const length = Math.sqrt(at(0, n));
    for (const [half, row] of [1, 4].entries()) {
      const last = Math.sqrt(at(row, n));
      if (length + last === 0) continue;
      const [product, distance] = [at(row + 1, n), at(row + 2, n)];
      const growth = (2 * product - distance) / (length + last);
      figures[2 * half]! += Math.abs(growth) / width;
      if (length * last === 0) continue;
      figures[2 * half + 1]! += Math.max(0, distance - growth ** 2) / (2 * length * last) / width;
    }
  }
  return figures;
}

/**
 * The weight that training started from. Where the frozen one was rounded, that is what an adapted layer starts from, which differs
 * from the pretrained weight by the rounding alone: nothing that was learnt.
 */
function startOf(layer: Layer, origin: Layer): Tensor {
  if (!(layer instanceof AdaptedLinear) || !isStorageOnly(layer.weight.dtype)) return weightOf(origin);
  const frozen = toFloat(layer.weight);
  const factored = layer instanceof DoraLinear ? layer.direction : layer;
  if (!(factored instanceof FactoredLinear) || !factored.initial) return frozen;
  const { initial: { loraA, loraB }, sharedScaling: scaling } = factored;
  return add(frozen, mul(matmul(loraB, loraA), scaling));
}

function weightOf(layer: Layer): Tensor {
  return layer instanceof AdaptedLinear ? layer.effectiveWeight().detach() : toFloat(layer.weight);
}

/** W′ − W [out, in], of low-rank layers B′·A′ − B·A = (B′ − B)·A′ + B·(A′ − A). */
function changeOf(after: Layer, before: Layer): Tensor {
  const isAlike = after instanceof LowRankLinear && before instanceof LowRankLinear &&
    after.rank === before.rank && after.sharedScaling === before.sharedScaling;
  if (!isAlike) return sub(weightOf(after), weightOf(before));
  const { sharedScaling: scaling, loraA, loraB, weight } = after;
  const change = zeros(weight.gpu, weight.shape);
  addMatmul(change, mul(sub(loraB, before.loraB), scaling), loraA);
  addMatmul(change, mul(before.loraB, scaling), sub(loraA, before.loraA));
  if (weight !== before.weight) accumulate(change, sub(toFloat(weight), toFloat(before.weight)));
  return change;
}
