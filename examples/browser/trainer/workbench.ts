import {
  decodeAdapter,
  DeviceLostError,
  disposeOwn,
  type Gpu,
  openGpu,
  OutOfMemoryError,
  type RowSet,
  type Task,
  TaskModel,
  type TextExample,
} from "federa";
import type { ModelLikeness } from "./calls.ts";
import type { Data } from "./data.ts";
import { type OpenModel, openModel } from "./open_model.ts";

/** Seed of what is held out and of a head that nobody else prescribes, so that runs can be compared. */
export const SEED = 1;

/** What a run has left: an adapter for the pretrained model with a head for its classes. */
export interface Kept {
  readonly data: Data;
  readonly adapter: Uint8Array<ArrayBuffer>;
  readonly maxLength: number;
}

/** What a federation prescribes. */
export interface Prescription {
  readonly task: Task<TextExample>;
  /** Of the head. */
  readonly seed: number;
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

/** What a page has open: a model, data, and what has been trained. */
export class Workbench {
  rows: RowSet | undefined;
  data: Data | undefined;
  prescribed: Prescription | undefined;
  #source: { readonly files: OpenModel["files"]; readonly like: ModelLikeness | undefined } | undefined;
  #loaded: Loaded | undefined;
  readonly #kept: Kept[] = [];

  /** Opens a model in place of the one that was open; adapters fit the model that they were trained on, and are forgotten. */
  async open(
    files: OpenModel["files"],
    { like, onProgress }: {
      readonly like: ModelLikeness | undefined;
      readonly onProgress: (tensors: number, of: number) => void;
    },
  ): Promise<OpenModel> {
    const { model } = await this.#load({ files, like }, onProgress);
    this.#source = { files, like };
    this.#kept.length = 0;
    return model;
  }

  /** The open model with a head for data, on a new device if the last one was lost. */
  async prepare(data = this.data) {
    if (this.#source === undefined) throw new TypeError("Cannot go on: no model has been opened");
    if (data === undefined) throw new TypeError("Cannot go on: no data have been chosen");
    const loaded = this.#loaded ?? await this.#load(this.#source);
    if (loaded.pretrained?.data !== data) {
      freeHead(loaded);
      const { encoder } = loaded.model.opened;
      const { seed } = this.prescribed ?? { seed: SEED };
      loaded.pretrained = { data, model: TaskModel.create(loaded.gpu, encoder, { task: data.task, seed }) };
    }
    return { ...loaded.model, gpu: loaded.gpu, data, pretrained: loaded.pretrained.model };
  }

  /** Keeps what a run has trained, and returns its number, from 1. */
  keep(kept: Kept): number {
    return this.#kept.push(kept);
  }

  /** The model of a run, put together from its adapter unless it was asked last. */
  async ask(run: number) {
    const kept = this.#kept[run - 1];
    if (kept === undefined) {
      throw new RangeError(`Cannot use run ${run}: there have been ${this.#kept.length}`);
    }
    const prepared = await this.prepare(kept.data);
    const loaded = this.#loaded!;
    if (loaded.asked?.run !== run) {
      this.forget();
      loaded.asked = { run, model: await decodeAdapter(prepared.pretrained, kept.adapter) };
    }
    return { ...prepared, ...kept, model: loaded.asked.model };
  }

  /** Frees the adapted model that was asked last. */
  forget(): void {
    if (this.#loaded) forget(this.#loaded);
  }

  /** Does some work, once more on a new device if the old one was lost since it was used last. */
  async recover<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (!(error instanceof DeviceLostError)) throw this.settle(error);
      this.settle(error);
      return await work();
    }
  }

  /** Tidies up behind an error, and returns it with advice for a person at a page. */
  settle(error: unknown): Error {
    if (error instanceof DeviceLostError) {
      this.#loaded?.gpu.close();
      this.#loaded = undefined;
    } else this.#loaded?.gpu.trim();
    if (!(error instanceof OutOfMemoryError)) {
      return error instanceof Error ? error : new Error(String(error));
    }
    const advice =
      "Choose a smaller batch or shorter texts, close other pages that use the graphics processor, or take a smaller model";
    return Object.assign(new Error(`${error.message}. ${advice}`), { name: error.name });
  }

  async #load(
    source: { readonly files: OpenModel["files"]; readonly like: ModelLikeness | undefined },
    onProgress?: (tensors: number, of: number) => void,
  ): Promise<Loaded> {
    const before = this.#loaded;
    const gpu = before?.gpu ?? await openGpu({ powerPreference: "high-performance" });
    try {
      const model = await openModel(gpu, source.files, { ...source, onProgress });
      if (before) release(before);
      return this.#loaded = { gpu, model };
    } catch (error) {
      if (before === undefined) gpu.close();
      throw this.settle(error);
    }
  }
}

function forget(loaded: Loaded): void {
  if (loaded.asked && loaded.pretrained) disposeOwn(loaded.asked.model, loaded.pretrained.model);
  delete loaded.asked;
}

function freeHead(loaded: Loaded): void {
  forget(loaded);
  for (const [name, parameter] of loaded.pretrained?.model.namedParameters() ?? []) {
    if (name.startsWith("head.")) parameter.dispose();
  }
  delete loaded.pretrained;
}

function release(loaded: Loaded): void {
  freeHead(loaded);
  for (const [, parameter] of loaded.model.opened.encoder.namedParameters()) parameter.dispose();
  loaded.gpu.trim();
}
