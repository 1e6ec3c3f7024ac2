import { type ModelFiles, readJsonObject } from "../../data/mod.ts";
import { CorruptFileError } from "../../data/errors.ts";
import { type Gpu, Linear, tensor } from "../../engine/mod.ts";
import { type Pooling, readSentenceModules, SafetensorsFile, toFloat32 } from "../../models/mod.ts";

/** A head as `sentence-transformers` has it: a pooling, and a dense layer on the pooled states. */
export interface SentenceHead {
  readonly pooling: Pooling;
  readonly output: Linear;
}

/**
 * Reads the head that an export for `sentence-transformers` has beside its encoder or adapter; undefined where there is none, or
 * one of another kind.
 *
 * @throws {CorruptFileError} when its files are broken.
 */
export async function readSentenceHead(gpu: Gpu, files: ModelFiles): Promise<SentenceHead | undefined> {
  const modules = await readSentenceModules(files);
  const [folder, ...others] = modules?.behind ?? [];
  if (modules === undefined || folder === undefined || others.length > 0) return undefined;
  const config = await readJsonObject(files, `${folder}/config.json`);
  if (!String(config?.["activation_function"]).endsWith(".Identity")) return undefined;
  const file = await files.open(`${folder}/model.safetensors`);
  if (file === undefined) return undefined;
  const weights = await SafetensorsFile.open(file);
  try {
    const [weight, bias] = ["linear.weight", "linear.bias"].map((name) => weights.entries.get(name)?.shape);
    if (weight?.length !== 2 || bias?.length !== 1 || bias[0] !== weight[0]) {
      throw new CorruptFileError(
        `Cannot read the head in ${files.source}/${folder}: it must have linear.weight [K, D] and linear.bias [K]`,
      );
    }
    const read = async (name: string) => {
      const stored = await weights.read(name);
      return tensor(gpu, toFloat32(stored), { shape: stored.shape });
    };
    return {
      pooling: modules.pooling,
      output: new Linear(await read("linear.weight"), await read("linear.bias")),
    };
  } finally {
    await weights.close();
  }
}
