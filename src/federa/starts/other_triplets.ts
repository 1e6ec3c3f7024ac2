import {
  concat,
  disposeAll,
  embedding,
  randomKey,
  RandomStream,
  reshape,
  slice,
  type Tensor,
  tensor,
  tidy,
  transpose,
} from "../../engine/mod.ts";
import { exactSvd } from "./_batch.ts";
import type { Initialization, InitializationOptions } from "./initialization.ts";
import { tripletFactors, type Triplets, tripletsFrom } from "./leading_factors.ts";
import { takenOut } from "./taken_out.ts";

/**
 * MiLoRA's start (Wang et al., arXiv 2406.09044), the opposite of FeDeRA's: the r smallest singular triplets are trained, B₀ = U·√(S/s) and
 * A₀ = √(S/s)·Vᵀ, and the principal part of the weight is frozen.
 *
 * They come from the full SVD by Jacobi rotations, as no sketch finds the bottom of a spectrum: see {@linkcode jacobiSvd}. On a software
 * adapter that took 0.4 CPU seconds for a weight of 384 × 384 and 1 for 1536 × 384, where the randomized SVD took 0.02. Where a
 * singular value is 0, both vectors of its triplet start as 0 and never move: a weight whose rank is full has none.
 */
export const milora: Initialization = fromExactSvd((svd, { rank }) => {
  const count = svd.s.shape.at(-1)!;
  return tripletsFrom(svd, { start: count - rank, end: count });
});

/**
 * The ablation between FeDeRA's start and MiLoRA's: r singular triplets of the weight drawn at random, all alike, without replacement; each
 * layer draws its own by the seed. They come from the full SVD, at the cost of {@linkcode milora}.
 */
export const randomTriplets: Initialization = fromExactSvd((svd, { rank, seed, names }) => {
  const count = svd.s.shape.at(-1)!;
  const drawn = names.map((name, i) => chosen(memberOf(svd, i), drawPlaces({ count, rank, seed, name })));
  const stack = (part: (each: Triplets) => Tensor) =>
    concat(drawn.map(part).map((each) => reshape(each, [1, ...each.shape])));
  return { u: stack(({ u }) => u), s: stack(({ s }) => s), vt: stack(({ vt }) => vt) };
});

/** @param choose the triplets to train of a batch of full decompositions. */
function fromExactSvd(
  choose: (svd: Triplets, options: InitializationOptions) => Triplets,
): Initialization {
  return takenOut({
    async factor(weights, options) {
      const { u, s, vt } = await exactSvd(weights);
      try {
        return tidy(() => tripletFactors(choose({ u, s, vt }, options), options));
      } finally {
        disposeAll([u, s, vt]);
      }
    },
  });
}

/** Different places below `count`, ascending, by the seed and the layer's name. */
function drawPlaces(
  { count, rank, seed, name }: {
    readonly count: number;
    readonly rank: number;
    readonly seed: number;
    readonly name: string;
  },
): number[] {
  const stream = new RandomStream(randomKey(seed, "random triplets", name));
  const left = Array.from({ length: count }, (_, place) => place);
  const drawn = Array.from({ length: rank }, () => left.splice(stream.integer(left.length), 1)[0]!);
  return drawn.sort((one, other) => one - other);
}

function chosen({ u, s, vt }: Triplets, places: readonly number[]): Triplets {
  const ids = tensor(u.gpu, Uint32Array.from(places));
  return {
    u: transpose(embedding(transpose(u), ids)),
    s: reshape(embedding(reshape(s, [-1, 1]), ids), [places.length]),
    vt: embedding(vt, ids),
  };
}

function memberOf({ u, s, vt }: Triplets, i: number): Triplets {
  const member = (x: Tensor) => reshape(slice(x, { start: i, end: i + 1 }), x.shape.slice(1));
  return { u: member(u), s: member(s), vt: member(vt) };
}
