import { z } from "zod";
import type { TaskKind } from "../../tasks/mod.ts";
import type { ColumnsConfig } from "./columns_config.ts";
import { listChoices } from "./describe_choice.ts";
import {
  type Partitioner,
  type PartitionerFactory,
  partitioners,
  type PartitionNeed,
} from "../../data/mod.ts";

/** What partitions by class take for the class of an example: its own, its key, or the cluster that its embedding is in. */
const by = z.union([z.enum(["classes", "keys"]), z.strictObject({ clusters: z.int().min(2).max(1e5) })]);

type By = z.output<typeof by>;
type Factory = (typeof partitioners)[number];
/** A factory without what its kind's options are. */
type AnyFactory = PartitionerFactory<z.ZodRawShape, string>;

/** Other names of kinds. */
const aliases: Readonly<Record<string, Factory["kind"]>> = { "by-key": "natural-id" };

type Options<F, Given extends "input" | "output"> = F extends PartitionerFactory<infer Shape, infer Kind> ?
    & { kind: Kind }
    & (Given extends "input" ? z.input<z.ZodObject<Shape, z.core.$strict>>
      : z.output<z.ZodObject<Shape, z.core.$strict>>)
  : never;

/** How examples are shared out among clients. */
export type PartitionConfig = Options<Factory, "output"> & {
  /** Only of partitions by class. */
  by?: By;
  /** Whether each client sees the classes through a permutation of its own. */
  labelPermutation: boolean;
};

/** A partition as people write it. */
export type PartitionConfigInput = (Options<Factory, "input"> | { kind: "by-key"; sortKeys?: boolean }) & {
  by?: By;
  labelPermutation?: boolean;
};

const factories = new Map(partitioners.map((each) => [each.kind, each as unknown as AnyFactory]));

/** The union of all kinds of partitions, made from their registry. */
export const partitionConfig = z.preprocess(
  canonical,
  z.discriminatedUnion("kind", [...factories.values()].map(schemaOf) as [ReturnType<typeof schemaOf>]),
) as unknown as z.ZodType<PartitionConfig, PartitionConfigInput>;

function canonical(value: unknown): unknown {
  if (typeof value !== "object" || value === null || !("kind" in value)) return value;
  const { kind } = value;
  return typeof kind === "string" && Object.hasOwn(aliases, kind) ? { ...value, kind: aliases[kind] } : value;
}

function schemaOf({ kind, shape, needs, check }: AnyFactory) {
  return z.strictObject({
    kind: z.literal(kind),
    ...shape,
    ...(needs.includes("labels") && { by: by.default("classes") }),
    labelPermutation: z.boolean().default(false),
  }).superRefine((options, context) =>
    check(options, (option, message) => context.addIssue({ code: "custom", path: [option], message }))
  );
}

/** The partitioner of a configuration. */
export function partitionerOf(
  { kind, by: _by, labelPermutation: _permutes, ...options }: PartitionConfig,
): Partitioner {
  return factories.get(kind)!(options);
}

/** What a partition needs to know of each example, given that classes may stand for something else. */
export function needsOf({ kind, by = "classes" }: PartitionConfig): readonly PartitionNeed[] {
  const { needs } = factories.get(kind)!;
  if (by === "classes") return needs;
  return needs.map((need) => need !== "labels" ? need : by === "keys" ? "keys" : "embeddings");
}

/** The kinds that need no classes. */
const classless = partitioners.flatMap(({ kind, needs }) =>
  (needs as readonly PartitionNeed[]).includes("labels") ? [] : [kind]
);

/** Something that a partition needs but the data don't have. */
export interface PartitionProblem {
  /** A path in the configuration. */
  readonly option: string;
  readonly message: string;
}

/** Options of {@linkcode partitionProblems}. */
export interface PartitionedData {
  readonly kind: TaskKind;
  /** Of data files; undefined for data that have a key. */
  readonly columns: ColumnsConfig | undefined;
}

/** Lists everything that a partition needs but the data, by their configuration, don't have. */
export function partitionProblems(
  partition: PartitionConfig,
  { kind, columns }: PartitionedData,
): PartitionProblem[] {
  const needs = needsOf(partition);
  const problems: PartitionProblem[] = [];
  const refuse = (option: string, message: string) => problems.push({ option, message });
  const quoted = JSON.stringify(partition.kind);
  if (needs.includes("labels") && kind !== "sequence-classification") {
    refuse(
      "partition",
      `${kind} has no one class of an example, as ${quoted} needs: set by to "keys" or { "clusters": 10 }, or expected ` +
        `the kind ${listChoices(classless)}`,
    );
  }
  if (needs.includes("values") && kind !== "regression") {
    refuse(
      "partition",
      `${quoted} needs a value of each example: expected the task "regression", got "${kind}"`,
    );
  }
  if (needs.includes("keys") && columns !== undefined && columns.key === undefined) {
    refuse(
      "data.columns.key",
      `expected the column of the keys that the partition ${quoted} needs, got nothing`,
    );
  }
  if (partition.labelPermutation && kind !== "sequence-classification") {
    refuse(
      "partition.labelPermutation",
      `permutes classes of examples: expected the task "sequence-classification", got "${kind}"`,
    );
  }
  return problems;
}
