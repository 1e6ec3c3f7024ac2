import { tensor } from "../../src/engine/mod.ts";
import {
  type Codec,
  f32Codec,
  type Finished,
  type Method,
  type Participants,
  receiveUpload,
  type RoundWork,
  trainClient,
  type TrainClientOptions,
} from "../../src/fl/mod.ts";
import { readDownload } from "../../src/fl/client/download.ts";
import { Held } from "../../src/fl/held.ts";
import { pick, withParameters } from "../../src/fl/tensors.ts";
import type { TokenColumns } from "../../src/models/mod.ts";
import { createTaskSet, rowsOf, type TaskModel, type TaskSet } from "../../src/tasks/mod.ts";

/** Options of {@link PayloadParticipants}. */
export interface PayloadOptions
  extends Pick<TrainClientOptions, "work" | "batchSize" | "optimizer" | "clipNorm" | "stages" | "seed"> {
  readonly method: Method;
  readonly pretrained: TaskModel;
  readonly train: TaskSet;
  readonly clients: readonly (readonly number[])[];
  readonly codec: Codec;
  readonly learningRate: number;
}

/** Clients that get and send nothing but bytes, each with a model of its own, as nodes on other machines have. */
export class PayloadParticipants implements Participants {
  readonly #options: PayloadOptions;
  readonly #models = new Map<number, TaskModel>();
  /** Bytes that went up and down, by client in the order of rounds. */
  readonly bytes: [up: number, down: number][] = [];

  constructor(options: PayloadOptions) {
    this.#options = options;
  }

  async *train({ round, plan, clients, model, store }: RoundWork): AsyncGenerator<Finished> {
    const { method, pretrained, train, codec, seed } = this.#options;
    const { state } = await method.init(pretrained, { seed, numClients: this.#options.clients.length });
    // A node knows no more of the server's state than what follows from weights and seed.
    const ownPlan = method.plan(state, round);
    // In any order: the last first.
    for (const client of [...clients].reverse()) {
      const { id } = client;
      const download = await readDownload(model, plan, client);
      const payload = f32Codec.encode(download);
      const before = this.#models.get(id) ?? (await method.init(pretrained, { seed, numClients: 1 })).model;
      const result = await trainClient(before, ownPlan, {
        ...this.#options,
        client,
        round,
        payload,
        data: subsetOf(train, this.#options.clients[id]!),
        kept: await store.load(id),
        receive: method.receive,
      });
      this.#models.set(id, withParameters(before, result.received));
      this.bytes.push([result.payload.length, payload.length]);
      using held = new Held();
      const { trained, shared = trained } = plan;
      const start = plan.start
        ? held.hold(plan.start(client))
        : pick(new Map(model.namedParameters()), shared);
      const values = receiveUpload(result.payload, { gpu: model.gpu, codec, start });
      yield {
        clients: [client],
        values,
        keep: new Map(
          [...result.kept].map((
            [name, { shape, data }],
          ) => [name, tensor(model.gpu, data, { shape: [1, ...shape] })]),
        ),
        losses: [result.loss],
        // Nothing is sent where there is nothing to say.
        bytesUp: [values.size > 0 ? result.payload.length : 0],
        bytesDown: [download.size > 0 ? payload.length : 0],
      };
    }
  }
}

/** Some examples of a set as the set of their owner, who has no others. */
function subsetOf(set: TaskSet, examples: readonly number[]): TaskSet {
  const rows = rowsOf(set, examples);
  const part = <T extends Uint32Array | Float32Array | Int32Array>(values: T, width: number): T => {
    const own = values.slice(0, rows.length * width) as T;
    rows.forEach((row, i) => own.set(values.subarray(row * width, (row + 1) * width), i * width));
    return own;
  };
  const { length, inputs, targets, targetsPerRow } = set;
  const { inputIds, attentionMask } = inputs as TokenColumns;
  return createTaskSet(
    {
      batchSize: rows.length,
      length,
      inputIds: part(inputIds.data, length),
      attentionMask: part(attentionMask.data, length),
    },
    { targets: part(targets, targetsPerRow) },
  );
}
