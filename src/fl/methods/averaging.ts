import type { TaskModel } from "../../tasks/mod.ts";
import { type InitContext, type Method, trainableParameters } from "../method.ts";
import type { Tensors } from "../tensors.ts";

/** The state of a method whose server averages. */
export type Averaged = {
  /** Values of what is trained. */
  readonly global: Tensors;
};

/** Options of {@linkcode averaging}. */
export interface AveragingOptions {
  readonly name: string;
  /** Checks by names and shapes alone that the method fits a model. */
  check(pretrained: TaskModel): void;
  /** The pretrained model with what is trained, in tensors of its own. */
  start(pretrained: TaskModel, context: InitContext): Promise<TaskModel>;
  /** Whether a parameter is trained. */
  isTrained(name: string): boolean;
  /** Whether it is trained in this round; in every one by default. */
  isTrainedIn?(name: string, round: number): boolean;
}

/**
 * Federated averaging (McMahan et al., arXiv 1602.05629): clients start at the global values, train them, and each becomes the
 * mean of the clients' by their examples.
 */
export function averaging(
  { name, check, start, isTrained, isTrainedIn }: AveragingOptions,
): Method<Averaged> {
  return {
    name,
    check,
    async init(pretrained, context) {
      check(pretrained);
      const model = await start(pretrained, context);
      return { model, state: { global: trainableParameters(model, isTrained) } };
    },
    parameters: ({ global }) => global,
    plan: ({ global }, round) => ({
      trained: [...global.keys()].filter((name) => isTrainedIn?.(name, round) ?? true),
    }),
    apply: ({ global }, { values }) => ({ global: new Map([...global, ...values]) }),
  };
}
