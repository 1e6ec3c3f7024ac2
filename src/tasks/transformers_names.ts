import { type EncoderFamily, TransformerEncoder } from "../models/mod.ts";
import { DenseHead, PooledHead } from "./heads/head.ts";
import { architectureFor } from "./heads/head_parts.ts";
import type { TaskModel } from "./task_model.ts";
import { FederaError } from "../engine/errors.ts";

/** The Python package `transformers` has no class for a model: it can't be written in a form that others load. */
export class NoCounterpartError extends FederaError {
  override name = "NoCounterpartError";
}

/** How `transformers` calls a model, its modules and its parameters. */
export interface TransformersNames {
  /** Name of the class. */
  readonly architecture: string;
  /** The outermost modules that make up the head; none if the class is the bare encoder. */
  readonly headModules: readonly string[];
  /**
   * How a text's states are pooled, if the head is a dense layer on the pooled vector: `transformers` has no such class, and
   * `sentence-transformers` puts both after the bare encoder. Undefined if the class has the head.
   */
  readonly sentencePooling: "mean" | "cls" | undefined;
  /** Its name for a module or parameter of ours; undefined where that class lacks it, as a pooler that isn't used. */
  toTransformers(name: string): string | undefined;
  /** Our name for a module or parameter of that class, or of the bare encoder, whether there is one or not. */
  fromTransformers(name: string): string;
}

/**
 * Names of a task model in `transformers`, whose class has the same encoder and head, or the encoder alone where the head is a
 * dense layer on pooled states.
 *
 * @param family that the encoder is of; undefined for an encoder of another kind.
 * @throws {NoCounterpartError} when there is no such class.
 * @example
 * ```ts no-run
 * const { toTransformers } = transformersNames(model, robertaFamily);
 * toTransformers("head.output.weight"); // "classifier.out_proj.weight"
 * ```
 */
export function transformersNames(model: TaskModel, family: EncoderFamily | undefined): TransformersNames {
  if (family === undefined) {
    throw new NoCounterpartError(
      "Cannot write the model for transformers, which has no class for this encoder; keep the adapter file of this " +
        "package, which loads on the same encoder",
    );
  }
  const sentencePooling = sentencePoolingOf(model);
  const { architecture, output, dense } = architectureFor(family, model.task);
  if (sentencePooling === undefined && (dense !== undefined) !== model.head instanceof DenseHead) {
    throw new NoCounterpartError(
      `Cannot write the model as one of transformers: the head of ${architecture} has ${
        dense === undefined ? "one layer" : "two layers"
      }, unlike that of this ${family.title} model`,
    );
  }
  const usesPooler = model.head instanceof PooledHead && sentencePooling === undefined;
  const parts = sentencePooling !== undefined ? [] : [
    ...dense === undefined ? [] : [["head.dense", dense] as const],
    ["head.output", output] as const,
  ];
  const prefix = sentencePooling === undefined ? family.prefix : "";
  return {
    architecture: sentencePooling === undefined ? architecture : family.architecture,
    headModules: [...new Set(parts.map(([, theirs]) => theirs.split(".")[0]!))],
    sentencePooling,
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
      return `encoder.${name.startsWith(family.prefix) ? name.slice(family.prefix.length) : name}`;
    },
  };
}

function sentencePoolingOf({ encoder, head }: TaskModel): TransformersNames["sentencePooling"] {
  if (!(head instanceof PooledHead) || !(encoder instanceof TransformerEncoder)) return undefined;
  return encoder.pooling === "pooler" ? undefined : encoder.pooling;
}

function isWithin(name: string, module: string): boolean {
  return name === module || name.startsWith(`${module}.`);
}
