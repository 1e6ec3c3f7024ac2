import type { Stage } from "../privacy/stage.ts";
import type { Codec } from "./codec.ts";

/**
 * Makes sure that a codec, which comes after all stages of clients, doesn't undo what they have done.
 *
 * @throws {TypeError} for a codec that loses bits after a stage that hides clients, as sums of what is hidden then no longer come out
 * right; and for one with error feedback after any stage of clients, as what it adds from earlier rounds has not gone through it.
 */
export function checkStages({ name, lossless, feedback }: Codec, stages: readonly Stage[]): void {
  const hiding = stages.find(({ hidesClients }) => hidesClients);
  if (!lossless && hiding !== undefined) {
    throw new TypeError(
      `Cannot send what ${hiding.name} hides by codec ${name}: its sums come out right only where every bit arrives; ` +
        "take codec f32",
    );
  }
  const changing = stages.find(({ client }) => client !== undefined);
  if (feedback && changing !== undefined) {
    throw new TypeError(
      `Cannot send by codec ${name} after ${changing.name}: its error feedback adds what earlier rounds left out, which ` +
        `${changing.name} would not see; take a codec without feedback`,
    );
  }
}
