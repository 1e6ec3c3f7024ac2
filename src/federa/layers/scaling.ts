/** How alpha and rank make the scale s of an update s·B·A. */
export const scalingRules = ["alpha/r", "rslora"] as const;

/** `alpha/r`, or rank-stabilised LoRA's alpha/√r (Kalajdzievski, arXiv 2312.03732). */
export type ScalingRule = (typeof scalingRules)[number];

/** What the scale of an update follows from. */
export interface ScalingOptions {
  readonly rank: number;
  readonly alpha: number;
  /** `alpha/r` by default. */
  readonly scaling?: ScalingRule | undefined;
}

/**
 * The scale s of an update s·B·A: alpha/r, or alpha/√r of rank-stabilised LoRA. Nothing else computes it.
 *
 * @example
 * ```ts
 * scalingOf({ rank: 16, alpha: 8, scaling: "rslora" }); // 2
 * ```
 */
export function scalingOf({ rank, alpha, scaling = "alpha/r" }: ScalingOptions): number {
  return alpha / (scaling === "rslora" ? Math.sqrt(rank) : rank);
}
