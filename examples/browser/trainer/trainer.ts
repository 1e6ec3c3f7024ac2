import {
  type ClassPrediction,
  decodeAdapter,
  DeviceLostError,
  disposeOwn,
  encodeAdapter,
  type Gpu,
  openGpu,
  OutOfMemoryError,
  predict,
  type RowSet,
  TaskModel,
} from "federa";
import type { CallContext, Handlers } from "../common/remote.ts";
import { adapterFiles } from "./adapter_files.ts";
import type { Columns, DataInfo, Run, Score, Settings, TrainerCalls, TrainingEvent } from "./calls.ts";
import { chooseColumns, type Data, readTable } from "./data.ts";
import { fineTune } from "./fine_tune.ts";
import { forecast } from "./forecast.ts";
import { methodOf, startFrom } from "./method.ts";
import { filesOf, type OpenModel, openModel } from "./open_model.ts";

/** Seed of what is held out and of the head, so that runs can be compared. */
const SEED = 1;

/** What a run has left: an adapter for the pretrained model with a head for these classes. */
interface Kept {
  readonly run: Run;
  readonly data: Data;
  readonly adapter: Uint8Array<ArrayBuffer>;
}

/** What is on the device. All of it can be made again from the files and the adapters, if the device is lost. */
interface Loaded {
  readonly gpu: Gpu;
  readonly model: OpenModel;
  /** The pretrained model with an untrained head, for the data that it was made for. */
  pretrained?: { readonly data: Data; readonly model: TaskModel };
  /** The adapted model that was asked last. */
  asked?: { readonly run: number; readonly model: TaskModel };
}

/** Holds a model, data and what has been trained; knows nothing of a page. One call at a time. */
export class Trainer {
  #files: OpenModel["files"] | undefined;
  #loaded: Loaded | undefined;
  #rows: RowSet | undefined;
  #data: Data | undefined;
  readonly #kept: Kept[] = [];
  #last: Promise<unknown> = Promise.resolve();

  /** The calls of a page, each begun when the one before it has ended. */
  get handlers(): Handlers<TrainerCalls> {
    const inTurn =
      <Args extends unknown[], Output>(work: (...args: Args) => Promise<Output>) => (...args: Args) => {
        const result = this.#last.then(() => work(...args));
        this.#last = result.catch(() => {});
        return result;
      };
    return {
      openModel: inTurn(async (choice, context) => {
        const files = filesOf(choice, context);
        const loaded = await this.#load(files, (tensors, of) => context.report({ tensors, of }));
        this.#files = files;
        // Adapters fit the model that they were trained on.
        this.#kept.length = 0;
        return loaded.model.info;
      }),
      readTable: inTurn(async (file) => {
        const { rows, info } = await readTable(file);
        this.#rows = rows;
        this.#data = undefined;
        return info;
      }),
      chooseColumns: inTurn((columns) => this.#choose(columns)),
      forecast: inTurn((settings) =>
        this.#recover(async () => await forecast(await this.#prepare(), settings))
      ),
      train: inTurn((settings, context) => this.#train(settings, context)),
      predict: inTurn(({ run, text }) => this.#recover(() => this.#predict(run, text))),
      download: inTurn(({ run, base }) =>
        this.#recover(async () => {
          const { pretrained, model, opened } = await this.#ask(run);
          const { maxLength } = this.#keptOf(run).run.settings;
          return await adapterFiles(model, { pretrained, family: opened.family, base, maxLength });
        })
      ),
    };
  }

  /** Reads a model onto the device, and frees the one that was there. */
  async #load(
    files: OpenModel["files"],
    onProgress?: (tensors: number, of: number) => void,
  ): Promise<Loaded> {
    const gpu = this.#loaded?.gpu ?? await openGpu({ powerPreference: "high-performance" });
    const before = this.#loaded;
    try {
      const model = await openModel(gpu, files, onProgress);
      if (before) release(before);
      return this.#loaded = { gpu, model };
    } catch (error) {
      if (before === undefined || error instanceof DeviceLostError) {
        gpu.close();
        this.#loaded = undefined;
      }
      throw error;
    }
  }

  async #choose(columns: Columns): Promise<DataInfo> {
    if (this.#rows === undefined) throw new TypeError("Cannot choose columns: no table has been read");
    this.#data = chooseColumns(this.#rows, columns, SEED);
    return this.#data.info;
  }

  /** What is needed for training, on a new device if the last one was lost. */
  async #prepare(data = this.#data) {
    if (this.#files === undefined) throw new TypeError("Cannot go on: no model has been opened");
    if (data === undefined) throw new TypeError("Cannot go on: no data have been chosen");
    const loaded = this.#loaded ?? await this.#load(this.#files);
    if (loaded.pretrained?.data !== data) {
      release({ ...loaded, keepsEncoder: true });
      const { encoder } = loaded.model.opened;
      loaded.pretrained = {
        data,
        model: TaskModel.create(loaded.gpu, encoder, { task: data.task, seed: SEED }),
      };
      delete loaded.asked;
    }
    return { ...loaded.model, data, pretrained: loaded.pretrained.model, loaded };
  }

  async #train(settings: Settings, { signal, report }: CallContext<TrainingEvent>): Promise<Run> {
    const started = performance.now();
    let score: Score | undefined;
    let [step, steps] = [0, 0];
    let snapshot: { readonly adapter: Uint8Array<ArrayBuffer>; readonly step: number } | undefined;
    let problem: string | undefined;
    let isFinished = false;
    const data = this.#data;
    try {
      report({ type: "phase", phase: "preparing" });
      const { pretrained, tokenizer, loaded } = await this.#prepare();
      forget(loaded);
      const prepare = (examples: Data["train"]) => data!.task.prepare(examples, tokenizer, settings);
      const [train, test] = [prepare(data!.train), prepare(data!.test)];
      signal.throwIfAborted();
      report({ type: "phase", phase: "starting" });
      const { model, trained } = await startFrom(methodOf(settings), pretrained, settings.seed);
      try {
        isFinished = await fineTune(model, {
          ...settings,
          trained,
          train,
          test,
          signal,
          report: (event) => {
            if (event.type === "progress") ({ step, steps } = event);
            if (event.type === "score") score = { ...event };
            report(event);
          },
          onModel: async (current, at) => {
            snapshot = { adapter: await encodeAdapter(current, { pretrained }), step: at };
          },
        });
      } finally {
        disposeOwn(model, pretrained);
      }
    } catch (error) {
      if (error instanceof DeviceLostError) this.#lose();
      else this.#loaded?.gpu.trim();
      const isOfDevice = error instanceof DeviceLostError || error instanceof OutOfMemoryError;
      if (snapshot === undefined || snapshot.step === 0 || !isOfDevice) throw explained(error);
      problem = `${
        explained(error).message
      }. What was trained up to step ${snapshot.step} is kept, and can be used on a new device`;
    }
    const run: Run = {
      id: this.#kept.length + 1,
      settings,
      ended: problem !== undefined ? "lost" : isFinished ? "finished" : "cancelled",
      ...(problem !== undefined && { problem }),
      step: snapshot!.step,
      steps: Math.max(steps, step),
      seconds: (performance.now() - started) / 1000,
      score,
    };
    this.#kept.push({ run, data: data!, adapter: snapshot!.adapter });
    return run;
  }

  async #predict(run: number, text: string): Promise<ClassPrediction> {
    const { model, tokenizer, data } = await this.#ask(run);
    const { maxLength } = this.#keptOf(run).run.settings;
    const [prediction] = await predict(
      model,
      data.task.prepare([data.task.ask(text)], tokenizer, { maxLength }),
    );
    return prediction as ClassPrediction;
  }

  /** The model of a run, put together from its adapter unless it was asked last. */
  async #ask(run: number) {
    const kept = this.#keptOf(run);
    const prepared = await this.#prepare(kept.data);
    const { loaded, pretrained } = prepared;
    if (loaded.asked?.run !== run) {
      forget(loaded);
      loaded.asked = { run, model: await decodeAdapter(pretrained, kept.adapter) };
    }
    return { ...prepared, model: loaded.asked.model };
  }

  #keptOf(run: number): Kept {
    const kept = this.#kept[run - 1];
    if (kept === undefined) {
      throw new RangeError(`Cannot use run ${run}: there have been ${this.#kept.length}`);
    }
    return kept;
  }

  /** Does some work, once more on a new device if the old one was lost meanwhile. */
  async #recover<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof DeviceLostError)) throw explained(error);
      this.#lose();
      return await work();
    }
  }

  #lose(): void {
    this.#loaded?.gpu.close();
    this.#loaded = undefined;
  }
}

/** Frees the adapted model that was asked last. */
function forget(loaded: Loaded): void {
  if (loaded.asked && loaded.pretrained) disposeOwn(loaded.asked.model, loaded.pretrained.model);
  delete loaded.asked;
}

/** Frees what is on the device, perhaps but for the encoder. */
function release({ keepsEncoder = false, ...loaded }: Loaded & { readonly keepsEncoder?: boolean }): void {
  forget(loaded);
  const { encoder } = loaded.model.opened;
  for (const [name, parameter] of loaded.pretrained?.model.namedParameters() ?? []) {
    if (name.startsWith("head.")) parameter.dispose();
  }
  if (keepsEncoder) return;
  for (const [, parameter] of encoder.namedParameters()) parameter.dispose();
  loaded.gpu.trim();
}

/** An error with advice for a person at a page. */
function explained(error: unknown): Error {
  if (error instanceof OutOfMemoryError) {
    return Object.assign(
      new Error(
        `${error.message}. Choose a smaller batch or shorter texts, close other pages that use the graphics processor, or take a smaller model`,
      ),
      { name: error.name },
    );
  }
  return error instanceof Error ? error : new Error(String(error));
}
