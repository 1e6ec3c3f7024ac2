import { disposeAll, slice, type Tensor, tidy } from "../../engine/mod.ts";
import { qr } from "../../engine/linalg/mod.ts";
import { stacked } from "./_batch.ts";
import type { Initialization } from "./initialization.ts";
import { takenOut } from "./taken_out.ts";

/**
 * OLoRA's start (Büyükakyüz, arXiv 2406.01775): with W = Q·R, B₀ = Q[:, :r] and A₀ = R[:r] are trained, and W − s·B₀·A₀ is frozen. B₀ is
 * orthonormal. Without pivoting its columns span the first r columns of W, whichever these are, not the dominant directions. With s ≠ 1
 * the frozen weight isn't what QR leaves, but W − s·Q_r·R_r, as in PEFT.
 */
export const olora: Initialization = takenOut({
  async factor(weights, { rank }) {
    using batch = stacked(weights);
    const { q, r } = await qr(batch);
    const part = (x: Tensor, axis: number) => slice(x, { axis, start: 0, end: rank, copy: true });
    try {
      return tidy(() => ({ loraA: part(r, 1), loraB: part(q, 2) }));
    } finally {
      disposeAll([q, r]);
    }
  },
});
