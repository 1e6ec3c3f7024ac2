import {
  describeSkipped,
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
import type { ModelChoice, ModelInfo, TrainerCalls } from "./calls.ts";

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
  context?: CallContext<TrainerCalls["openModel"]["event"]>,
): ModelFiles {
  if ("files" in choice) return memoryModelFiles(choice.files, { source: choice.name });
  return urlModelFiles(choice.address, { signal: context?.signal, onProgress: context?.report });
}

/** Reads a model onto the device. */
export async function openModel(
  gpu: Gpu,
  files: ModelFiles,
  onProgress?: (tensors: number, of: number) => void,
): Promise<OpenModel> {
  const notices: string[] = [];
  // Of all that may be missing, this says best what the files are.
  await readEncoderConfig(files);
  const pooling = await readSentencePooling(files);
  const tokenizer = await loadTokenizer(files, { onNotice: (notice) => notices.push(notice) });
  const opened = await openPretrained(gpu, files, { pooling, onProgress });
  const { encoder, family, skipped } = opened;
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
