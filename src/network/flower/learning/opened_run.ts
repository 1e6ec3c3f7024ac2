import { disposeAll, type Gpu } from "../../../engine/mod.ts";
import { moduleFingerprint } from "../../../federa/mod.ts";
import { checkPositions, decodePayload, f32Codec, type HostTensors, Participant } from "../../../fl/mod.ts";
import type { LoadedModel } from "../../../experiment/mod.ts";
import { TaskModel, type TaskSet } from "../../../tasks/mod.ts";
import { checkDownload } from "./arrays.ts";
import { RefusedRunError } from "./refusal.ts";
import type { SavedRun } from "./run_store.ts";
import { createServedMethod } from "./served_methods.ts";
import type { FlowerSettings } from "./settings.ts";
import { hashTensors, type StartOfRun, tellingStart } from "./start_of_run.ts";
import type { OwnData } from "./own_data.ts";

/** Options of {@linkcode OpenedRun.open}. */
export interface OpenRunOptions {
  readonly gpu: Gpu;
  readonly model: LoadedModel;
  readonly data: OwnData;
  /** The node's number among the clients, from 0. */
  readonly client: number;
  readonly saved?: SavedRun | undefined;
}

/** A run that a node takes part in: its participant, and what it began with. */
export class OpenedRun {
  readonly settings: FlowerSettings;
  readonly participant: Participant;
  /** The model before the method put anything on it. */
  readonly pretrained: TaskModel;
  readonly start: StartOfRun;
  readonly baseHash: string;
  /** What the node is scored on: its test examples, or those that it trains on where it has no others. */
  readonly test: TaskSet;
  readonly #saved: SavedRun;

  private constructor(
    settings: FlowerSettings,
    opened: {
      readonly participant: Participant;
      readonly pretrained: TaskModel;
      readonly start: StartOfRun;
      readonly baseHash: string;
      readonly test: TaskSet;
      readonly saved: SavedRun;
    },
  ) {
    this.settings = settings;
    this.participant = opened.participant;
    this.pretrained = opened.pretrained;
    this.start = opened.start;
    this.baseHash = opened.baseHash;
    this.test = opened.test;
    this.#saved = opened.saved;
  }

  /**
   * Puts on the model what clients of the run train.
   *
   * @throws {RefusedRunError} when the settings don't fit the model, or the server's start isn't there.
   * @throws {CorruptFileError} when what was saved is broken.
   */
  static async open(settings: FlowerSettings, options: OpenRunOptions): Promise<OpenedRun> {
    const { gpu, model, data: { task, train, test }, client, saved } = options;
    const { seed, numClients, rounds, work, batchSize, optimizer, clipNorm } = settings;
    if (client >= numClients) {
      throw new RefusedRunError(
        `Cannot take part as client ${client}: the server counts ${numClients}, from 0; raise num-clients, or give the node another number`,
      );
    }
    const serverStart = saved?.start && decodePayload(saved.start);
    const pretrained = TaskModel.create(gpu, model.encoder, { task, seed });
    let start: StartOfRun | undefined;
    let participant: Participant | undefined;
    try {
      const method = tellingStart(createServedMethod(settings, serverStart), (told) => start = told);
      // What is wrong with the texts is the node's affair.
      for (const { inputs } of [train, test]) pretrained.encoder.checkInputs(inputs);
      participant = await refusing(() => {
        for (const { length } of [train, test]) {
          checkPositions(method, { encoder: pretrained.encoder, length });
        }
        method.checkTraining?.({ optimizer });
        method.check(pretrained);
        return Participant.open(pretrained, {
          method,
          id: client,
          numClients,
          rounds,
          seed,
          data: train,
          work,
          batchSize,
          optimizer,
          clipNorm,
          codec: f32Codec,
          state: saved?.participant,
        });
      });
      if (serverStart !== undefined) {
        const { shared, shapes } = start!;
        checkDownload(serverStart, { shared: shared.keys(), shapes, isCorrected: false });
        start = { ...start!, hash: await hashTensors(serverStart) };
      }
      return new OpenedRun(settings, {
        participant,
        pretrained,
        start: start!,
        baseHash: await moduleFingerprint(pretrained.encoder, { isSorted: true }),
        test,
        saved: saved ?? { identity: settings.identity },
      });
    } catch (error) {
      participant?.[Symbol.dispose]();
      disposeHead(pretrained);
      throw error;
    }
  }

  /** What must be saved for the run to go on after the process ended. */
  save(): SavedRun {
    return { ...this.#saved, participant: this.participant.encode() };
  }

  /** Whether this is the start that the server sends. */
  isStartedBy(start: HostTensors | undefined): boolean {
    const { start: own } = this.#saved;
    if (start === undefined || own === undefined) return start === undefined && own === undefined;
    const encoded = f32Codec.encode(start);
    return encoded.length === own.length && encoded.every((byte, i) => byte === own[i]);
  }

  /** Frees what it holds on the device; the encoder stays. */
  [Symbol.dispose](): void {
    this.participant[Symbol.dispose]();
    disposeHead(this.pretrained);
  }
}

function disposeHead({ head }: TaskModel): void {
  disposeAll([...head.namedParameters()].map(([, parameter]) => parameter));
}

/** What a method says against a model is the server's affair: it says nothing of the node's data. */
async function refusing<T>(open: () => Promise<T>): Promise<T> {
  try {
    return await open();
  } catch (cause) {
    if (!(cause instanceof RangeError || cause instanceof TypeError || isPatternError(cause))) throw cause;
    throw new RefusedRunError((cause as Error).message, { cause });
  }
}

function isPatternError(error: unknown): boolean {
  return error instanceof Error && error.name === "PatternError";
}
