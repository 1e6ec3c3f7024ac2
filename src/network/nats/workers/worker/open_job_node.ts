import { createHash } from "node:crypto";
import { createReadStream } from "node:fs";
import { mkdtemp, open, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { makeFolder } from "../../../../data/mod.ts";
import { disposeAll, type Gpu } from "../../../../engine/mod.ts";
import { contentHash } from "../../../../experiment/checkpoint/content_hash.ts";
import { parseConfig } from "../../../../experiment/config/parse_config.ts";
import { buildTask } from "../../../../experiment/model/build_task.ts";
import { simulationOptions } from "../../../../experiment/run/experiment.ts";
import { disposeHead } from "../../../../experiment/run/prepare.ts";
import { ClientsSide } from "../../../../fl/mod.ts";
import type { Codec } from "../../../../fl/transport/codec.ts";
import type { MemoryOptions } from "../../../../fl/simulation/memory_plan.ts";
import { cacheFolder, openModelFiles } from "../../../../hub/mod.ts";
import {
  type Backbone,
  disposeReplaced,
  inPrecision,
  openPretrained,
  type Pooling,
  UseLite,
} from "../../../../models/mod.ts";
import { TaskModel } from "../../../../tasks/mod.ts";
import { NatsError } from "../../errors.ts";
import type { Objects } from "../../objects.ts";
import { fingerprintOf, frozenHash, kindOf } from "../bits_node.ts";
import { WorkerRefusedError } from "../errors.ts";
import { decodeMessage, type Job, jobSchema, type ObjectReference } from "../messages.ts";
import { decodeHost } from "../state_bytes.ts";
import { decodeSharedOut, type SharedOut } from "../task_set_bytes.ts";

/** The most bytes of a job's description, and of any object that it names. */
const maxJobBytes = 16 << 20;
const maxObjectBytes = 2 ** 36;

/** A run as a worker has it. */
export interface OpenJob {
  readonly side: ClientsSide;
  readonly codec: Codec | undefined;
  readonly memory: MemoryOptions;
  [Symbol.dispose](): void;
}

/** Options of {@linkcode JobOpener}. */
export interface JobOpenerOptions {
  /** Where models are kept; the user's cache by default. */
  readonly cache?: string | undefined;
  /** Called while something is fetched or loaded, so that nobody takes the worker for dead. */
  readonly onProgress?: (() => void) | undefined;
  readonly report?: ((line: string) => void) | undefined;
}

/** Makes ready what a worker trains; models and data that the last run had too are fetched once. */
export class JobOpener {
  readonly #gpu: Gpu;
  readonly #options: JobOpenerOptions;
  #base: { readonly key: string; readonly encoder: Backbone } | undefined;
  #data: { readonly key: string; readonly shared: SharedOut } | undefined;

  constructor(gpu: Gpu, options: JobOpenerOptions = {}) {
    this.#gpu = gpu;
    this.#options = options;
  }

  /**
   * Makes a run ready.
   *
   * @throws {WorkerRefusedError} when this process would compute other bits than the run's.
   * @throws {NatsObjectError} when something that it needs isn't there, or isn't what its hash says.
   */
  async open(objects: Objects, reference: ObjectReference): Promise<OpenJob> {
    const bytes = await objects.get(reference.sha256, { maxBytes: maxJobBytes });
    const job = decodeMessage(jobSchema, bytes);
    if (job === undefined) {
      throw new WorkerRefusedError(
        "Cannot take part in the run: this version doesn't know what it describes",
      );
    }
    this.#checkKind(job);
    const config = parseConfig(job.config);
    const method = config.methods[job.method];
    if (method === undefined) {
      throw new WorkerRefusedError(`Cannot take part in the run: it has no method ${job.method}`);
    }
    const encoder = await this.#openBase(objects, job, config.precision);
    const { train, clients } = await this.#openData(objects, job);
    const task = buildTask(config.task, job.labels);
    const pretrained = TaskModel.create(this.#gpu, encoder, { task, seed: job.seed });
    let side: ClientsSide | undefined;
    try {
      if (await fingerprintOf(pretrained, train) !== job.fingerprint) throw differently("its first texts");
      // A worker evaluates nothing.
      const simulated = { config, train, clients, test: train, testClients: undefined, seed: job.seed };
      const options = simulationOptions(simulated, method);
      side = await ClientsSide.open(pretrained, options);
      this.#options.onProgress?.();
      if (await frozenHash(side.model, side.method, side.initial) !== job.frozen) {
        throw differently(`the start of ${method.method}`);
      }
      const opened = side;
      return {
        side: opened,
        codec: options.codec,
        memory: options,
        [Symbol.dispose]() {
          opened[Symbol.dispose]();
          disposeHead(pretrained);
        },
      };
    } catch (error) {
      side?.[Symbol.dispose]();
      disposeHead(pretrained);
      throw error;
    }
  }

  #checkKind({ kind }: Job): void {
    const own = kindOf(this.#gpu);
    for (const key of ["federa", "arithmetic", "adapter"] as const) {
      if (kind[key] === own[key]) continue;
      throw new WorkerRefusedError(
        `Cannot take part in the run: its ${key} is ${kind[key]}, that of this worker ${own[key]}`,
      );
    }
  }

  async #openData(objects: Objects, { data: { sha256, size } }: Job): Promise<SharedOut> {
    if (this.#data?.key !== sha256) {
      this.#data = undefined;
      const { onProgress } = this.#options;
      const bytes = await objects.get(sha256, { maxBytes: Math.min(size, maxObjectBytes), onProgress });
      this.#data = { key: sha256, shared: decodeSharedOut(bytes) };
    }
    return this.#data.shared;
  }

  async #openBase(
    objects: Objects,
    { base }: Job,
    precision: Parameters<typeof inPrecision>[1],
  ): Promise<Backbone> {
    const key = contentHash([base, precision]);
    if (this.#base?.key !== key) {
      this[Symbol.dispose]();
      const encoder = base.kind === "checkpoint"
        ? await this.#loadCheckpoint(objects, base, precision)
        : await this.#loadUseLite(objects, base.parameters, precision);
      this.#base = { key, encoder };
    }
    return this.#base.encoder;
  }

  async #loadCheckpoint(
    objects: Objects,
    { files, pooling }: Extract<Job["base"], { kind: "checkpoint" }>,
    precision: Parameters<typeof inPrecision>[1],
  ): Promise<Backbone> {
    const { cache = join(cacheFolder(), "workers"), onProgress } = this.#options;
    const folder = join(cache, contentHash(files));
    await makeFolder(folder);
    for (const file of files) await this.#fetch(objects, folder, file);
    const { encoder } = await openPretrained(this.#gpu, await openModelFiles(folder), {
      precision,
      onProgress,
      ...(pooling !== null && { pooling: pooling as Pooling }),
    });
    return encoder;
  }

  /** Fetches a file of a model, unless it is here whole. */
  async #fetch(
    objects: Objects,
    folder: string,
    { name, sha256, size }: ObjectReference & { name: string },
  ): Promise<void> {
    const path = join(folder, name);
    if (await hashOf(path) === sha256) return;
    const megabytes = size / 1e6;
    if (megabytes > 1) this.#options.report?.(`Fetching ${name}, ${megabytes.toFixed(0)} MB`);
    const draft = await mkdtemp(join(folder, ".tmp-"));
    try {
      const handle = await open(join(draft, name), "wx");
      try {
        const write = async (part: Uint8Array) => void await handle.write(part);
        const { onProgress } = this.#options;
        await objects.stream(sha256, write, { maxBytes: Math.min(size, maxObjectBytes), onProgress });
      } finally {
        await handle.close();
      }
      await rename(join(draft, name), path);
    } finally {
      await rm(draft, { recursive: true, force: true });
    }
    if (await hashOf(path) !== sha256) throw new NatsError(`Cannot use ${path}: it has changed on the disk`);
  }

  async #loadUseLite(
    objects: Objects,
    { sha256, size }: ObjectReference,
    precision: Parameters<typeof inPrecision>[1],
  ): Promise<Backbone> {
    const { onProgress } = this.#options;
    const bytes = await objects.get(sha256, { maxBytes: Math.min(size, maxObjectBytes), onProgress });
    const parameters = new Map(decodeHost(bytes).tensors);
    const encoder = new UseLite(this.#gpu, parameters);
    const stored = inPrecision(encoder, precision);
    disposeReplaced(encoder, stored);
    for (const [name, parameter] of stored.namedParameters()) {
      const { data } = parameters.get(name)!;
      if (parameter.dtype !== "f32") parameter.original = () => Promise.resolve(data);
    }
    return stored;
  }

  /** Frees the model. */
  [Symbol.dispose](): void {
    if (this.#base) disposeAll([...this.#base.encoder.namedParameters()].map(([, parameter]) => parameter));
    this.#base = undefined;
  }
}

function differently(what: string): WorkerRefusedError {
  return new WorkerRefusedError(
    `Cannot take part in the run: this machine computes ${what} to other bits than the run's, though its adapter has the same name; ` +
      "use machines with the same processor and driver",
  );
}

/** SHA-256 of a file; undefined where there is none. */
async function hashOf(path: string): Promise<string | undefined> {
  const found = await stat(path).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== "ENOENT") throw error;
  });
  if (found === undefined) return undefined;
  const hash = createHash("sha256");
  for await (const part of createReadStream(path)) hash.update(part as Uint8Array);
  return hash.digest("hex");
}
