import { clone, type Tensor } from "../engine/mod.ts";
import type { TaskModel } from "../tasks/mod.ts";
import type { HostTensor } from "./tensors.ts";

/** What every method is given at the start of a run. */
export interface MethodOptions {
  /** Name patterns of the linear layers that low-rank methods adapt. */
  readonly targets: readonly string[];
  readonly rank: number;
  readonly alpha: number;
  /** How FeDeRA decomposes weights. */
  readonly svd: "randomized" | "exact";
  readonly seed: number;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What the server knows between rounds. */
export interface ServerState {
  /** The pretrained model with what the method puts on it; its trainable parameters hold the global values. */
  readonly model: TaskModel;
}

/** The trained parameters of one cohort, on their way into the global model. */
export interface CohortUpdate {
  /** [C, ...] by name. */
  readonly values: ReadonlyMap<string, Tensor>;
  /** p_k = n_k / n over the whole round, f32 [C]. */
  readonly weights: Tensor;
}

/** The aggregation of one round, cohort by cohort in the order of clients; it holds no list of updates. */
export interface Aggregation {
  /** Adds a cohort. */
  add(update: CohortUpdate): void;
  /** Makes the sum of what was added the new global values. */
  finish(): void | Promise<void>;
  /** Frees what it holds, whether finished or given up. */
  dispose(): void;
}

/**
 * A federated method: functions over an explicit state. The round loop knows no method by name.
 */
export interface FederatedMethod<State extends ServerState = ServerState> {
  readonly name: string;
  /** One line on what it does, with its source. */
  readonly summary: string;
  /**
   * Checks the options of `init` by names and shapes alone: the parameters may hold no values.
   *
   * @throws as `init`, when the options don't fit the model.
   */
  check(pretrained: TaskModel, options: MethodOptions): void;
  /** Puts on the pretrained model what its clients train. */
  init(pretrained: TaskModel, options: MethodOptions): Promise<State>;
  /** Whether clients train and upload the parameter of this name. */
  trainable(name: string): boolean;
  /**
   * What a client downloads that last took part in round `lastRound`; rounds count from 1, and 0 is the state of `init`,
   * which needs no download: it follows from public weights and the seed.
   */
  broadcast(state: State, lastRound: number): ReadonlyMap<string, Tensor | HostTensor>;
  /** Starts the aggregation of a round. */
  aggregate(state: State): Aggregation;
  /** The model that is evaluated. */
  evaluationModel(state: State): TaskModel;
}

/**
 * The parameters of a model that clients train, in model order.
 *
 * @throws {TypeError} when one is in half precision.
 */
export function trainableParameters(
  model: TaskModel,
  isTrainable: (name: string) => boolean,
): Map<string, Tensor> {
  const chosen = new Map([...model.namedParameters()].filter(([name]) => isTrainable(name)));
  for (const [name, { dtype }] of chosen) {
    if (dtype === "f16") {
      throw new TypeError(
        `Cannot train ${name}, which is in half precision: take a low-rank method, or weights in f32`,
      );
    }
  }
  return chosen;
}

/**
 * A copy of a model with its own copy of the parameters to be trained: those are overwritten in place, and the pretrained
 * model may serve other runs.
 */
export function withOwnParameters(model: TaskModel, isOwn: (name: string) => boolean): TaskModel {
  trainableParameters(model, isOwn);
  return model.mapParameters((name, parameter) => isOwn(name) ? clone(parameter) : parameter);
}

/** Whether a parameter belongs to the classification head, which every method here federates too. */
export function isHead(name: string): boolean {
  return name.startsWith("head.");
}
