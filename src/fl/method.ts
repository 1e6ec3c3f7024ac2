import { clone, isStorageOnly, type Tensor } from "../engine/mod.ts";
import type { Backbone, Inputs } from "../models/mod.ts";
import type { LocalOptimizer, TaskModel } from "../tasks/mod.ts";
import type { Aggregate, AggregatorKind } from "./aggregation/aggregator.ts";
import type { Companion, Coordinates } from "./legality.ts";
import type { Sampling } from "./fleet.ts";
import type { PrivacyReport } from "./privacy/privacy_report.ts";
import { type HostTensor, pick, type Shapes, type Tensors } from "./tensors.ts";
import type { Tree } from "./tree.ts";

/** What the server knows of a client. */
export interface Client {
  /** From 0. */
  readonly id: number;
  /** n_k: examples, not rows. */
  readonly numExamples: number;
  /** The last round it took part in; 0 for never. */
  readonly lastRound: number;
  /** How far its labels are from those of all, 0 to 1; see `labelDivergences`. Known where the method asks for it. */
  readonly labelDivergence?: number;
}

/** What a method is given at the start of a run. */
export interface InitContext {
  readonly seed: number;
  /** Clients of the whole federation. */
  readonly numClients: number;
  /** Rounds of the run, where they are known. */
  readonly rounds?: number | undefined;
  /** How the fleet samples, where it says so. */
  readonly sampling?: Sampling | undefined;
  readonly onProgress?: ((done: number, total: number) => void) | undefined;
}

/** What a method makes of a pretrained model. */
export interface Initialized<State extends Tree> {
  /** The pretrained model with what the method puts on it. It follows from weights and seed, so it is never stored. */
  readonly model: TaskModel;
  readonly state: State;
}

/**
 * A federated method: what clients train and send, and what the server makes of it. Functions over an explicit state; the
 * round knows no method by name. Made by a factory that takes the method's own options, such as `feDeRa({ rank: 8 })`.
 */
// deno-lint-ignore no-explicit-any -- a run keeps the state of whichever method it has.
export interface Method<State extends Tree = any> {
  readonly name: string;
  /**
   * Whether one party holds all data: the baseline of central training, which takes as many steps a round as the cohort would.
   */
  readonly isCentral?: boolean;
  /** Whether the server moves by something else than the clients' mean change, so that errors against that have no meaning. */
  readonly movesOtherwise?: boolean;
  /** Whether clients send something else than values of parameters, so that nothing can be put over the method that works on these. */
  readonly sendsOtherwise?: boolean;
  /** What becomes of the coordinates of what is trained; see {@linkcode Coordinates}. */
  readonly coordinates?: Coordinates;
  /** Whether clients have ranks of their own. */
  readonly mixesRanks?: boolean;
  /** Whether what the server sends down holds each client's change, so that clients can tell each other's. */
  readonly showsChanges?: boolean;
  /** Positions that it takes in front of each text's own: texts may be that much shorter than the encoder reads. None by default. */
  readonly positions?: number;
  /** Whether the server must know how far the labels of each client are from those of all. */
  readonly needsLabels?: boolean;
  /** What the server must see of the uploads: sums by default, or each. */
  readonly sees?: AggregatorKind;
  /** What it brings to a run, for the check of what goes together: privacy that is put over a method. */
  readonly brings?: Companion;
  /** Whether the server moves in a round that nobody came to, too: `apply` gets no clients and no values then. */
  readonly movesAlone?: boolean;
  /** What else its arithmetic doesn't hold with, and why; see {@linkcode MethodFacts}. */
  readonly unsoundWith?: Readonly<Partial<Record<Companion, string>>>;
  /**
   * Checks that the method fits a model by names and shapes alone; its parameters may hold no values.
   *
   * @throws as `init`, when it doesn't.
   */
  check(pretrained: TaskModel): void;
  /**
   * Checks that clients may be trained so.
   *
   * @throws {TypeError} when the method's arithmetic doesn't hold for the optimiser.
   */
  checkTraining?(training: { readonly optimizer: LocalOptimizer }): void;
  /** Puts on the pretrained model what clients train. */
  init(pretrained: TaskModel, context: InitContext): Promise<Initialized<State>>;
  /** Values of the global model's parameters, by their names in the model; the others stay as `init` made them. */
  parameters(state: State): Tensors;
  /** What the clients of a round do; rounds count from 1. */
  plan(state: State, round: number): RoundPlan;
  /** The next state. It owns the tensors of this one that it holds on to, and of the aggregate; the others are freed. */
  apply(state: State, aggregate: Aggregate, round: number): State | Promise<State>;
  /**
   * Called before each round.
   *
   * @throws {PrivacyBudgetError} when the state must not go through it.
   */
  checkRound?(state: State, round: number): void;
  /** What clients' privacy has cost up to a round, after which the state is, and what protects it. */
  privacy?(state: State, round: number): PrivacyReport;
  /**
   * What a client's model has after a download: new values of its global parameters. By default those of the payload that are
   * parameters.
   */
  receive?(parameters: Tensors, payload: Tensors, context: ReceiveContext): Tensors;
}

/** What a client knows of the round that a download is for. */
export interface ReceiveContext {
  readonly round: number;
  /** Of the run. */
  readonly seed: number;
}

/** What the clients of a round do. */
export interface RoundPlan {
  /** Names of the parameters that clients train, in model order. */
  readonly trained: readonly string[];
  /** Those whose values go up; the others are personal: they stay with their client from round to round. All by default. */
  readonly shared?: readonly string[];
  /** What every client is given beside parameters, by names that no parameter has. */
  readonly sent?: Tensors;
  /** Where a client starts, for what is shared; by default at the global values. The caller disposes what it gets. */
  start?(client: Client): Tensors;
  /** What a client downloads, if not where it starts and what is sent beside. */
  download?(client: Client): ReadonlyMap<string, Tensor | HostTensor>;
  /** The ranks of clients that differ; the global parameters have the largest. */
  readonly ranks?: Ranks;
  /** Plain descent by default. */
  readonly local?: LocalRule;
  /**
   * The plan of a client that was sent these beside parameters, where it follows from more than the round: a node of a real federation knows
   * no state but the first. By default the plan itself.
   */
  given?(sent: Tensors): RoundPlan;
  /** By what clients weigh in the average: their examples by default, or all the same. */
  readonly weighBy?: "examples" | "client";
}

/**
 * Checks that texts of a length fit an encoder behind what a method puts in front of them.
 *
 * @throws {RangeError} when they don't.
 */
export function checkPositions(
  { name, positions = 0 }: Pick<Method, "name" | "positions">,
  { encoder: { maxTokens }, length }: { readonly encoder: Backbone; readonly length: number },
): void {
  if (positions === 0 || length + positions <= maxTokens) return;
  throw new RangeError(
    `Cannot put the ${positions} positions of ${name} in front of texts of ${length} tokens: the encoder reads at most ${maxTokens} in all; ` +
      "lower maxLength, or tokens",
  );
}

/** Names of the parameters whose values go up. */
export function sharedNames(
  { trained, shared = trained }: Pick<RoundPlan, "trained" | "shared">,
): readonly string[] {
  return shared;
}

/** Names of the parameters that clients train and keep to themselves. */
export function personalNames(plan: Pick<RoundPlan, "trained" | "shared">): string[] {
  const isShared = new Set(sharedNames(plan));
  return plan.trained.filter((name) => !isShared.has(name));
}

/** The parameters of a model whose values go up. */
export function sharedParameters(
  model: TaskModel,
  plan: Pick<RoundPlan, "trained" | "shared">,
): Map<string, Tensor> {
  return pick(new Map(model.namedParameters()), sharedNames(plan));
}

/** The ranks of a federation whose clients differ. */
export interface Ranks {
  /** The rank r_k of a client. */
  of(client: number): number;
  /** The scale of its update, s_k = alpha / r_k. */
  scaling(client: number): number;
}

/** Clients that train together, as a local rule sees them. */
export interface Local {
  readonly clients: readonly Client[];
  /** Values of what is trained at the start of the round: [...] where all start alike, otherwise [C, ...]. */
  readonly start: Tensors;
  /** What was sent beside parameters; [...]. */
  readonly sent: Tensors;
  /** What each kept from its last round, [C, ...]. */
  readonly kept: Tensors;
  /** What the rule adds up over the steps of this round, [C, ...]. */
  readonly sums: Tensors;
  /** What the rule has observed, and after the last step what it has prepared, by names of its own. */
  readonly prepared: Tensors;
  /** Where clients have ranks of their own. */
  readonly ranks?: Ranks | undefined;
  /** The step that is being taken, from 1; 0 before and after. */
  readonly step: number;
  /** Local steps of each. */
  readonly steps: readonly number[];
  readonly optimizer: LocalOptimizer;
  readonly learningRate: number;
}

/** What a client does beside plain descent. */
export interface LocalRule {
  /**
   * What each client finds of the first batch of its round before it trains, [C, ...], the model being the global one; given on by
   * `prepared`, and freed after `finish`. Inputs are padded to the length of the client's set.
   */
  observe?(model: TaskModel, inputs: Inputs): Tensors;
  /** Whether the round only observes: all values stay as they are, bit for bit, whatever the optimiser. */
  readonly isStill?: boolean;
  /** What each client keeps between rounds, without the client axis; zero for a new one. */
  readonly keeps?: Shapes;
  /** What `correct` adds up over the steps of one round, without the client axis; zero at its start, and freed after `finish`. */
  readonly sums?: Shapes;
  /** Changes gradients in place each step, before they are clipped: FedProx, SCAFFOLD. */
  correct?(gradients: Tensors, values: Tensors, local: Local): void;
  /** Names and shapes of what `finish` gives for upload, without the client axis; by default those of what is shared. */
  readonly sends?: Shapes;
  /**
   * What `finish` needs of the values after the last step that takes a wait, such as an SVD; freed after `finish`. It frees what else it
   * makes.
   */
  prepare?(values: Tensors, local: Local): Promise<Tensors>;
  /**
   * What goes up in place of the values of what is shared, and what is kept. An upload by the name of a shared parameter is a value of it;
   * a lossy codec sends its change since the start. Others are sent as they are.
   */
  finish?(values: Tensors, local: Local): { readonly upload: Tensors; readonly keep?: Tensors };
}

/**
 * The parameters of a model that are trained, in model order.
 *
 * @throws {TypeError} when one is stored for reading alone.
 */
export function trainableParameters(
  model: TaskModel,
  isTrained: (name: string) => boolean,
): Map<string, Tensor> {
  const chosen = new Map([...model.namedParameters()].filter(([name]) => isTrained(name)));
  for (const [name, { dtype }] of chosen) {
    if (isStorageOnly(dtype)) {
      throw new TypeError(
        `Cannot train ${name}, which is stored as ${dtype}: choose a low-rank method, or the precision f32`,
      );
    }
  }
  return chosen;
}

/** A model with its own copy of some parameters: a run frees its own, and the pretrained model may serve others. */
export function withOwnParameters(model: TaskModel, isOwn: (name: string) => boolean): TaskModel {
  trainableParameters(model, isOwn);
  return model.mapParameters((name, parameter) => isOwn(name) ? clone(parameter) : parameter);
}

/** Whether a parameter belongs to the task's head. */
export function isHead(name: string): boolean {
  return name.startsWith("head.");
}
