import type { Gpu, Precision } from "../../../engine/mod.ts";
import { taskConfig } from "../../../experiment/config/task_config.ts";
import { type LoadedModel, type Reporter, writeModelFolder } from "../../../experiment/mod.ts";
import { decodePayload, f32Codec, type HostTensors, type RoundCall } from "../../../fl/mod.ts";
import { evaluate } from "../../../tasks/mod.ts";
import { UnknownMessageTypeError } from "../errors.ts";
import type { FlowerMessage } from "../message.ts";
import {
  type ConfigRecord,
  type ConfigValue,
  type FlowerRecords,
  type MetricRecord,
  type MetricValue,
} from "../records/record.ts";
import { arrayRecord, bytesOf, checkDownload, findOrRefuse, readArrays } from "./arrays.ts";
import { OpenedRun } from "./opened_run.ts";
import { type OwnExamples, prepareOwnData } from "./own_data.ts";
import { publicError, RefusedRunError } from "./refusal.ts";
import type { RunStore } from "./run_store.ts";
import { checkHashes, checkIdentity } from "./check_agreement.ts";
import { correctedMethods } from "./served_methods.ts";
import { type FlowerSettings, readSettings } from "./settings.ts";

/** Options of {@linkcode FlowerLearner}. */
export interface FlowerLearnerOptions {
  readonly gpu: Gpu;
  /** Opens the base model with a pooling, or as its files say; called again only where a server asks for another pooling. */
  openModel(pooling: FlowerSettings["pooling"]): Promise<LoadedModel>;
  readonly examples: OwnExamples;
  /** The node's number among the clients, from 0: its batches are drawn by it. */
  readonly client: number;
  readonly reporter: Reporter;
  /** How the base's weights are stored, for the model that is written; `f32` by default. */
  readonly precision?: Precision | undefined;
  /** Where it keeps what it must go on with after it was killed; in memory alone by default. */
  readonly store?: RunStore | undefined;
  /** Writes the model that the node has after the last round; nowhere by default. */
  readonly writeModel?: ((run: WrittenModel) => Promise<void>) | undefined;
}

/** A model that a {@linkcode FlowerLearner} gives away. */
export type WrittenModel = Parameters<typeof writeModelFolder>[2] & {
  readonly model: Parameters<typeof writeModelFolder>[1];
};

/**
 * What a node of a Flower federation does with messages: trains and scores a model on the node's own data, as the settings in the message's
 * config say. Data never go into a reply.
 */
export class FlowerLearner implements Disposable {
  readonly #options: FlowerLearnerOptions;
  #model: LoadedModel | undefined;
  #run: { readonly id: bigint; readonly opened: OpenedRun } | undefined;

  constructor(options: FlowerLearnerOptions) {
    this.#options = options;
  }

  /** Opens the base model, so that what is wrong with it shows before anybody asks. */
  async open(): Promise<void> {
    await this.#modelOf({ pooling: undefined });
  }

  /**
   * Answers a message; the handler of a node.
   *
   * @throws {RefusedRunError} saying what to do, when the node won't take part.
   * @throws {UnknownMessageTypeError} on another message than a query, train or evaluate.
   */
  async handle(message: FlowerMessage): Promise<FlowerRecords> {
    try {
      switch (message.type) {
        case "query":
          return await this.#answerQuery(message);
        case "train":
          return await this.#train(message);
        case "evaluate":
          return await this.#evaluate(message);
        default:
          throw new UnknownMessageTypeError(
            `Cannot answer a message of type ${message.type}: expected query, train or evaluate`,
          );
      }
    } catch (error) {
      const { reporter, client } = this.#options;
      reporter.endProgress();
      reporter.line(error instanceof Error ? error.message : String(error));
      throw publicError(error, { client, type: message.type });
    }
  }

  /** Says what the node starts from. */
  async #answerQuery({ runId, records }: FlowerMessage): Promise<FlowerRecords> {
    const settings = readSettings(findOrRefuse(records, "config"));
    // Where the nodes make the start, nobody else's counts.
    const given = settings.startBy === "server" ? readArrays(records) : undefined;
    const run = await this.#open(runId, settings, given);
    checkHashes(run, settings, this.#options.client);
    const { start, baseHash } = run;
    this.#options.reporter.line(`The server asked what this node starts from: ${start.hash.slice(0, 12)}…`);
    const answer = new Map<string, ConfigRecord | ReturnType<typeof arrayRecord>>([[
      "config",
      this.#config({ "base-hash": baseHash, "start-hash": start.hash }),
    ]]);
    if (settings.wantsStart) answer.set("arrays", arrayRecord(start.shared));
    return answer;
  }

  async #train({ runId, records }: FlowerMessage): Promise<FlowerRecords> {
    const { reporter, store } = this.#options;
    const settings = readSettings(findOrRefuse(records, "config"));
    const run = await this.#open(runId, settings);
    const { call, arrays } = this.#callOf(run, settings, records);
    const { lastRound } = run.participant;
    if (call.round > 1 && lastRound === 0) {
      reporter.line(`Joining in round ${call.round}, with nothing kept from earlier ones`);
    }
    const task = `round ${call.round}: training`;
    const reply = await run.participant.train({
      ...call,
      learningRate: settings.learningRate,
      onProgress: (done, total) => reporter.progress(task, done, total),
    });
    reporter.endProgress();
    // Before anything is sent: a server must not count on what a node has forgotten.
    await store?.write(runId, run.save());
    const upload = decodePayload(reply.payload);
    const [up, down] = [bytesOf(upload), bytesOf(arrays)];
    reporter.line(
      `Round ${call.round} of ${settings.rounds}: trained on ${reply.numExamples} examples, loss ${
        reply.loss.toFixed(4)
      }; ${down.toLocaleString("en")} bytes of values came, ${up.toLocaleString("en")} go`,
    );
    return new Map<string, ReturnType<typeof arrayRecord> | MetricRecord | ConfigRecord>([
      ["arrays", arrayRecord(upload)],
      [
        "metrics",
        metrics({
          "num-examples": BigInt(reply.numExamples),
          "train-loss": reply.loss,
          "bytes-up": BigInt(up),
          "bytes-down": BigInt(down),
        }),
      ],
      ["config", this.#config({})],
    ]);
  }

  async #evaluate({ runId, records }: FlowerMessage): Promise<FlowerRecords> {
    const { reporter, writeModel } = this.#options;
    const settings = readSettings(findOrRefuse(records, "config"));
    const run = await this.#open(runId, settings);
    const { participant, pretrained, test } = run;
    const { call } = this.#callOf(run, settings, records);
    const names = settings.scores ?? pretrained.task.metrics;
    const unknown = names.find((name) => !pretrained.task.metrics.includes(name));
    if (unknown !== undefined) {
      throw new RefusedRunError(
        `Cannot send the score ${unknown}: ${pretrained.task.kind} has ${pretrained.task.metrics.join(", ")}`,
      );
    }
    // The model after a round is the one that the next begins with.
    const model = await participant.openModel({ ...call, round: call.round + 1 });
    try {
      const { loss, scores } = await evaluate(model, test, {
        onProgress: (done, total) => reporter.progress(`round ${call.round}: scoring`, done, total),
      });
      reporter.endProgress();
      const told = names.flatMap((name) => {
        const value = scores[name];
        return value === undefined ? [] : [[name, value] as const];
      });
      reporter.line(
        `Round ${call.round} of ${settings.rounds}: loss ${loss.toFixed(4)}${
          told.map(([name, value]) => `, ${name} ${value.toFixed(4)}`).join("")
        } on ${test.numExamples} examples`,
      );
      if (call.round === settings.rounds) await writeModel?.({ model, ...this.#describe(run) });
      const missing = names.find((name) => scores[name] === undefined);
      if (missing !== undefined) {
        // A mean over nodes would no longer be one.
        throw new RefusedRunError(
          `Cannot send the score ${missing}: it has no meaning on the examples of client ${this.#options.client}; leave it out of "scores"`,
        );
      }
      return new Map<string, MetricRecord | ConfigRecord>([
        [
          "metrics",
          metrics({ "num-examples": BigInt(test.numExamples), loss, ...Object.fromEntries(told) }),
        ],
        ["config", this.#config({})],
      ]);
    } finally {
      participant.close(model);
    }
  }

  /** What the participant is called with: the round and what was sent. */
  #callOf(
    run: OpenedRun,
    settings: FlowerSettings,
    records: FlowerRecords,
  ): { readonly call: RoundCall; readonly arrays: HostTensors } {
    checkHashes(run, settings, this.#options.client);
    const { serverRound, lastRound, method } = settings;
    if (serverRound === undefined) {
      throw new RefusedRunError(
        "Cannot take part in a round without a number: the message lacks server-round",
      );
    }
    const arrays = readArrays(records) ?? new Map();
    const isCorrected = correctedMethods.some((name) => name === method);
    checkDownload(arrays, { shared: run.start.shared.keys(), shapes: run.start.shapes, isCorrected });
    return { call: { round: serverRound, lastRound, payload: f32Codec.encode(arrays) }, arrays };
  }

  /** The run of a message: the one that is open, or another that takes its place. */
  async #open(runId: bigint, settings: FlowerSettings, serverStart?: HostTensors): Promise<OpenedRun> {
    const { gpu, client, store, examples, reporter } = this.#options;
    const { identity } = settings;
    if (this.#run?.id === runId) {
      const { opened } = this.#run;
      checkIdentity(opened.settings.identity, identity);
      if (serverStart === undefined || opened.isStartedBy(serverStart)) return opened;
      if (opened.participant.lastRound > 0) {
        throw new RefusedRunError(
          "Cannot begin anew from another start: this node has trained in the run already",
        );
      }
    }
    let saved = await store?.read(runId);
    if (saved !== undefined) checkIdentity(saved.identity, identity);
    if (serverStart !== undefined) {
      const start = f32Codec.encode(serverStart);
      saved = { ...saved, identity, start };
    }
    this.#close();
    const model = await this.#modelOf(settings);
    const { tokenizer } = model;
    const data = prepareOwnData(examples, { settings, tokenizer, reporter });
    const opened = await OpenedRun.open(settings, { gpu, model, data, client, saved });
    this.#run = { id: runId, opened };
    if (opened.participant.lastRound > 0) {
      reporter.line(`Going on after round ${opened.participant.lastRound} of run ${runId}`);
    }
    if (serverStart !== undefined) await store?.write(runId, opened.save());
    return opened;
  }

  /** The base model with the pooling that the server asks for. */
  async #modelOf({ pooling }: Pick<FlowerSettings, "pooling">): Promise<LoadedModel> {
    if (this.#model === undefined || (pooling !== undefined && pooling !== this.#model.pooling)) {
      this.#closeModel();
      this.#model = await this.#options.openModel(pooling);
    }
    return this.#model;
  }

  #config(values: Readonly<Record<string, ConfigValue>>): ConfigRecord {
    return {
      type: "config",
      values: new Map<string, ConfigValue>([
        ["client", BigInt(this.#options.client)],
        ...Object.entries(values),
      ]),
    };
  }

  #describe({ settings, pretrained }: OpenedRun): Omit<WrittenModel, "model"> {
    const { source, pooling } = this.#model!;
    const { maxLength } = settings;
    return {
      pretrained,
      config: {
        model: { source, ...(pooling !== undefined && !pretrained.task.perToken && { pooling }) },
        precision: this.#options.precision ?? "f32",
        task: taskConfig.parse(settings.task),
        maxLength,
      },
    };
  }

  #close(): void {
    this.#run?.opened[Symbol.dispose]();
    this.#run = undefined;
  }

  #closeModel(): void {
    const encoder = this.#model?.encoder;
    for (const [, parameter] of encoder?.namedParameters() ?? []) parameter.dispose();
    this.#model = undefined;
  }

  /** Frees what it holds on the device. */
  [Symbol.dispose](): void {
    this.#close();
    this.#closeModel();
  }
}

function metrics(values: Readonly<Record<string, MetricValue>>): MetricRecord {
  return { type: "metrics", values: new Map(Object.entries(values)) };
}
