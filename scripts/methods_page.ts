import { z } from "zod";
import {
  algorithms,
  type Companion,
  companions,
  type MethodFactory,
  methods,
  whyClashing,
  whyUnsound,
} from "../src/fl/mod.ts";

const all = Object.keys(companions) as Companion[];
/** The same in a table's head. */
const titles: Readonly<Record<Companion, string>> = {
  mixedRanks: "mixed ranks",
  partialParticipation: "partial participation",
  lossyCodec: "lossy codec",
  robustAggregation: "robust rule",
  differentialPrivacy: "DP",
  localPrivacy: "local DP",
  secureAggregation: "secure aggregation",
  asynchrony: "asynchrony",
};

/** What goes together with each method: lines of cells. */
export const soundnessTable: readonly (readonly string[])[] = [
  ["sound with", ...all.map((each) => titles[each])],
  ...[...methods.values()].map((factory) => [
    `\`${factory.definition.name}\``,
    ...all.map((each) => whyNot(factory, each) === undefined ? "yes" : "–"),
  ]),
];

/** Which companions go together: lines of cells. */
export const companionsTable: readonly (readonly string[])[] = [
  ["together", ...all.slice(0, -1).map((each) => titles[each])],
  ...all.slice(1).map((one, i) => [
    titles[one],
    ...all.slice(0, -1).map((other, j) => j > i ? "" : whyClashing(one, other) === undefined ? "yes" : "–"),
  ]),
];

/** Why a method doesn't go with a companion; `"no option"` where it can't be asked for. */
function whyNot(factory: MethodFactory, companion: Companion): string | undefined {
  if (companion === "mixedRanks" && !("ranks" in factory.definition.options.shape)) return "no option";
  return whyUnsound(factory(), companion);
}

/** The page of all methods: what each trains, sends and computes, its options, and what it isn't sound with. */
export function methodsPage(): string {
  return [
    "# Methods",
    "",
    "What each method trains, what the server makes of it, and what is sent. `npm run readme` writes this page from the registry.",
    "",
    "A linear layer's weight W is [o, i], its adapter has A [r, i] and B [o, r] and the scale s = alpha / r; p_k is the share of client k of the",
    "examples of all who take part, t the round, K the clients of a round. Values are sent as f32 unless a codec is chosen; the task's head is",
    "sent beside them unless it stays with its client.",
    "",
    ...[...methods.values()].flatMap(section),
    "# Algorithms",
    "",
    "They change local training or the server's step, over any method that the table in README allows.",
    "",
    ...[...algorithms.values()].flatMap(({ definition: { name, summary, papers, options } }) => [
      `## ${name}`,
      "",
      `${sentence(summary)} ${links(papers)}`.trim(),
      "",
      ...optionsTable(options),
    ]),
  ].join("\n");
}

function section(factory: MethodFactory): string[] {
  const { definition: { name, trains, server, rule, up, down, papers = [], options } } = factory;
  const problems = all.flatMap((each) => {
    const why = whyNot(factory, each);
    return why === undefined || why === "no option" ? [] : [`- ${titles[each]}: ${why}`];
  });
  const { sees = "sum", isCentral } = factory();
  const seen = isCentral || up === "nothing"
    ? "nothing"
    : sees === "each"
    ? "each client's upload"
    : "each client's upload; with secure aggregation their sum alone";
  return [
    `## ${name}`,
    "",
    `Clients train ${trains}; the server ${server}. ${links(papers)}`.trim(),
    "",
    `- rule: ${rule}`,
    `- a client sends ${up}`,
    `- it gets ${down}`,
    `- the server sees ${seen}`,
    "",
    ...optionsTable(options),
    ...problems.length > 0 ? ["Not sound with", "", ...problems, ""] : [],
  ];
}

interface JsonSchema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly const?: unknown;
  readonly anyOf?: readonly JsonSchema[];
  readonly items?: JsonSchema;
  readonly additionalProperties?: unknown;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly exclusiveMinimum?: number;
  readonly exclusiveMaximum?: number;
  readonly default?: unknown;
}

function optionsTable(options: z.ZodObject): string[] {
  const { properties = {} } = z.toJSONSchema(options, { io: "input", unrepresentable: "any" }) as {
    readonly properties?: Readonly<Record<string, JsonSchema>>;
  };
  const rows = Object.entries(properties).map(([name, schema]) =>
    `| \`${name}\` | ${rangeOf(schema)} | ${
      schema.default === undefined ? "" : `\`${JSON.stringify(schema.default)}\``
    } |`
  );
  return rows.length === 0 ? [] : ["| option | values | default |", "| --- | --- | --- |", ...rows, ""];
}

function rangeOf(schema: JsonSchema): string {
  const { type, anyOf, items, minimum, maximum, exclusiveMinimum, exclusiveMaximum } = schema;
  if (schema.enum) return schema.enum.map((each) => `\`${JSON.stringify(each)}\``).join(", ");
  if (schema.const !== undefined) return `\`${JSON.stringify(schema.const)}\``;
  if (anyOf) return anyOf.map(rangeOf).join(" or ");
  if (type === "array") return `list of ${items ? rangeOf(items) : "anything"}`;
  if (type === "object") return "object";
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

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}

/** Links to papers by their numbers of arXiv. */
export function links(papers: readonly string[]): string {
  return papers.map((number) => `[${number}](https://arxiv.org/abs/${number})`).join(", ");
}
