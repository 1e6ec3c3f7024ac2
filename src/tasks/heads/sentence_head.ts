import type { ModelFiles } from "../../hub/files/model_files.ts";
import { readJsonObject } from "../../hub/files/read_json_object.ts";
import { type Pooling, readSentenceModules, SafetensorsFile } from "../../models/mod.ts";
import type { HeadSource } from "../open_task_model.ts";

/** A head on pooled states, in files that are open. */
export interface SentenceHeadSource extends HeadSource {
  readonly pooling: Exclude<Pooling, "pooler">;
  /** Closes the files. */
  close(): Promise<void>;
}

/**
 * Opens the head after the pooling of a model of `sentence-transformers`, as `federa merge` and `federa export` write it: one
 * dense layer without activation. Undefined if it isn't such a model, or has other layers there.
 *
 * @throws {ModelConfigError} when the model pools in another way than `mean` or `cls`.
 * @throws {CorruptFileError} when a file isn't what it should be.
 * @example
 * ```ts no-run
 * const head = await openSentenceHead(files);
 * const { model } = await openTaskModel(gpu, base, { task, head });
 * await head?.close();
 * ```
 */
export async function openSentenceHead(files: ModelFiles): Promise<SentenceHeadSource | undefined> {
  if (!await files.has("modules.json")) return undefined;
  const { pooling, behind: [folder, ...others] } = await readSentenceModules(files) ?? { behind: [] };
  if (pooling === undefined || folder === undefined || others.length > 0) return undefined;
  const json = await readJsonObject(files, `${folder}/config.json`, { maxBytes: 1 << 20 });
  const isLinear = json?.["activation_function"] === "torch.nn.modules.linear.Identity" &&
    json["bias"] === true &&
    !json["use_residual"];
  const file = isLinear ? await files.open(`${folder}/model.safetensors`) : undefined;
  if (file === undefined) return undefined;
  const weights = await SafetensorsFile.open(file);
  return {
    source: files.source,
    pooling,
    entries: weights.entries,
    read: (name) => weights.read(name),
    close: () => weights.close(),
  };
}
