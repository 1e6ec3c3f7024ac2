import type { Stage } from "../privacy/stage.ts";
import type { Codec } from "./codec.ts";

/**
 * Makes sure that a codec, which comes after all stages of clients, doesn't undo what they have done.
 *
 * @throws {TypeError} for one with error feedback after any stage of clients, as what it adds from earlier rounds has not gone through it.
 */
export function checkStages({ name, feedback }: Codec, stages: readonly Stage[]): void {
  const changing = stages.find(({ client }) => client !== undefined);
  if (feedback && changing !== undefined) {
    throw new TypeError(
      `Cannot send by codec ${name} after ${changing.name}: its error feedback adds what earlier rounds left out, which ` +
        `${changing.name} would not see; take a codec without feedback`,
    );
  }
}
