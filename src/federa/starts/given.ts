import { concat, reshape, sameShape, tensor, tidy } from "../../engine/mod.ts";
import type { Initialization } from "./initialization.ts";
import { takenOut } from "./taken_out.ts";

/** Factors on the host, by `LAYER.loraA` [r, in] and `LAYER.loraB` [out, r]. */
export type GivenFactors = ReadonlyMap<
  string,
  { readonly shape: readonly number[]; readonly data: Float32Array }
>;

/**
 * A start that somebody else has made of the same weights, as the server of a federation: B₀ and A₀ are trained, and W − s·B₀·A₀ is
 * frozen, as {@linkcode federa} does with its own.
 *
 * @throws {TypeError} naming a factor that is missing or doesn't fit its layer.
 */
export function givenFactors(factors: GivenFactors): Initialization {
  return takenOut({
    factor: (weights, { names, rank }) =>
      Promise.resolve(tidy(() => {
        const stacked = (factor: "loraA" | "loraB") =>
          concat(weights.map(({ gpu, shape: [out = 0, width = 0] }, i) => {
            const shape = factor === "loraA" ? [rank, width] : [out, rank];
            const name = `${names[i]}.${factor}`;
            const given = factors.get(name);
            if (given === undefined || !sameShape(given.shape, shape)) {
              throw new TypeError(
                `Cannot start from the given factors: expected ${name} of shape [${shape.join(", ")}], got ${
                  given === undefined ? "none" : `[${given.shape.join(", ")}]`
                }`,
              );
            }
            return reshape(tensor(gpu, given.data, { shape }), [1, ...shape]);
          }));
        return { loraA: stacked("loraA"), loraB: stacked("loraB") };
      })),
  });
}
