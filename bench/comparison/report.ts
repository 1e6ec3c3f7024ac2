import { readFile, writeFile } from "node:fs/promises";
import { spawnSync } from "node:child_process";
import { createRequire } from "node:module";
import { join } from "node:path";
import process from "node:process";
import { comparisonTables, scoreTables } from "../../src/cli/tables/comparison_tables.ts";
import { readComparison } from "../../src/experiment/compare/comparison_config.ts";
import { RecordStore } from "../../src/experiment/compare/record_store.ts";
import { scoresChart } from "../../src/experiment/compare/scores_chart.ts";
import { summarizeComparison } from "../../src/experiment/compare/summarize_comparison.ts";
import { formatRecord } from "../../src/experiment/compare/unit_record.ts";
import { plannedUnits } from "../../src/experiment/compare/units.ts";
import { claimsTable } from "./claims.ts";
import { clientSpeed } from "./time_to_score.ts";

// Collects the records of a folder, by default those that are committed, into `snips/records.jsonl`, in the order of the plan, and
// writes what they say into `snips/RESULTS.md`, `snips/scores.svg` and the README:
//   node --import ./scripts/register.mjs bench/comparison/report.ts [FOLDER]

const own = join("bench", "comparison", "snips");
const comparison = await readComparison(
  join("bench", "comparison", "snips.json"),
);
const store = await RecordStore.open(process.argv[2] ?? own);
const records = plannedUnits(comparison).flatMap(({ key }) => store.get(key) ?? []);
await writeFile(
  join(own, "records.jsonl"),
  records.map((record) => `${formatRecord(record)}\n`).join(""),
);

const summary = summarizeComparison(comparison, store);
const claims = claimsTable(comparison, store);
await writeFile(join(own, "scores.svg"), scoresChart(summary));
const { up, down, flops } = clientSpeed;
const simulated = `Seconds are simulated: ${up / 1e6} Mbit/s up, ${down / 1e6} down, ${
  flops / 1e12
} TFLOP/s, clients all alike.`;
await writeFile(
  join(own, "RESULTS.md"),
  `# Results of the comparison\n\n${
    comparisonTables(summary)
  }\n\n### What the paper claims\n\n${simulated}\n\n${claims}\n`,
);
const text = await readFile("README.md", "utf8");
const filled = fill(
  fill(text, "comparison", scoreTables(summary, { numBudgets: 1 })),
  "claims",
  claims,
);
await writeFile("README.md", filled);
const deno = createRequire(import.meta.url).resolve("deno/bin.cjs");
const written = ["README.md", join(own, "RESULTS.md"), join(own, "scores.svg")];
spawnSync(process.execPath, [deno, "fmt", "--quiet", "--config", "deno.json", ...written], {
  stdio: "inherit",
});
console.log(
  `${records.length} records, ${summary.runs.done} of ${summary.runs.planned} runs`,
);

/** Puts a text between two comments. */
function fill(text: string, name: string, content: string): string {
  const [before, after] = [`<!-- ${name}: begin -->`, `<!-- ${name}: end -->`];
  const [start, end] = [text.indexOf(before), text.indexOf(after)];
  if (start < 0 || end < start) {
    throw new RangeError(
      `Cannot fill README.md: expected ${before} and ${after}`,
    );
  }
  return `${text.slice(0, start + before.length)}\n\n${content}\n\n${text.slice(end)}`;
}
