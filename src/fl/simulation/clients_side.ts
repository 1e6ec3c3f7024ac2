import { constantSchedule } from "../../engine/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import { type Fleet, poissonFleet, uniformFleet } from "../fleet.ts";
import type { Method } from "../method.ts";
import { disposeOwn } from "../own_parameters.ts";
import { withParameters } from "../tensors.ts";
import { decodeTree, disposeTree, type EncodedTree, type Tree } from "../tree.ts";
import { f32Codec } from "../transport/float_codec.ts";
import { BlockParticipants, type BlockParticipantsOptions } from "./block_participants.ts";
import { centralized } from "./central.ts";
import { labelDivergences } from "./label_divergence.ts";
import type { SimulationOptions } from "./options.ts";

/** The fleet of a simulation, whose data are where its method wants them. */
export function fleetOf(options: SimulationOptions): Fleet {
  const { method, train, clients, clientsPerRound = clients.length, sampling, seed } = options;
  const numExamples = clients.map(({ length }) => length);
  return {
    ...sampling === "poisson"
      ? poissonFleet(numExamples, { rate: clientsPerRound / clients.length, seed })
      : uniformFleet(numExamples, { clientsPerRound, seed }),
    ...(method.needsLabels && { labelDivergences: labelDivergences(train, clients) }),
  };
}

/** The clients of a simulation, in blocks of this process. */
export function blocksOf(
  options: SimulationOptions,
  more: Pick<BlockParticipantsOptions, "hostile" | "cohortsFrom"> = {},
): BlockParticipants {
  const { method, learningRate, stages = [], codec = f32Codec } = options;
  return new BlockParticipants({
    ...options,
    ...more,
    learningRate: typeof learningRate === "number" ? constantSchedule(learningRate) : learningRate,
    stages,
    codec,
    isCentral: method.isCentral,
  });
}

/** A method's state as it is sent, and what it makes of a model. */
export interface OpenedState {
  readonly state: Tree;
  /** The global model in this state. */
  readonly global: TaskModel;
  /** Frees the state. */
  [Symbol.dispose](): void;
}

/**
 * The clients' side of a simulation that another process leads: the model that the method makes of the pretrained one, and the blocks of
 * clients, which train to the bits that they would have in the leading process on an adapter of the same kind.
 */
export class ClientsSide {
  readonly method: Method;
  /** What the method made of the pretrained model. */
  readonly model: TaskModel;
  readonly participants: BlockParticipants;
  /** The method's state before the first round. */
  readonly initial: Tree;
  readonly #pretrained: TaskModel;

  private constructor(
    pretrained: TaskModel,
    { method, model, state, participants }: {
      readonly method: Method;
      readonly model: TaskModel;
      readonly state: Tree;
      readonly participants: BlockParticipants;
    },
  ) {
    this.#pretrained = pretrained;
    this.initial = state;
    this.method = method;
    this.model = model;
    this.participants = participants;
  }

  /**
   * Puts the method on a pretrained model.
   *
   * @param given the options of the simulation, as `simulate` gets them.
   */
  static async open(pretrained: TaskModel, given: SimulationOptions): Promise<ClientsSide> {
    const options = given.method.isCentral ? centralized(given) : given;
    const { method, clients, rounds, seed } = options;
    const { sampling } = fleetOf(options);
    const made = await method.init(pretrained, { seed, numClients: clients.length, rounds, sampling });
    return new ClientsSide(pretrained, { method, ...made, participants: blocksOf(options) });
  }

  /**
   * The global model in a state that the leading process has sent.
   *
   * @throws {CorruptFileError} when it isn't whole.
   */
  read(encoded: EncodedTree): OpenedState {
    const state = decodeTree(this.model.gpu, encoded);
    try {
      const global = withParameters(this.model, this.method.parameters(state));
      return { state, global, [Symbol.dispose]: () => disposeTree(state) };
    } catch (error) {
      disposeTree(state);
      throw error;
    }
  }

  /** Frees what the method made; the pretrained model stays. */
  [Symbol.dispose](): void {
    const frozen = [...this.#pretrained.namedParameters()].map(([, parameter]) => parameter);
    disposeOwn(withParameters(this.model, this.method.parameters(this.initial)), this.#pretrained);
    disposeTree(this.initial, frozen);
  }
}
