import { type Tensor, tidy } from "../../../../engine/mod.ts";
import { jacobiSvd, randomizedSvd, type Svd } from "../../../../engine/linalg/mod.ts";
import { Held } from "../../../held.ts";

/** How a matrix is decomposed. */
export interface LeadingTripletsOptions {
  readonly svd: "randomized" | "exact";
  /** Triplets that the randomized SVD finds. */
  readonly rank: number;
  readonly seed: number;
}

/**
 * Decomposes a matrix [out, in] on the server and gives its singular triplets to `use`, at least the leading ones of the rank. The caller
 * disposes what `use` returns.
 */
export async function leadingTriplets<T>(
  matrix: Tensor,
  { svd, rank, seed }: LeadingTripletsOptions,
  use: (found: Pick<Svd, "u" | "s" | "vt">) => T,
): Promise<T> {
  using held = new Held();
  const found = held.hold(
    svd === "exact" ? await jacobiSvd(matrix) : await randomizedSvd(matrix, { rank, seed }),
  );
  return tidy(() => use(found));
}
