import {
  abs,
  add,
  clone,
  concat,
  div,
  keep,
  Linear,
  mean,
  mul,
  reshape,
  sqrt,
  square,
  sub,
  sum,
  sumOfSquares,
  type Tensor,
  tidy,
  toFloat,
} from "../engine/mod.ts";
import { adaptersOf, LowRankLinear } from "../federa/mod.ts";
import type { TaskModel } from "../tasks/mod.ts";
import type { FactorCovariance } from "./factor_covariance.ts";

/**
 * How far weights moved between two states, in DoRA's terms (arXiv 2402.09353), as means over columns and layers; FeDeRA's
 * own definition was not available. With m_n = ‖W[:, n]‖₂ and v_n = W[:, n]:
 */
export interface Variation {
  /** Mean of |m_n − m′_n|. */
  readonly magnitude: number;
  /** Mean of 1 − cos(v_n, v′_n). */
  readonly direction: number;
}

/** What a round did to the adapted weights. */
export interface RoundDynamics {
  /**
   * ‖E‖_F / ‖ΔW‖_F over all adapters: what averaging A and B apart loses of the exact change, both counted from the start
   * of the round. Null without adapters, or when nothing moved.
   */
  readonly aggregationError: number | null;
  /**
   * ‖change of the global weights − exact change‖_F / ‖exact change‖_F, as measured on the effective weights; about the
   * f32 rounding of W where a method aggregates exactly.
   */
  readonly appliedError: number | null;
  /** Against the weights before the round. */
  readonly fromLastRound: Variation;
  /** Against the pretrained weights. */
  readonly fromPretrained: Variation;
}

/** Effective weights of the named linear layers, each its own copy. */
export function effectiveWeights(model: TaskModel, names: readonly string[]): Map<string, Tensor> {
  const wanted = new Set(names);
  return new Map([...model.namedModules()].flatMap(([name, module]) => {
    if (!wanted.has(name)) return [];
    if (module instanceof LowRankLinear) {
      return [[name, keep(tidy(() => module.effectiveWeight().detach()))] as const];
    }
    return module instanceof Linear ? [[name, keep(tidy(() => clone(toFloat(module.weight))))] as const] : [];
  }));
}

/** The states of the weights that {@linkcode measureDynamics} compares. */
export interface DynamicsOptions {
  readonly before: ReadonlyMap<string, Tensor>;
  readonly after: ReadonlyMap<string, Tensor>;
  readonly pretrained: ReadonlyMap<string, Tensor>;
}

/** Records what {@linkcode measureDynamics} reads: rows of seven sums, one a layer. */
export function recordDynamics(
  model: TaskModel,
  covariance: FactorCovariance,
  { before, after, pretrained }: DynamicsOptions,
): Tensor {
  const adapters = adaptersOf(model);
  const names = [...after.keys()];
  return tidy(() => {
    const scaled = new Map([...covariance.aggregates()].map(([name, { error, change }]) => {
      const { scaling } = adapters.get(name)!;
      return [name, { error: mul(error, scaling), change: mul(change, scaling) }] as const;
    }));
    const rows = names.map((name) => {
      const [now, last, origin] = [after.get(name)!, before.get(name)!, pretrained.get(name)!];
      const aggregate = scaled.get(name);
      const zero = mul(sumOfSquares(now), 0);
      return [
        aggregate ? sumOfSquares(aggregate.error) : zero,
        aggregate ? sumOfSquares(aggregate.change) : zero,
        aggregate ? sumOfSquares(sub(sub(now, last), aggregate.change)) : zero,
        ...variation(now, last),
        ...variation(now, origin),
      ].map((each) => reshape(each, [1]));
    });
    return concat(rows.flat());
  });
}

/** Measures a round, with one readback. */
export async function measureDynamics(
  model: TaskModel,
  covariance: FactorCovariance,
  options: DynamicsOptions,
): Promise<RoundDynamics> {
  const scalars = recordDynamics(model, covariance, options);
  const values = await scalars.floats();
  scalars.dispose();
  const layers = options.after.size;
  const width = values.length / layers;
  const column = (k: number) =>
    Array.from({ length: layers }, (_, i) => values[i * width + k]!).reduce((sum, value) => sum + value, 0);
  const ratio = (error: number, change: number) => change > 0 ? Math.sqrt(error / change) : null;
  const average = (k: number) => column(k) / layers;
  return {
    aggregationError: ratio(column(0), column(1)),
    appliedError: ratio(column(2), column(1)),
    fromLastRound: { magnitude: average(3), direction: average(4) },
    fromPretrained: { magnitude: average(5), direction: average(6) },
  };
}

/** Means over columns of |‖v‖ − ‖w‖| and of 1 − cos(v, w) = ‖v/‖v‖ − w/‖w‖‖²/2, which keeps small angles. */
function variation(v: Tensor, w: Tensor): [Tensor, Tensor] {
  const norm = (x: Tensor) => sqrt(sum(square(x), { axes: [0], keepDims: true }));
  const [normV, normW] = [norm(v), norm(w)];
  const unit = (x: Tensor, length: Tensor) => div(x, add(length, 1e-30));
  const gap = sub(unit(v, normV), unit(w, normW));
  return [mean(abs(sub(normV, normW))), mean(mul(sum(square(gap), { axes: [0] }), 0.5))];
}
