import {
  describeSkipped,
  fingerprintOf,
  type Gpu,
  loadTokenizer,
  memoryModelFiles,
  type ModelFiles,
  openPretrained,
  type PretrainedEncoder,
  readEncoderConfig,
  readSentencePooling,
  sizeOf,
  type Tokenizer,
  urlModelFiles,
} from "federa";
import type { CallContext } from "../common/remote.ts";
import type { ModelChoice, ModelInfo, ModelLikeness, SharedCalls } from "./calls.ts";

/** A pretrained model, and where it came from. */
export interface OpenModel {
  readonly files: ModelFiles;
  readonly opened: PretrainedEncoder;
  readonly tokenizer: Tokenizer;
  readonly info: ModelInfo;
}

/** The files of a choice; those of an address are fetched when they are read. */
export function filesOf(
  choice: ModelChoice,
  { signal, report }: CallContext<SharedCalls["openModel"]["event"]>,
): ModelFiles {
  if ("files" in choice) return memoryModelFiles(choice.files, { source: choice.name });
  return urlModelFiles(choice.address, { signal, onProgress: report });
}

/** Options of {@linkcode openModel}. */
export interface OpenModelOptions {
  /** What the model must be; as its own files say by default. */
  readonly like?: ModelLikeness | undefined;
  readonly onProgress?: ((tensors: number, of: number) => void) | undefined;
}

/**
 * Reads a model onto the device.
 *
 * @throws {RangeError} when it isn't the one that is asked for.
 * @throws as `openPretrained` and `loadTokenizer`.
 */
export async function openModel(
  gpu: Gpu,
  files: ModelFiles,
  { like, onProgress }: OpenModelOptions,
): Promise<OpenModel> {
  const notices: string[] = [];
  // Of all that may be missing, this says best what the files are.
  await readEncoderConfig(files);
  const pooling = like === undefined ? await readSentencePooling(files) : like.pooling;
  const tokenizer = await loadTokenizer(files, { onNotice: (notice) => notices.push(notice) });
  const opened = await openPretrained(gpu, files, { pooling, precision: like?.precision, onProgress });
  const { encoder, family, skipped } = opened;
  if (like !== undefined) {
    const fingerprint = await fingerprintOf(encoder);
    if (fingerprint !== like.fingerprint) {
      for (const [, parameter] of encoder.namedParameters()) parameter.dispose();
      throw new RangeError(
        `Cannot take part with this model: its weights are others than the host's (fingerprint ${
          fingerprint.slice(0, 12)
        }…, expected ${like.fingerprint.slice(0, 12)}…); open the model that the invitation names`,
      );
    }
  }
  const skippedNotice = describeSkipped(skipped, files.source);
  if (skippedNotice !== undefined) notices.push(skippedNotice);
  const sizes = [...encoder.namedParameters()].map(([, parameter]) => sizeOf(parameter.shape));
  const numParameters = sizes.reduce((total, size) => total + size, 0);
  const { adapter } = gpu;
  return {
    files,
    opened,
    tokenizer,
    info: {
      name: files.source.split("/").filter((part) => part !== "").at(-1) ?? files.source,
      family: family.title,
      numParameters,
      bytes: 4 * numParameters,
      hiddenSize: encoder.hiddenSize,
      maxLength: Math.min(tokenizer.maxLength, encoder.maxTokens),
      pooling: pooling ?? "the family's own",
      device: adapter.description || adapter.device || adapter.vendor || "WebGPU",
      isSoftware: adapter.class === "cpu",
      notices,
    },
  };
}
