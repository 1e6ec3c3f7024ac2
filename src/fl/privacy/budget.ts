import { FederaError } from "../../engine/mod.ts";
import { noiseMultiplierFor, roundsWithin } from "./accounting/noise_multiplier_for.ts";
import { privacySpent } from "./accounting/privacy_spent.ts";
import type { SampledGaussian } from "./accounting/sampled_gaussian.ts";

/** A round would take more of the clients' privacy than a run may. */
export class PrivacyBudgetError extends FederaError {
  override name = "PrivacyBudgetError";
}

/** What a run may take of its clients' privacy, and the mechanism of its rounds. */
export interface PrivacyBudget {
  readonly name: string;
  /** The most that ε may become; any by default. */
  readonly epsilon?: number | undefined;
  readonly delta: number;
  readonly samplingRate: number;
  readonly noiseMultiplier: number;
}

/** Options of {@linkcode checkBudget}. */
export interface CheckBudgetOptions {
  /** Rounds that were played before. */
  readonly ledger?: readonly SampledGaussian[];
  /** By how much noise multipliers of configurations are larger. */
  readonly scale?: number;
}

/**
 * Makes sure that rounds stay within a budget.
 *
 * @param rounds how many are to come.
 * @throws {PrivacyBudgetError} naming the round that would pass it, and what would do.
 */
export function checkBudget(
  { name, epsilon = Infinity, delta, samplingRate, noiseMultiplier }: PrivacyBudget,
  rounds: number,
  { ledger = [], scale = 1 }: CheckBudgetOptions = {},
): void {
  const mechanism = { samplingRate, noiseMultiplier };
  const after = (more: number) =>
    privacySpent([...ledger, { ...mechanism, rounds: more }], { delta }).epsilon;
  if (epsilon === Infinity || after(rounds) <= epsilon) return;
  const left = roundsWithin(epsilon, mechanism, { delta, most: rounds, before: ledger });
  const played = roundsOf(ledger);
  const last = played + left;
  const enough = played === 0
    ? `, or raise noiseMultiplier to ${
      roundUp(scale * noiseMultiplierFor(epsilon, { samplingRate, rounds, delta }))
    }`
    : "";
  throw new PrivacyBudgetError(
    `Cannot run round ${last + 1} with ${name}: ε would be ${
      after(left + 1).toPrecision(4)
    } at δ ${delta}, and ${epsilon} may be spent; lower rounds to ${last}${enough}`,
  );
}

/**
 * The least noise that keeps all rounds of a run within its budget.
 *
 * @throws {TypeError} when how many there are isn't known.
 * @throws {RangeError} as {@linkcode noiseMultiplierFor}.
 */
export function leastNoise(
  { name, epsilon = Infinity, delta, samplingRate }: Omit<PrivacyBudget, "noiseMultiplier">,
  { rounds }: { readonly rounds?: number | undefined },
): number {
  if (rounds !== undefined) return noiseMultiplierFor(epsilon, { samplingRate, rounds, delta });
  throw new TypeError(
    `Cannot choose noise of ${name} for ε ${epsilon}: expected the number of rounds, got none; give init rounds, or noiseMultiplier`,
  );
}

/** A few digits that suffice. */
function roundUp(value: number): number {
  const digit = 10 ** (Math.floor(Math.log10(value)) - 3);
  return Number((Math.ceil(value / digit) * digit).toPrecision(4));
}

/** How many rounds a ledger has. */
export function roundsOf(ledger: readonly SampledGaussian[]): number {
  return ledger.reduce((sum, { rounds }) => sum + rounds, 0);
}

/** A ledger after another round. */
export function withRound(
  ledger: readonly SampledGaussian[],
  { samplingRate, noiseMultiplier }: Omit<SampledGaussian, "rounds">,
): SampledGaussian[] {
  const last = ledger.at(-1);
  return last?.samplingRate === samplingRate && last.noiseMultiplier === noiseMultiplier
    ? [...ledger.slice(0, -1), { ...last, rounds: last.rounds + 1 }]
    : [...ledger, { samplingRate, noiseMultiplier, rounds: 1 }];
}
