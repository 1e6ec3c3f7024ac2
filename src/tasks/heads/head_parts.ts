import { formatShape, type Gpu, sameShape, type Shape, type Tensor, tensor } from "../../engine/mod.ts";
import { type EncoderFamily, type TaskArchitecture, toFloat32, type WeightSource } from "../../models/mod.ts";
import type { Task } from "../task.ts";

/** A parameter of the head of a task model of `transformers`, including a pooler. */
export interface HeadPart {
  /** Our name of it. */
  readonly name: string;
  /** The name that `transformers` has for it. */
  readonly theirs: string;
  readonly shape: Shape;
}

/** Options of {@linkcode headPartsOf}. */
export interface HeadPartsOptions {
  readonly task: Pick<Task, "kind" | "perToken" | "labels">;
  /** Width of the encoder's token states. */
  readonly hiddenSize: number;
  /** Whether the head is a dense layer on pooled states, as of `sentence-transformers`, instead of the family's own. */
  readonly isPooled?: boolean;
}

/** The class of `transformers` for a task. */
export function architectureFor(
  { architectures }: EncoderFamily,
  task: HeadPartsOptions["task"],
): TaskArchitecture {
  if (!task.perToken) return architectures.sequenceClassification;
  return task.kind === "question-answering"
    ? architectures.questionAnswering
    : architectures.tokenClassification;
}

/**
 * The parameters of a family's own head for a task: its last layer, the dense layer before it, and the pooler if the head reads
 * it; or those of a head on pooled states.
 */
export function headPartsOf(
  family: EncoderFamily,
  { task, hiddenSize, isPooled = false }: HeadPartsOptions,
): HeadPart[] {
  const { output, dense } = architectureFor(family, task);
  const linear = (name: string, theirs: string, rows: number): HeadPart[] => [
    { name: `${name}.weight`, theirs: `${theirs}.weight`, shape: [rows, hiddenSize] },
    { name: `${name}.bias`, theirs: `${theirs}.bias`, shape: [rows] },
  ];
  if (isPooled) return linear("head.output", "linear", task.labels.length);
  return [
    ...dense === undefined ? [] : linear("head.dense", dense, hiddenSize),
    ...task.perToken || dense !== undefined
      ? []
      : linear("encoder.pooler.dense", `${family.prefix}pooler.dense`, hiddenSize),
    ...linear("head.output", output, task.labels.length),
  ];
}

/** The name of a part in a checkpoint: its own, or the one without the family's prefix, as in an encoder that was saved alone. */
export function findPart(
  { theirs }: HeadPart,
  entries: WeightSource["entries"],
  { prefix }: Pick<EncoderFamily, "prefix">,
): string | undefined {
  const bare = theirs.startsWith(prefix) ? theirs.slice(prefix.length) : theirs;
  return [theirs, bare].find((name) => entries.has(name));
}

/** The parts that a checkpoint lacks or has in another shape, in words. */
export function partProblems(
  parts: readonly HeadPart[],
  entries: WeightSource["entries"],
  family: Pick<EncoderFamily, "prefix">,
): string[] {
  return parts.flatMap((part) => {
    const { theirs, shape } = part;
    const name = findPart(part, entries, family);
    if (name === undefined) return [`${theirs} ${formatShape(shape)} is missing`];
    const found = entries.get(name)!;
    return sameShape(found.shape, shape)
      ? []
      : [`${theirs} must be ${formatShape(shape)}, got ${formatShape(found.shape)}`];
  });
}

/** Reads parts for which {@linkcode partProblems} is empty, by our names. */
export async function readParts(
  gpu: Gpu,
  parts: readonly HeadPart[],
  { weights, family }: { readonly weights: WeightSource; readonly family: Pick<EncoderFamily, "prefix"> },
): Promise<Map<string, Tensor>> {
  const read = new Map<string, Tensor>();
  for (const part of parts) {
    const stored = await weights.read(findPart(part, weights.entries, family)!);
    read.set(part.name, tensor(gpu, toFloat32(stored), { shape: part.shape }));
  }
  return read;
}
