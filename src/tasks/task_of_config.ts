import { excerpt, excerptOfNames } from "../data/text/excerpt.ts";
import {
  type EncoderFamily,
  ModelConfigError,
  ParameterMismatchError,
  type TaskArchitecture,
  type WeightSource,
} from "../models/mod.ts";
import { createTask, type TaskKind } from "./create_task.ts";
import type { Task } from "./task.ts";

/** The JSON of a model's `config.json`. */
export type ConfigJson = Readonly<Record<string, unknown>>;

/** Options of {@linkcode sequenceKindOf}, {@linkcode labelsOfConfig} and {@linkcode taskOfConfig}. */
export interface TaskOfConfigOptions {
  /** Where the `config.json` comes from, for messages. */
  readonly source: string;
  /** Rows of the head's last layer. */
  readonly numOutputs: number;
  /** Called with what the user should know, such as two outputs with the same name. */
  readonly onNotice?: ((message: string) => void) | undefined;
}

/** Most outputs of a head. */
const mostLabels = 1e6;

/** The kinds of tasks with outputs for a whole text. */
export type SequenceKind = Extract<
  TaskKind,
  "sequence-classification" | "multi-label-classification" | "regression"
>;

const kinds: Readonly<Record<string, SequenceKind>> = {
  single_label_classification: "sequence-classification",
  multi_label_classification: "multi-label-classification",
  regression: "regression",
};

/**
 * What a model with outputs for a whole text was trained for: what `problem_type` of its `config.json` says, else, as
 * `transformers` takes it, regression where there is one output and one class of several where there are more.
 *
 * @throws {ModelConfigError} when `problem_type` is unknown, or asks for one class out of one.
 * @example
 * ```ts
 * sequenceKindOf({ problem_type: "regression" }, { numOutputs: 3, source: "emotion" }); // "regression"
 * ```
 */
export function sequenceKindOf(
  { problem_type: problemType }: ConfigJson,
  { numOutputs, source }: Pick<TaskOfConfigOptions, "numOutputs" | "source">,
): SequenceKind {
  if (problemType === undefined || problemType === null) {
    return numOutputs === 1 ? "regression" : "sequence-classification";
  }
  const kind = typeof problemType === "string" && Object.hasOwn(kinds, problemType)
    ? kinds[problemType]!
    : undefined;
  if (kind === undefined) {
    throw new ModelConfigError(
      `Cannot open ${source}: problem_type of its config.json must be one of ${
        Object.keys(kinds).join(", ")
      }, got ${excerpt(problemType)}`,
    );
  }
  if (kind === "sequence-classification" && numOutputs === 1) {
    throw new ModelConfigError(
      `Cannot open ${source}: problem_type of its config.json is ${problemType}, which needs at least 2 outputs, and ` +
        "its head has 1; set regression, or multi_label_classification for a yes or no",
    );
  }
  return kind;
}

/**
 * Names of a model's outputs as `id2label` of its `config.json` gives them, or else `LABEL_0` and so on, as many as
 * `num_labels` says, or 2. Numbers as names are written out; a name that several outputs have gets their numbers, as
 * `other (0)` and `other (1)`, and a notice says so.
 *
 * @throws {ModelConfigError} when `id2label` doesn't name each output from 0.
 */
export function labelsOfConfig(
  { id2label, num_labels }: ConfigJson,
  { source, onNotice }: Pick<TaskOfConfigOptions, "source" | "onNotice">,
): string[] {
  if (id2label === undefined || id2label === null) {
    const count = num_labels ?? 2;
    if (typeof count === "number" && Number.isInteger(count) && count > 0 && count <= mostLabels) {
      return Array.from({ length: count }, (_, i) => `LABEL_${i}`);
    }
    throw new ModelConfigError(
      `Cannot open ${source}: num_labels of its config.json must be an integer from 1 to ${mostLabels}, got ${
        excerpt(count)
      }`,
    );
  }
  const named = id2label as Readonly<Record<string, unknown>>;
  const count = typeof id2label === "object" ? Object.keys(named).length : 0;
  const names = Array.from({ length: count }, (_, i) => nameOf(named[i]));
  const bad = names.findIndex((name) => name === undefined);
  if (count === 0 || bad >= 0) {
    const found = count === 0
      ? `got ${excerpt(id2label)}`
      : `got ${excerpt(named[bad])} for ${bad}, of ${Object.keys(named).slice(0, 8).join(", ")}`;
    throw new ModelConfigError(
      `Cannot open ${source}: id2label of its config.json must name each output from 0${
        count > 1 ? ` to ${count - 1}` : ""
      }, ${found}`,
    );
  }
  return uniqueNames(names as string[], { source, onNotice });
}

/** The text of a value of `id2label`; people write numbers and truth values there too. */
function nameOf(value: unknown): string | undefined {
  if (typeof value === "string") return value;
  return typeof value === "number" || typeof value === "boolean" ? String(value) : undefined;
}

/** Names in which duplicates get their number. */
function uniqueNames(
  names: readonly string[],
  { source, onNotice }: Pick<TaskOfConfigOptions, "source" | "onNotice">,
): string[] {
  const places = new Map<string, number[]>();
  names.forEach((name, i) => places.set(name, [...places.get(name) ?? [], i]));
  const taken = new Set(names);
  const renamed = names.map((name, i) => {
    if (places.get(name)!.length === 1) return name;
    let unique = `${name} (${i})`;
    while (taken.has(unique)) unique += "'";
    taken.add(unique);
    return unique;
  });
  for (const [name, outputs] of places) {
    if (outputs.length === 1) continue;
    onNotice?.(
      `Labels of ${source}: id2label names ${outputs.length} outputs ${excerpt(name)}; they are renamed ${
        excerptOfNames(outputs.map((i) => renamed[i]!), 4)
      }`,
    );
  }
  return renamed;
}

/**
 * The task that a whole model's `config.json` says it was trained for.
 *
 * @param options.isPooled whether the head is one on pooled states, after a bare encoder.
 * @throws {ModelConfigError} when its class is none of the family's task models, its labels are unusable, or their number isn't
 *   that of the head's outputs.
 */
export function taskOfConfig(
  json: ConfigJson,
  family: EncoderFamily,
  { isPooled = false, ...options }: TaskOfConfigOptions & { readonly isPooled?: boolean },
): Task {
  const { source, numOutputs } = options;
  const { questionAnswering, tokenClassification, sequenceClassification } = family.architectures;
  const architecture = isPooled ? sequenceClassification : architectureOf(json, family, source);
  if (architecture === questionAnswering) return createTask("question-answering", {}) as Task;
  const labels = labelsOfConfig(json, options);
  if (labels.length !== numOutputs) {
    throw new ModelConfigError(
      `Cannot open ${source}: its config.json names ${labels.length} labels, and its head has ${numOutputs}; they must agree`,
    );
  }
  const kind = architecture === tokenClassification ? "token-classification" : sequenceKindOf(json, options);
  return createTask(kind, { labels }) as Task;
}

/** The family's task model that a configuration names. */
function architectureOf(
  { architectures: named }: ConfigJson,
  { architectures, title }: EncoderFamily,
  source: string,
): TaskArchitecture {
  const names: readonly unknown[] = Array.isArray(named) ? named : [];
  const { questionAnswering, tokenClassification, sequenceClassification } = architectures;
  const found = [questionAnswering, tokenClassification, sequenceClassification].find(({ architecture }) =>
    names.includes(architecture)
  );
  if (found !== undefined) return found;
  const known = Object.values(architectures).map(({ architecture }) => architecture);
  throw new ModelConfigError(
    `Cannot open ${source} as a trained ${title}: architectures of its config.json must name one of ${
      known.join(", ")
    }, got ${names.length > 0 ? excerpt(names) : "none"}`,
  );
}

/**
 * Whether a configuration may be that of a bare encoder with a head on pooled states: it names what the head was trained for,
 * which that of a sentence encoder doesn't.
 */
export function isSentenceModel(
  { architectures, problem_type: problemType, id2label }: ConfigJson,
  { architecture }: EncoderFamily,
): boolean {
  return Array.isArray(architectures) && architectures.includes(architecture) &&
    Boolean(problemType && id2label);
}

/**
 * Rows of the last layer that a whole model's head has, for its class.
 *
 * @throws {ModelConfigError} when its class is none of the family's task models.
 * @throws {ParameterMismatchError} when the weights have no such layer.
 */
export function numOutputsOf(
  json: ConfigJson,
  family: EncoderFamily,
  { source, entries }: { readonly source: string; readonly entries: WeightSource["entries"] },
): number {
  const { output, architecture } = architectureOf(json, family, source);
  const shape = entries.get(`${output}.weight`)?.shape;
  if (shape?.length === 2) return shape[0]!;
  throw new ParameterMismatchError(
    `Cannot use ${source} as a trained ${architecture}: ${output}.weight, the last layer of its head, is missing; save the ` +
      "whole model with save_pretrained, or train a head on this encoder",
  );
}
