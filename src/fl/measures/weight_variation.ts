import {
  abs,
  accumulate,
  add,
  addMatmul,
  concat,
  disposeAll,
  div,
  keep,
  less,
  Linear,
  mean,
  mul,
  neg,
  ones,
  relu,
  reshape,
  sqrt,
  square,
  sub,
  sum,
  sumOfSquares,
  type Tensor,
  tidy,
  toFloat,
  where,
  zeros,
} from "../../engine/mod.ts";
import { LowRankLinear } from "../../federa/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import { isHead } from "../method.ts";
import type { Figures, Measure, MeasureContext } from "./measure.ts";

/** A layer with a weight [out, in]. */
type Layer = Linear | LowRankLinear;

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
 * Both come from the difference D of the weights W′ = W + D, as m′² − m² = 2·v′·d − ‖d‖² and, while d is short beside the
 * columns, 1 − cos = (‖d‖² − (m′ − m)²) / (2·m·m′): so they tell changes far below the rounding of a weight. Since the last
 * round, D is built from the differences of the factors. At the end of a round it takes some five matrices, of one layer at a
 * time.
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
      const isOwn = before && origin && (layer instanceof LowRankLinear || layer.weight !== origin.weight);
      return isOwn ? [keep(tidy(() => variationOf(layer, { before, origin })))] : [];
    });
    const rows = found.length > 0 ? keep(tidy(() => concat(found))) : null;
    disposeAll(found);
    try {
      const values = await rows?.floats();
      const average = (column: number) =>
        values ? found.reduce((total, _, i) => total + values[4 * i + column]!, 0) / found.length : null;
      return {
        magnitudeFromLastRound: average(0),
        directionFromLastRound: average(1),
        magnitudeFromPretrained: average(2),
        directionFromPretrained: average(3),
      };
    } finally {
      rows?.dispose();
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
      (module instanceof Linear || module instanceof LowRankLinear) && !isHead(name) ? [[name, module]] : []
    ),
  );
}

/** The four figures of a layer, [4]. */
function variationOf(layer: Layer, { before, origin }: { before: Layer; origin: Layer }): Tensor {
  const now = measured(weightOf(layer));
  const change = changeOf(layer, before);
  const pretrained = weightOf(origin);
  return concat([
    ...tidy(() => turn(now, measured(sub(now.weight, change)), change)),
    ...tidy(() => turn(now, measured(pretrained), sub(now.weight, pretrained))),
  ]);
}

/** A weight [out, in] with the ‖·‖₂ of its columns, [in]. */
interface Measured {
  readonly weight: Tensor;
  readonly lengths: Tensor;
}

function measured(weight: Tensor): Measured {
  return { weight, lengths: sqrt(sumOfSquares(weight, { axes: [0] })) };
}

function weightOf(layer: Layer): Tensor {
  return layer instanceof LowRankLinear ? layer.effectiveWeight().detach() : toFloat(layer.weight);
}

/** W′ − W [out, in], of low-rank layers B′·A′ − B·A = (B′ − B)·A′ + B·(A′ − A). */
function changeOf(after: Layer, before: Layer): Tensor {
  if (!(after instanceof LowRankLinear && before instanceof LowRankLinear)) {
    return sub(weightOf(after), weightOf(before));
  }
  const { sharedScaling: scaling, loraA, loraB, weight } = after;
  const change = zeros(weight.gpu, weight.shape);
  addMatmul(change, mul(sub(loraB, before.loraB), scaling), loraA);
  addMatmul(change, mul(before.loraB, scaling), sub(loraA, before.loraA));
  if (weight !== before.weight) accumulate(change, sub(toFloat(weight), toFloat(before.weight)));
  return change;
}

/** Means over the columns of |m′ − m| and of 1 − cos(v′, v) for W′ = W + D, each [1]. */
function turn(now: Measured, last: Measured, difference: Tensor): [magnitude: Tensor, direction: Tensor] {
  const dots = (x: Tensor) => sum(mul(now.weight, x), { axes: [0] });
  const distances = sumOfSquares(difference, { axes: [0] });
  const growth = sub(mul(dots(difference), 2), distances);
  const magnitude = div(growth, orOne(add(now.lengths, last.lengths)));
  const area = mul(now.lengths, last.lengths);
  // Of a change longer than the columns themselves, what is left of ‖d‖² would be less exact than a cosine.
  const little = div(mul(relu(sub(distances, square(magnitude))), 0.5), orOne(area));
  const much = add(neg(div(dots(last.weight), orOne(area))), 1);
  const turned = where(less(distances, area), { then: little, otherwise: much });
  const direction = where(area, { then: turned, otherwise: zeros(area.gpu, [1]) });
  return [reshape(mean(abs(magnitude)), [1]), reshape(mean(direction), [1])];
}

/** x, and 1 where it's 0. */
function orOne(x: Tensor): Tensor {
  return where(x, { then: x, otherwise: ones(x.gpu, [1]) });
}
