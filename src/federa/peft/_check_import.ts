import { formatShape, type Linear, sameShape } from "../../engine/mod.ts";
import type { WeightEntry, WeightSource } from "../../models/weights/weight_source.ts";
import type { TaskModel, TransformersNames } from "../../tasks/mod.ts";
import { isTaskType, taskTypeOf } from "./_task_type.ts";
import { PREFIX, showName, type SortedTensors } from "./_tensor_names.ts";
import type { PeftConfig } from "./config.ts";

const readable: readonly string[] = ["F32", "F16", "BF16"];

/** What is wrong with an adapter whatever the model: tensors that contradict each other or the configuration. */
export function findContradictions(
  { layers, parameters }: SortedTensors,
  entries: WeightSource["entries"],
  { useDora }: PeftConfig,
): string[] {
  const problems: string[] = [];
  for (const [layer, { loraA, loraB, magnitude }] of layers) {
    const [a, b, m] = [loraA, loraB, magnitude].map((name) =>
      name === undefined ? undefined : entries.get(name)
    );
    if (a && b && !areFactors(a, b)) {
      problems.push(
        `the factors of ${showName(layer)} must be [r, in] and [out, r], got ${formatShape(a.shape)} and ` +
          formatShape(b.shape),
      );
    }
    if (useDora && m === undefined) problems.push(`layer ${showName(layer)} lacks lora_magnitude_vector`);
    if (!useDora && m) {
      problems.push(`layer ${showName(layer)} has a lora_magnitude_vector, and use_dora is off`);
    }
    if (m && b && !sameShape(m.shape, b.shape.slice(0, 1))) {
      problems.push(
        `lora_magnitude_vector of ${showName(layer)} must be ${formatShape(b.shape.slice(0, 1))}, got ` +
          formatShape(m.shape),
      );
    }
  }
  const used = [...layers.values()].flatMap((layer) => Object.values(layer) as string[]);
  for (const name of [...used, ...parameters.values()]) {
    const { dtype } = entries.get(name)!;
    if (!readable.includes(dtype)) {
      problems.push(`tensor ${showName(name)} must be ${readable.join(", ")}, got ${dtype}`);
    }
  }
  return problems;
}

function areFactors(a: WeightEntry, b: WeightEntry): boolean {
  return a.shape.length === 2 && b.shape.length === 2 && a.shape[0] === b.shape[1] && a.shape[0]! > 0;
}

/** What {@linkcode findMismatches} holds against each other. */
export interface ImportedParts extends SortedTensors {
  readonly entries: WeightSource["entries"];
  readonly config: PeftConfig;
  readonly linears: ReadonlyMap<string, Linear>;
}

/** What keeps an adapter from being put on a model. */
export function findMismatches(
  model: TaskModel,
  names: TransformersNames,
  { layers, parameters, entries, config, linears }: ImportedParts,
): string[] {
  const problems: string[] = [];
  const taskType = taskTypeOf(model.task);
  if (isTaskType(config.taskType) && config.taskType !== taskType) {
    problems.push(`it was made for task_type ${config.taskType}, and the model is one of ${taskType}`);
  }
  const taken = new Set<string>();
  const take = (theirs: string): string => {
    const name = names.fromTransformers(theirs);
    if (taken.has(name)) problems.push(`${name} is there twice`);
    taken.add(name);
    return name;
  };
  for (const [theirs, { loraA, loraB }] of layers) {
    const linear = linears.get(take(theirs));
    const [rank, width] = entries.get(loraA!)!.shape as [number, number];
    const shape = [entries.get(loraB!)!.shape[0]!, width];
    if (linear === undefined) problems.push(`the model has no linear layer ${showName(theirs)}`);
    else if (!sameShape(linear.weight.shape, shape)) {
      problems.push(
        `the weight of ${theirs} must be ${formatShape(shape)}, got ${formatShape(linear.weight.shape)}`,
      );
    } else if (config.settingsOf(theirs).rank !== rank) {
      problems.push(
        `the factors of ${theirs} are of rank ${rank}, and its configuration says ${
          config.settingsOf(theirs).rank
        }`,
      );
    }
  }
  const known = new Map(model.namedParameters());
  for (const [theirs, name] of parameters) {
    const parameter = known.get(take(theirs));
    const { shape } = entries.get(name)!;
    if (parameter === undefined) problems.push(`the model has no parameter ${showName(theirs)}`);
    else if (!sameShape(parameter.shape, shape)) {
      problems.push(`${theirs} must be ${formatShape(parameter.shape)}, got ${formatShape(shape)}`);
    }
  }
  return [
    ...problems,
    ...findUnselected(names, { layers, config, linears }),
    ...findMissing(known.keys(), names, { parameters, config }),
  ];
}

/** Layers that the configuration selects and the file lacks, or the other way round: PEFT would silently leave them as they were. */
function findUnselected(
  names: TransformersNames,
  { layers, config: { targets }, linears }: Pick<ImportedParts, "layers" | "config" | "linears">,
): string[] {
  const stored = new Set([...layers.keys()].map((theirs) => names.fromTransformers(theirs)));
  const [first = ""] = layers.keys();
  // Names in a bare encoder's adapter lack the prefix of a task model's.
  const bare = names.toTransformers(names.fromTransformers(first)) === first
    ? 0
    : (names.toTransformers(names.fromTransformers(first))?.indexOf(first) ?? 0);
  return [
    ...[...layers.keys()].filter((theirs) => targets(theirs) === false).map((theirs) =>
      `the file has an adapter for ${
        showName(theirs)
      }, which target_modules and the related fields don't select`
    ),
    ...[...linears.keys()].flatMap((name) => {
      const theirs = names.toTransformers(name)?.slice(bare);
      return theirs !== undefined && !stored.has(name) && targets(theirs) === true
        ? [`target_modules selects ${showName(theirs)}, but the file has no adapter for it`]
        : [];
    }),
  ];
}

/** Parameters of modules that the configuration says are stored whole, and which aren't there. */
function findMissing(
  known: Iterable<string>,
  names: TransformersNames,
  { parameters, config }: Pick<ImportedParts, "parameters" | "config">,
): string[] {
  const bare = new Set([...parameters.keys()].map((theirs) => names.fromTransformers(theirs)));
  return [...known].flatMap((name) => {
    const theirs = names.toTransformers(name);
    if (theirs === undefined || bare.has(name)) return [];
    const module = config.modulesToSave.find((each) => `.${theirs}`.includes(`.${each}.`));
    return module === undefined ? [] : [
      `modules_to_save names ${
        showName(module)
      }, and ${PREFIX}${theirs} is missing (a conversion of PiSSA to LoRA leaves ` +
      "such modules out: take the adapter as it was before)",
    ];
  });
}
