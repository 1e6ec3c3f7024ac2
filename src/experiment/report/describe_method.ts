import { z } from "zod";
import { type Companion, companions, type MethodFactory, whyUnsound } from "../../fl/mod.ts";

/** A companion in a few words, as in the heads of tables. */
export const companionTitles: Readonly<Record<Companion, string>> = {
  mixedRanks: "mixed ranks",
  partialParticipation: "partial participation",
  lossyCodec: "lossy codec",
  errorFeedback: "error feedback",
  robustAggregation: "robust rule",
  differentialPrivacy: "DP",
  localPrivacy: "local DP",
  secureAggregation: "secure aggregation",
  asynchrony: "asynchrony",
};

/** An option in words. */
export interface OptionDescription {
  readonly name: string;
  /** What it may be. */
  readonly values: string;
  /** As JSON; undefined where it has none. */
  readonly default: string | undefined;
}

/** A method in words. */
export interface MethodDescription {
  readonly name: string;
  /** What clients and server do. */
  readonly summary: string;
  readonly papers: readonly string[];
  /** The rule, what is sent up and down, and what the server sees, by their titles. */
  readonly facts: Readonly<Record<string, string>>;
  readonly options: readonly OptionDescription[];
  /** What it isn't sound with, by title, and why. */
  readonly unsoundWith: Readonly<Record<string, string>>;
}

/** Says of a method what its definition and its declarations say. */
export function describeMethod(factory: MethodFactory): MethodDescription {
  const { definition: { name, trains, server, rule, up, down, papers = [], options } } = factory;
  const { sees = "sum", isCentral } = factory();
  const seen = isCentral || up === "nothing"
    ? "nothing"
    : sees === "each"
    ? "each client's upload"
    : "each client's upload; with secure aggregation their sum alone";
  return {
    name,
    summary: `Clients train ${trains}; the server ${server}.`,
    papers,
    facts: { "rule": rule, "a client sends": up, "it gets": down, "the server sees": seen },
    options: describeOptions(options),
    unsoundWith: Object.fromEntries(
      Object.keys(companions).flatMap((each) => {
        const companion = each as Companion;
        const why = canHave(factory, companion) ? whyUnsound(factory(), companion) : undefined;
        return why === undefined ? [] : [[companionTitles[companion], why]];
      }),
    ),
  };
}

/** Whether a method can be asked to have a companion at all. */
export function canHave({ definition: { options } }: MethodFactory, companion: Companion): boolean {
  return companion !== "mixedRanks" || "ranks" in options.shape;
}

interface JsonSchema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly additionalProperties?: JsonSchema;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly default?: unknown;
}

/** The options of a schema. */
export function describeOptions(options: z.ZodObject): OptionDescription[] {
  const { properties = {} } = z.toJSONSchema(options, { io: "input", unrepresentable: "any" }) as {
    readonly properties?: Readonly<Record<string, JsonSchema>>;
  };
  return Object.entries(properties).map(([name, schema]) => ({
    name,
    values: valuesOf(schema),
    default: schema.default === undefined ? undefined : JSON.stringify(schema.default),
  }));
}

function valuesOf(schema: JsonSchema): string {
  const { type, anyOf, items, additionalProperties, minimum, maximum, exclusiveMinimum, exclusiveMaximum } =
    schema;
  if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(", ");
  if (schema.const !== undefined) return JSON.stringify(schema.const);
  if (anyOf) return anyOf.map(valuesOf).join(" or ");
  if (type === "object" && additionalProperties) return `object of ${valuesOf(additionalProperties)}`;
  if (type === "array") return `list of ${items ? valuesOf(items) : "anything"}`;
  const low = exclusiveMinimum !== undefined
    ? `over ${exclusiveMinimum}`
    : minimum !== undefined
    ? `from ${minimum}`
    : "";
  const high = exclusiveMaximum !== undefined
    ? `under ${exclusiveMaximum}`
    : maximum !== undefined && maximum < Number.MAX_SAFE_INTEGER
    ? `to ${maximum}`
    : "";
  const kind = type === "integer" ? "whole number" : type ?? "anything";
  return [kind, low, high].filter((each) => each !== "").join(" ");
}
