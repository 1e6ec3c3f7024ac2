/**
 * Scores of 3 methods on 4 draws with 5 seeds, row-major, and what Python makes of them:
 *
 * ```py
 * # statsmodels 0.15.0, scipy 1.17; df has the columns m, d, s, y; y is the array of shape (3, 4, 5)
 * anova_lm(smf.ols("y ~ (C(m) + C(d) + C(s))**2", df).fit())["mean_sq"]
 * smf.mixedlm("y ~ C(m)", df, groups="one", vc_formula={"d": "0+C(d)", "s": "0+C(s)", "ds": "0+C(d):C(s)",
 *   "md": "0+C(m):C(d)", "ms": "0+C(m):C(s)"}).fit(reml=True)
 * stats.ttest_rel(y[1].ravel(), y[0].ravel()).confidence_interval(0.95)
 * ```
 */
// deno-fmt-ignore
export const scores: readonly number[] = [
  0.833, 0.772, 0.799, 0.819, 0.781, 0.848, 0.779, 0.814, 0.819, 0.811, 0.839, 0.807, 0.812, 0.827, 0.796, 0.879, 0.824, 0.841, 0.834, 0.835,
  0.87, 0.808, 0.797, 0.837, 0.817, 0.883, 0.823, 0.814, 0.835, 0.864, 0.841, 0.812, 0.794, 0.813, 0.802, 0.892, 0.86, 0.829, 0.852, 0.853,
  0.817, 0.799, 0.795, 0.832, 0.83, 0.836, 0.804, 0.805, 0.826, 0.843, 0.794, 0.797, 0.785, 0.796, 0.784, 0.861, 0.84, 0.841, 0.841, 0.869,
];

/** Mean squares of `anova_lm`, by the factors that interact. */
export const meanSquares: Readonly<Record<string, number>> = {
  "method": 0.0016517166666666203,
  "draw": 0.005478977777777756,
  "seed": 0.0030753333333333444,
  "method × draw": 0.0004886277777777753,
  "method × seed": 0.0006172583333333322,
  "draw × seed": 0.0002701444444444461,
  "method × draw × seed": 3.2586111111111105e-05,
};

/** Variances of the restricted maximum likelihood, which are those of the mean squares where none is negative. */
export const remlVariances: Readonly<Record<string, number>> = {
  "draw": 0.0003168521093359173,
  "seed": 0.0001850302613940692,
  "method × draw": 9.12214357372804e-05,
  "method × seed": 0.0001461942252667139,
  "draw × seed": 7.918454379223266e-05,
  "method × draw × seed": 3.2583747346664056e-05,
};

/** The second method minus the first over the 20 pairs. */
export const difference = {
  mean: 0.01635,
  sd: 0.020533092673458667,
  low: 0.006740216820466037,
  high: 0.025959783179533957,
  /** By NumPy from the formulas, with SciPy's quantile. */
  crossed: { low: -0.008034771619116546, high: 0.04073477161911654, degreesOfFreedom: 6.384550403410908 },
};
