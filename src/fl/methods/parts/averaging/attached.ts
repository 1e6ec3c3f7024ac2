import type { TaskModel } from "../../../../tasks/mod.ts";
import { isHead, type Method, withOwnParameters } from "../../../method.ts";
import { type Averaged, averaging, type AveragingOptions } from "./averaging.ts";

/** Options of {@linkcode attachedAveraging}. */
export interface AttachedAveragingOptions extends Pick<AveragingOptions, "name" | "check"> {
  /** Puts on a model what is trained, drawn by the seed. */
  attach(model: TaskModel, seed: number): TaskModel;
  /** Names of the parameters that it put there. */
  attached(model: TaskModel): ReadonlySet<string>;
  /** Positions that it takes in front of each text's own; see {@linkcode Method.positions}. */
  readonly positions?: number;
}

/** Federated averaging of what is attached to a pretrained model, and of the task's head. */
export function attachedAveraging(options: AttachedAveragingOptions): Method<Averaged> {
  const { name, check, attach, attached, positions } = options;
  return {
    ...averaging({
      name,
      check,
      start: (pretrained, { seed }) => Promise.resolve(attach(withOwnParameters(pretrained, isHead), seed)),
      isTrained: (each, model) => isHead(each) || attached(model).has(each),
    }),
    ...(positions !== undefined && { positions }),
  };
}
