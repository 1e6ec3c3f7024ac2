import {
  algorithms,
  type Companion,
  companions,
  type MethodFactory,
  methods,
  whyClashing,
  whyUnsound,
} from "../src/fl/mod.ts";
import {
  canHave,
  companionTitles,
  describeMethod,
  describeOptions,
  type OptionDescription,
} from "../src/experiment/report/describe_method.ts";

const all = Object.keys(companions) as Companion[];
/** What goes together with each method: lines of cells. */
export const soundnessTable: readonly (readonly string[])[] = [
  ["sound with", ...all.map((each) => companionTitles[each])],
  ...[...methods.values()].map((factory) => [
    `\`${factory.definition.name}\``,
    ...all.map((each) => canHave(factory, each) && whyUnsound(factory(), each) === undefined ? "yes" : "–"),
  ]),
];

/** Which companions go together: lines of cells. */
export const companionsTable: readonly (readonly string[])[] = [
  ["together", ...all.slice(0, -1).map((each) => companionTitles[each])],
  ...all.slice(1).map((one, i) => [
    companionTitles[one],
    ...all.slice(0, -1).map((other, j) => j > i ? "" : whyClashing(one, other) === undefined ? "yes" : "–"),
  ]),
];

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
      ...optionsTable(describeOptions(options)),
    ]),
  ].join("\n");
}

function section(factory: MethodFactory): string[] {
  const { name, summary, papers, facts, options, unsoundWith } = describeMethod(factory);
  const problems = Object.entries(unsoundWith).map(([title, why]) => `- ${title}: ${why}`);
  return [
    `## ${name}`,
    "",
    `${summary} ${links(papers)}`.trim(),
    "",
    ...Object.entries(facts).map(([title, fact]) => `- ${title}${title === "rule" ? ":" : ""} ${fact}`),
    "",
    ...optionsTable(options),
    ...problems.length > 0 ? ["Not sound with", "", ...problems, ""] : [],
  ];
}

function optionsTable(options: readonly OptionDescription[]): string[] {
  if (options.length === 0) return [];
  const rows = options.map(({ name, values, default: value }) =>
    `| \`${name}\` | ${values} | ${value === undefined ? "" : `\`${value}\``} |`
  );
  return ["| option | values | default |", "| --- | --- | --- |", ...rows, ""];
}

function sentence(text: string): string {
  return `${text[0]!.toUpperCase()}${text.slice(1)}.`;
}

/** Links to papers by their numbers of arXiv. */
export function links(papers: readonly string[]): string {
  return papers.map((number) => `[${number}](https://arxiv.org/abs/${number})`).join(", ");
}
