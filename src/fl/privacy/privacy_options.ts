import { z } from "zod";
import { whyUnsound } from "../legality.ts";
import type { InitContext, Method } from "../method.ts";
import { type NoiseSource, secretNoise, seededNoise } from "./noise.ts";

/** Options of all that protects clients' privacy with noise. */
export const privacyOptions = z.strictObject({
  /** C: the longest change that a client may send, over all it sends together. */
  clipNorm: z.number().gt(0).max(1e9),
  /** z: the noise's standard deviation by C. By default the least that keeps all rounds within `epsilon`. */
  noiseMultiplier: z.number().gt(0).max(1e9).optional(),
  /** The most that ε may become; a run that would pass it is refused. Without it ε is reported alone. */
  epsilon: z.number().gt(0).max(1e6).optional(),
  /** δ, what ε may fail by: below one by the number of clients. */
  delta: z.number().gt(0).lt(1).default(1e-5),
  /** Noise that follows from the seed, which a simulation can repeat, or from the system's secret random numbers. */
  noise: z.enum(["seeded", "secret"]).default("seeded"),
});

/** Checked {@linkcode privacyOptions}. */
export type PrivacyOptions = z.output<typeof privacyOptions>;

/** Where the noise of options comes from. */
export function noiseSource({ noise }: Pick<PrivacyOptions, "noise">): NoiseSource {
  return noise === "secret" ? secretNoise : seededNoise;
}

/**
 * Makes sure that a method can be protected by a mechanism.
 *
 * @throws {TypeError} when its arithmetic doesn't hold with noise.
 * @throws {RangeError} when neither noise nor a budget is given.
 */
export function checkPrivate(
  name: "dp-fedavg" | "local-dp",
  inner: Method,
  { noiseMultiplier, epsilon }: Pick<PrivacyOptions, "noiseMultiplier" | "epsilon">,
): void {
  const problem = whyUnsound(inner, name === "local-dp" ? "localPrivacy" : "differentialPrivacy");
  if (problem !== undefined) throw new TypeError(`Cannot run ${inner.name} with ${name}: ${problem}`);
  if (noiseMultiplier === undefined && epsilon === undefined) {
    throw new RangeError(`Cannot use ${name}: expected noiseMultiplier or epsilon, got neither`);
  }
}

/**
 * Makes sure that δ says something.
 *
 * @throws {RangeError} when it's no less than one by the number of clients: it may then stand for one client shown whole.
 */
export function checkDelta(
  name: string,
  { delta }: Pick<PrivacyOptions, "delta">,
  { numClients }: Pick<InitContext, "numClients">,
): void {
  if (delta < 1 / numClients) return;
  throw new RangeError(
    `Cannot promise ${name} at δ ${delta} to ${numClients} clients: expected less than 1/${numClients}, as it may ` +
      "stand for all that one of them has; lower delta",
  );
}
