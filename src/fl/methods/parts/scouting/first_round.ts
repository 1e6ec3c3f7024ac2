import type { Tensor } from "../../../../engine/mod.ts";
import type { Client } from "../../../method.ts";

/** What the rounds after the first go by. */
export interface FirstRound {
  /** Of the method. */
  readonly name: string;
  /** What the first round is for, as a clause: "which chooses the blocks". */
  readonly purpose: string;
  /** Whether somebody came through in it. */
  readonly isDone: boolean;
}

/**
 * What clients download after a first round in which they found out something together.
 *
 * @param download of a client that doesn't know yet what came of it: one of the first round, or a new one.
 */
export function afterFirstRound(
  { name, purpose, isDone }: FirstRound,
  download: (isNew: boolean) => Map<string, Tensor>,
): (client: Client) => Map<string, Tensor> {
  return ({ lastRound }) => {
    if (isDone) return download(lastRound <= 1);
    throw new RangeError(
      `Cannot go on with ${name}: nobody came through in round 1, ${purpose}; start again`,
    );
  };
}
