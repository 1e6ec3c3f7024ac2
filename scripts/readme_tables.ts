import { spawnSync } from "node:child_process";
import { readFileSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import process from "node:process";
import { aggregationRules, algorithms, attackKinds, methods } from "../src/fl/mod.ts";
import { companionsTable, links, methodsPage, soundnessTable } from "./methods_page.ts";

/** The README's tables that are made from registries: their lines of cells, by the title of the first column. */
export const readmeTables: Readonly<Record<string, readonly (readonly string[])[]>> = {
  method: [
    ["method", "clients train", "server", "arXiv"],
    ...[...methods.values()].map(({ definition: { name, trains, server, papers = [] } }) => [
      `\`${name}\``,
      trains,
      server,
      links(papers),
    ]),
  ],
  algorithm: [
    ["algorithm", "what it changes", "arXiv"],
    ...[...algorithms.values()].map(({ definition: { name, summary, papers } }) => [
      `\`${name}\``,
      summary,
      links(papers),
    ]),
  ],
  "sound with": soundnessTable,
  together: companionsTable,
  attack: [
    ["attack", "hostile clients", "arXiv"],
    ...[...attackKinds.values()].map(({ definition: { name, summary, papers = [] } }) => [
      `\`${name}\``,
      summary,
      links(papers),
    ]),
  ],
  aggregator: [
    ["aggregator", "what the server makes of the uploads", "arXiv"],
    ...[...aggregationRules.values()].map(({ definition: { name, summary, papers } }) => [
      `\`${name}\``,
      summary,
      links(papers),
    ]),
  ],
};

/** The page of methods, as it's formatted. */
export function formattedMethodsPage(): string {
  const deno = createRequire(import.meta.url).resolve("deno/bin.cjs");
  const { stdout, status } = spawnSync(process.execPath, [deno, "fmt", "--ext", "md", "-"], {
    input: methodsPage(),
    encoding: "utf8",
  });
  if (status !== 0) throw new Error("Cannot format docs/methods.md");
  return stdout;
}

/** The lines of cells of a text's table whose first column has that title, and where it stands. */
export function findTable(
  text: string,
  title: string,
): { readonly cells: string[][]; readonly source: string } {
  const source = new RegExp(`^\\| ${title} .*(?:\\n\\|.*)*`, "m").exec(text)?.[0];
  if (source === undefined) throw new RangeError(`Cannot find a table of ${title}`);
  const [head = "", , ...rows] = source.split("\n");
  const cells = [head, ...rows].map((line) => line.slice(1, -1).split("|").map((cell) => cell.trim()));
  return { cells, source };
}

if (process.argv[1] === import.meta.filename) {
  let text = readFileSync("README.md", "utf8");
  for (const [title, [head = [], ...rows]] of Object.entries(readmeTables)) {
    const lines = [head, head.map(() => "---"), ...rows].map((cells) => `| ${cells.join(" | ")} |`);
    const { source } = findTable(text, title);
    text = text.replace(source, () => lines.join("\n"));
  }
  writeFileSync("README.md", text);
  writeFileSync("docs/methods.md", formattedMethodsPage());
  const deno = createRequire(import.meta.url).resolve("deno/bin.cjs");
  const { status } = spawnSync(process.execPath, [deno, "fmt", "README.md"], { stdio: "inherit" });
  process.exitCode = status ?? 1;
}
