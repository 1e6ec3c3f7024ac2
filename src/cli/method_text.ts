import { describeMethod } from "../experiment/report/describe_method.ts";
import { methods } from "../fl/mod.ts";
import { formatTable } from "./tables/table.ts";

/** What the command `methods` prints of one method. */
export function methodText(name: string): string {
  const { name: own, summary, papers, facts, options, unsoundWith } = describeMethod(methods.get(name)!);
  const pairs = (entries: Readonly<Record<string, string>>) =>
    formatTable(Object.entries(entries), [
      { title: own, cell: ([title]) => title },
      { title: papers.map((each) => `arXiv ${each}`).join(", "), cell: ([, text]) => text, wrap: true },
    ]);
  const parts = [
    summary,
    pairs(facts),
    formatTable(options, [
      { title: "option", cell: ({ name }) => name },
      { title: "values", cell: ({ values }) => values, wrap: true },
      { title: "default", cell: ({ default: value = "" }) => value },
    ]),
    formatTable(Object.entries(unsoundWith), [
      { title: "not sound with", cell: ([title]) => title },
      { title: "because", cell: ([, why]) => why, wrap: true },
    ]),
  ];
  return [
    ...parts.slice(0, 2),
    ...options.length > 0 ? [parts[2]] : [],
    ...Object.keys(unsoundWith).length > 0 ? [parts[3]] : [],
  ]
    .join("\n\n");
}
