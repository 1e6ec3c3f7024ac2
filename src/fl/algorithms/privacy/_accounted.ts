import type { Method } from "../../method.ts";
import { privacySpent } from "../../privacy/accounting/privacy_spent.ts";
import type { SampledGaussian } from "../../privacy/accounting/sampled_gaussian.ts";
import { checkBudget } from "../../privacy/budget.ts";
import type { PrivacyOptions } from "../../privacy/privacy_options.ts";
import type { OverState } from "../own_state.ts";

/** What is accounted of a method that protects its clients' privacy. */
export type AccountedState = OverState & {
  readonly noiseMultiplier: number;
  /** What rounds have used so far. */
  readonly ledger: readonly Ledger[];
};
type Ledger = { readonly samplingRate: number; readonly noiseMultiplier: number; readonly rounds: number };

/** Options of {@linkcode accounted}. */
export interface AccountedOptions<State> extends Pick<PrivacyOptions, "delta" | "epsilon"> {
  readonly name: string;
  /** What a round does, as the accountant counts it. */
  mechanism(state: State): Omit<SampledGaussian, "rounds">;
  /** What rounds have used up to one. */
  ledger(state: State, round: number): readonly SampledGaussian[];
  /** C of the last round. */
  clipNorm(state: State): number;
}

/** The accounting of a private method over another: no round passes the budget, and reports say what has been spent. */
export function accounted<State extends AccountedState>(
  inner: Method,
  { name, epsilon, delta, mechanism, ledger, clipNorm }: AccountedOptions<State>,
): Required<Pick<Method<State>, "checkRound" | "privacy">> {
  return {
    checkRound(state, round) {
      inner.checkRound?.(state.inner, round);
      checkBudget({ name, epsilon, delta, ...mechanism(state) }, 1, { ledger: ledger(state, round - 1) });
    },
    privacy: (state, round) => ({
      epsilon: privacySpent(ledger(state, round), { delta }).epsilon,
      delta,
      noiseMultiplier: state.noiseMultiplier,
      clipNorm: clipNorm(state),
    }),
  };
}
