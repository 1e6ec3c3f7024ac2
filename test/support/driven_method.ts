import { disposeAll, type Gpu, sub, type Tensor, tensor, tidy, zeros } from "../../src/engine/mod.ts";
import {
  type Client,
  type InitContext,
  type Local,
  meanAggregator,
  meanOfEachAggregator,
  type Method,
  type RoundPlan,
  type Shapes,
  type Tensors,
  type Tree,
} from "../../src/fl/mod.ts";
import { InOrder } from "../../src/fl/aggregation/in_order.ts";
import { disposeTree } from "../../src/fl/tree.ts";
import { withParameters } from "../../src/fl/tensors.ts";
import type { TokenTensors } from "../../src/models/mod.ts";
import type { TaskModel } from "../../src/tasks/mod.ts";
import { finishAggregation, openAggregation } from "./aggregation.ts";

/** What one client sends, by name and row-major. */
export type ClientUpload = ReadonlyMap<string, ArrayLike<number>>;

/** How uploads are given to a {@link DrivenMethod}. */
export interface UploadOptions {
  readonly shares: readonly number[];
  /** Clients that come together; each on its own by default. */
  readonly blockSize?: number;
  /** Numbers of the clients that come together, in the order of arrival, in place of `blockSize`. */
  readonly arrivals?: readonly (readonly number[])[];
  /** How far the labels of each client are from those of all; 0 by default. */
  readonly divergences?: readonly number[];
  /** Shapes of uploads that are no parameters. */
  readonly shapes?: ReadonlyMap<string, readonly number[]>;
  /** Clients that were expected; by default as many as came. */
  readonly cohort?: number;
}

/** A method whose clients' uploads are given by a test instead of trained. */
export class DrivenMethod {
  readonly method: Method;
  readonly model: TaskModel;
  state: Tree;
  round = 0;

  private constructor(method: Method, model: TaskModel, state: Tree) {
    this.method = method;
    this.model = model;
    this.state = state;
  }

  static async start(
    method: Method,
    pretrained: TaskModel,
    numClients = 8,
    context: Partial<InitContext> = {},
  ): Promise<DrivenMethod> {
    const { model, state } = await method.init(pretrained, { seed: 1, numClients, ...context });
    return new DrivenMethod(method, model, state);
  }

  get gpu(): Gpu {
    return this.model.gpu;
  }

  /** The global model. */
  get global(): TaskModel {
    return withParameters(this.model, this.method.parameters(this.state));
  }

  /** The plan of the next round. */
  get plan(): RoundPlan {
    return this.method.plan(this.state, this.round + 1);
  }

  /** What clients upload by default: what is shared. */
  get shared(): Map<string, Tensor> {
    const { trained, shared = trained } = this.plan;
    const all = new Map(this.global.namedParameters());
    return new Map(shared.map((name) => [name, all.get(name)!]));
  }

  /**
   * Plays the server's part of a round. Values of all that is shared go through what clients do with them before they send; anything
   * else is what was sent.
   */
  async aggregate(clients: readonly ClientUpload[], options: UploadOptions): Promise<void> {
    const { shares, blockSize = 1, shapes = new Map(), cohort = clients.length } = options;
    const { gpu, shared } = this;
    const shapeOf = (name: string) => shared.get(name)?.shape ?? shapes.get(name)!;
    const factory = this.method.sees === "each" ? meanOfEachAggregator : meanAggregator;
    const aggregation = openAggregation(factory, cohort, { round: this.round + 1, start: shared });
    const numbers = clients.map((_, id) => id);
    const order = new InOrder(numbers);
    for (const block of options.arrivals ?? chunk(numbers, blockSize)) {
      const members = block.map((id) => clients[id]!);
      const values = new Map([...members[0]!.keys()].map((name) => {
        const stacked = Float32Array.from(members.flatMap((own) => Array.from(own.get(name)!)));
        return [name, tensor(gpu, stacked, { shape: [members.length, ...shapeOf(name)] })] as const;
      }));
      const nothing = block.map(() => 0);
      const senders = block.map((id): Client => ({
        id,
        numExamples: 1,
        lastRound: 0,
        labelDivergence: options.divergences?.[id] ?? 0,
      }));
      const sent = await this.#sent(values, senders);
      const kept = new Set(sent.values());
      disposeAll([...values.values()].filter((each) => !kept.has(each)));
      order.add({
        clients: senders,
        values: sent,
        keep: new Map(),
        losses: nothing,
        bytesUp: nothing,
        bytesDown: nothing,
      });
      for (const { clients, values } of order.ready()) {
        const own = clients.map(({ id }) => shares[id]!);
        const weights = tensor(gpu, own);
        aggregation.add({ clients, values, shares: own, weights });
        weights.dispose();
      }
    }
    const aggregate = await finishAggregation(aggregation);
    aggregation.dispose();
    const next = await this.method.apply(this.state, aggregate, ++this.round);
    const { values, each = [] } = aggregate;
    disposeTree([values, ...each.flatMap((uploads) => [uploads.values, uploads.weights])], next);
    disposeTree(this.state, next);
    this.state = next;
  }

  /** What clients of a block send who have these values. Those that add up gradients found one step's: how far they moved. */
  async #sent(values: Tensors, clients: readonly Client[]): Promise<Tensors> {
    const { shared, plan: { local, sent = new Map() } } = this;
    if (local?.finish === undefined || [...shared.keys()].some((name) => !values.has(name))) return values;
    const nothing: Tensors = new Map();
    const stacked = (shapes: Shapes = new Map()) =>
      new Map([...shapes].map(([name, shape]) => [name, zeros(this.gpu, [clients.length, ...shape])]));
    const block: Local = {
      clients,
      start: shared,
      sent,
      kept: stacked(local.keeps),
      sums: stacked(local.sums),
      prepared: local.observe
        ? tidy(() => local.observe!(this.global, sameTexts(this.gpu, clients.length)))
        : nothing,
      ranks: this.plan.ranks,
      step: 0,
      steps: clients.map(() => 1),
      optimizer: { name: "sgd" },
      learningRate: 1,
    };
    if (block.sums.size > 0) {
      tidy(() => {
        const moved = [...values].map(([name, value]) => [name, sub(value, shared.get(name)!)] as const);
        local.correct?.(new Map(moved), values, { ...block, step: 1 });
      });
    }
    const prepared = new Map([
      ...block.prepared,
      ...await local.prepare?.(values, block) ?? nothing,
    ]);
    const { upload, keep = nothing } = tidy(() => local.finish!(values, { ...block, prepared }));
    const sentOn = new Set(upload.values());
    const rest = [...prepared.values(), ...block.sums.values(), ...block.kept.values(), ...keep.values()];
    disposeAll(rest.filter((each) => !sentOn.has(each)));
    return upload;
  }
}

/** Two texts of three tokens, the second padded, the same for each member. */
function sameTexts(gpu: Gpu, members: number): TokenTensors {
  const shape = [members, 2, 3];
  const each = (values: readonly number[]) => Array.from({ length: members }, () => values).flat();
  return {
    inputIds: tensor(gpu, Uint32Array.from(each([1, 2, 3, 4, 5, 0])), { shape }),
    attentionMask: tensor(gpu, Float32Array.from(each([1, 1, 1, 1, 1, 0])), { shape }),
  };
}

function chunk<T>(items: readonly T[], size: number): T[][] {
  const count = Math.ceil(items.length / size);
  return Array.from({ length: count }, (_, i) => items.slice(i * size, (i + 1) * size));
}
