import type { TaskModel } from "../../../../tasks/mod.ts";
import { type InitContext, type Method, trainableParameters } from "../../../method.ts";
import { pick, type Tensors } from "../../../tensors.ts";

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
  /** Whether a parameter of the model that `start` made is trained. */
  isTrained(name: string, model: TaskModel): boolean;
  /** Whether it is trained in this round; in every one by default. */
  isTrainedIn?(name: string, round: number): boolean;
  /** Whether what is trained goes up; otherwise it stays with its client. All goes up by default. */
  isShared?(name: string): boolean;
}

/**
 * Federated averaging (McMahan et al., arXiv 1602.05629): clients start at the global values, train them, and each becomes the
 * mean of the clients' by their examples.
 */
export function averaging(options: AveragingOptions): Method<Averaged> {
  const { name, check, start, isTrained, isTrainedIn = () => true, isShared = () => true } = options;
  return {
    name,
    check,
    async init(pretrained, context) {
      check(pretrained);
      const model = await start(pretrained, context);
      return { model, state: { global: trainableParameters(model, (each) => isTrained(each, model)) } };
    },
    parameters: ({ global }) => global,
    plan({ global }, round) {
      const names = [...global.keys()];
      const trained = names.filter((each) => isTrainedIn(each, round));
      // A client of round q has what was global before the values of round q came in.
      const changedSince = (lastRound: number) =>
        names.filter((each) => {
          for (let q = Math.max(1, lastRound); q < round; q++) if (isTrainedIn(each, q)) return true;
          return round === 1 && isTrainedIn(each, round);
        });
      return {
        trained,
        shared: trained.filter(isShared),
        download: ({ lastRound }) => pick(global, changedSince(lastRound).filter(isShared)),
      };
    },
    apply: ({ global }, { values }) => ({ global: new Map([...global, ...values]) }),
  };
}
