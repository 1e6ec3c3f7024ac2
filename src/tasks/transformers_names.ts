import { type EncoderFamily, type TaskArchitecture, TransformerEncoder } from "../models/mod.ts";
import { DenseHead, PooledHead } from "./head.ts";
import type { TaskModel } from "./task_model.ts";

/** The Python package `transformers` has no class for a model: it can't be written in a form that others load. */
export class NoCounterpartError extends Error {
  override name = "NoCounterpartError";
}

/** How `transformers` calls a task model, its modules and its parameters. */
export interface TransformersNames {
  /** Name of the class. */
  readonly architecture: string;
  /** The outermost modules that make up the head. */
  readonly headModules: readonly string[];
  /** Its name for a module or parameter of ours; undefined where that class lacks it, as a pooler that isn't used. */
  toTransformers(name: string): string | undefined;
  /** Our name for a module or parameter of that class, or of the bare encoder, whether there is one or not. */
  fromTransformers(name: string): string;
}

/**
 * Names of a task model in `transformers`, whose class has the same encoder and head.
 *
 * @param family that the encoder is of; undefined for an encoder of another kind.
 * @throws {NoCounterpartError} when there is no such class.
 * @example
 * ```ts
 * const { toTransformers } = transformersNames(model, robertaFamily);
 * toTransformers("head.output.weight"); // "classifier.out_proj.weight"
 * ```
 */
export function transformersNames(model: TaskModel, family: EncoderFamily | undefined): TransformersNames {
  const { architecture, output, dense } = architectureOf(model, family);
  const { prefix } = family!;
  const usesPooler = model.head instanceof PooledHead;
  const parts = [
    ...dense === undefined ? [] : [["head.dense", dense] as const],
    ["head.output", output] as const,
  ];
  return {
    architecture,
    headModules: [...new Set(parts.map(([, theirs]) => theirs.split(".")[0]!))],
    toTransformers(name) {
      for (const [ours, theirs] of parts) {
        if (isWithin(name, ours)) return theirs + name.slice(ours.length);
      }
      if (!name.startsWith("encoder.") || !usesPooler && isWithin(name, "encoder.pooler")) return undefined;
      return prefix + name.slice("encoder.".length);
    },
    fromTransformers(name) {
      for (const [ours, theirs] of parts) {
        if (isWithin(name, theirs)) return ours + name.slice(theirs.length);
      }
      return `encoder.${name.startsWith(prefix) ? name.slice(prefix.length) : name}`;
    },
  };
}

function architectureOf(
  { encoder, head, task }: TaskModel,
  family: EncoderFamily | undefined,
): TaskArchitecture {
  const refuse = (reason: string) =>
    new NoCounterpartError(`Cannot write the model as one of transformers: ${reason}`);
  if (family === undefined) {
    throw refuse(
      "it has no class for this encoder; keep the adapter file of this package, which loads on the same encoder",
    );
  }
  const { architectures, title } = family;
  if (task.perToken) {
    return task.kind === "question-answering"
      ? architectures.questionAnswering
      : architectures.tokenClassification;
  }
  const found = architectures.sequenceClassification;
  if (head instanceof PooledHead && encoder instanceof TransformerEncoder && encoder.pooling !== "pooler") {
    throw refuse(
      `its head reads the ${
        encoder.pooling === "cls" ? "first token's state" : "mean over the tokens"
      }, and ` +
        `${found.architecture} a dense layer of the first token's; train the head with pooling "pooler" to share it, ` +
        "or keep the adapter file of this package",
    );
  }
  if ((found.dense !== undefined) !== head instanceof DenseHead) {
    throw refuse(
      `the head of ${found.architecture} has ${found.dense === undefined ? "one layer" : "two layers"}, ` +
        `which this ${title} model's hasn't`,
    );
  }
  return found;
}

function isWithin(name: string, module: string): boolean {
  return name === module || name.startsWith(`${module}.`);
}
