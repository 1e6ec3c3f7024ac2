import { dirname, join } from "node:path";
import { makeFolder, writeFileAtomic } from "../../data/files/write_file.ts";
import type { ModelFiles } from "../../hub/files/model_files.ts";
import { readJsonObject } from "../../hub/files/read_json_object.ts";
import { WeightsUnavailableError } from "../../models/errors.ts";
import { encodeSafetensors } from "../../models/weights/safetensors.ts";
import { SafetensorsFile } from "../../models/weights/safetensors_file.ts";
import { sentenceModules, type SentenceModulesOptions } from "./_sentence_modules.ts";
import { readTokenizer } from "./tokenizer_files.ts";
import { parsePeftConfig } from "./config.ts";
import type { PeftExport } from "./export.ts";
import type { PeftAdapter } from "./import.ts";

const configName = "adapter_config.json";
const weightsName = "adapter_model.safetensors";
const pickleName = "adapter_model.bin";

/** A {@linkcode PeftAdapter} on files that are open. */
export interface OpenPeftAdapter extends PeftAdapter {
  readonly weights: SafetensorsFile;
}

/**
 * Opens an adapter made by PEFT: `adapter_config.json` and `adapter_model.safetensors`. The caller closes its
 * weights.
 *
 * @throws {WeightsUnavailableError} when one of the files is missing; where there is a pickle instead, the message says how to convert it.
 * @throws {CorruptFileError} when a file is broken.
 * @throws {UnsupportedAdapterError} when the configuration asks for what isn't supported.
 * @example
 * ```ts no-run
 * const adapter = await openPeftAdapter(files);
 * const { model } = await importPeft(pretrained, adapter, { family: bertFamily });
 * await adapter.weights.close();
 * ```
 */
export async function openPeftAdapter(files: ModelFiles): Promise<OpenPeftAdapter> {
  const { source } = files;
  const json = await readJsonObject(files, configName, { maxBytes: 16 << 20 });
  if (json === undefined) {
    throw new WeightsUnavailableError(`Cannot read the adapter of ${source}: it has no ${configName}`);
  }
  const config = parsePeftConfig(json, { source });
  const file = await files.open(weightsName);
  if (file === undefined) {
    throw new WeightsUnavailableError(
      `Cannot read the adapter of ${source}: there is no ${weightsName}` +
        (await files.has(pickleName) ? `, only ${pickleName}, ${pickleAdvice}` : ""),
    );
  }
  return { source, config, weights: await SafetensorsFile.open(file) };
}

const pickleAdvice =
  `a Python pickle, which can run any code when it is opened; if the file is from a source you trust, convert it with ` +
  `Python (pip install torch safetensors numpy), in its folder, and keep the new file beside it:
  import torch
  from safetensors.torch import save_file
  weights = torch.load("${pickleName}", map_location="cpu", weights_only=True)
  weights = {name: value.clone().contiguous() for name, value in weights.items()}
  save_file(weights, "${weightsName}", metadata={"format": "pt"})`;

/** Options of {@linkcode encodePeft} and {@linkcode writePeft}, for adapters with a head on pooled states. */
export interface WritePeftOptions extends SentenceModulesOptions {
  /** The files of the base, of which those of the tokenizer are copied. */
  readonly files?: ModelFiles | undefined;
}

/**
 * The files of an adapter by their names, from whose folder PEFT loads it: what {@linkcode writePeft} writes, for a page to hand out.
 *
 * @throws what reading the base's files throws.
 * @example
 * ```ts no-run
 * const files = await encodePeft(await exportPeft(model, options));
 * for (const [name, content] of files) offer(name, new Blob([content]));
 * ```
 */
export async function encodePeft(
  { config, tensors, sentenceHead }: PeftExport,
  { files, ...options }: WritePeftOptions = {},
): Promise<Map<string, Uint8Array<ArrayBuffer> | string>> {
  return new Map<string, Uint8Array<ArrayBuffer> | string>([
    [weightsName, encodeSafetensors(tensors, { format: "pt" })],
    [configName, JSON.stringify(config, null, 2)],
    ...sentenceHead === undefined ? [] : sentenceModules(sentenceHead, options),
    ...sentenceHead === undefined || files === undefined ? [] : await readTokenizer(files),
  ]);
}

/**
 * Writes the files of an adapter into a folder, from which PEFT loads it (Node only). An adapter with a head on pooled
 * states also gets the files with which `SentenceTransformer(folder).encode(texts)` gives the model's outputs.
 *
 * @throws {Error} naming the path, if it cannot be written.
 * @returns the paths of the files.
 */
export async function writePeft(
  folder: string,
  adapter: PeftExport,
  options: WritePeftOptions = {},
): Promise<string[]> {
  const contents = await encodePeft(adapter, options);
  for (const name of contents.keys()) await makeFolder(dirname(join(folder, name)));
  for (const [name, content] of contents) await writeFileAtomic(join(folder, name), content);
  return [...contents.keys()].map((name) => join(folder, name));
}
