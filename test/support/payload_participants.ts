import { tensor } from "../../src/engine/mod.ts";
import {
  type Codec,
  f32Codec,
  type Finished,
  type Method,
  Participant,
  type Participants,
  receiveUpload,
  type RoundWork,
  type TrainClientOptions,
} from "../../src/fl/mod.ts";
import { readDownload } from "../../src/fl/client/download.ts";
import { Held } from "../../src/fl/held.ts";
import { pick } from "../../src/fl/tensors.ts";
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
  /** Whether every process ends after every round, and begins with what it had written. */
  readonly restarts?: boolean;
}

/** Clients that get and send nothing but bytes, as nodes on other machines do. */
export class PayloadParticipants implements Participants {
  readonly #options: PayloadOptions;
  readonly #open = new Map<number, Participant>();
  readonly #states = new Map<number, Uint8Array>();
  /** Bytes that went up and down, by client in the order of rounds. */
  readonly bytes: [up: number, down: number][] = [];

  constructor(options: PayloadOptions) {
    this.#options = options;
  }

  async *train({ round, plan, clients, model }: RoundWork): AsyncGenerator<Finished> {
    // In any order: the last first.
    for (const client of [...clients].reverse()) {
      const { id, lastRound, labelDivergence } = client;
      const download = await readDownload(model, plan, client);
      const payload = f32Codec.encode(download);
      const participant = await this.#participant(id);
      const result = await participant.train({
        round,
        payload,
        lastRound,
        labelDivergence,
        learningRate: this.#options.learningRate,
      });
      const { kept } = participant;
      if (this.#options.restarts) this.#end(id);
      this.bytes.push([result.payload.length, payload.length]);
      using held = new Held();
      const { trained, shared = trained } = plan;
      const start = plan.start
        ? held.hold(plan.start(client))
        : pick(new Map(model.namedParameters()), shared);
      const values = receiveUpload(result.payload, { gpu: model.gpu, codec: this.#options.codec, start });
      yield {
        clients: [client],
        values,
        keep: new Map(
          [...kept].map((
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

  async #participant(id: number): Promise<Participant> {
    const { pretrained, train, clients } = this.#options;
    const known = this.#open.get(id);
    if (known !== undefined) return known;
    const opened = await Participant.open(pretrained, {
      ...this.#options,
      id,
      numClients: clients.length,
      data: subsetOf(train, clients[id]!),
      state: this.#states.get(id),
    });
    this.#open.set(id, opened);
    return opened;
  }

  #end(id: number): void {
    const participant = this.#open.get(id)!;
    this.#states.set(id, participant.encode());
    participant[Symbol.dispose]();
    this.#open.delete(id);
  }

  [Symbol.dispose](): void {
    for (const each of this.#open.values()) each[Symbol.dispose]();
  }
}

/** Some examples of a set as the set of their owner, who has no others. */
export function subsetOf(set: TaskSet, examples: readonly number[]): TaskSet {
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
