import { readFile } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { writeFileAtomic } from "../src/data/files/write_file.ts";
import { openGpu } from "../src/engine/mod.ts";
import type { BenchContext, FederationOptions, Suite } from "./contender.ts";
import { describeEnvironment, formatEnvironment } from "./environment.ts";
import { loadPeers } from "./peers/mod.ts";
import {
  formatGoals,
  formatSuite,
  reportRow,
  reportSuite,
  type RowReport,
  type SuiteReport,
} from "./report.ts";
import { suites } from "./suites/mod.ts";

const HISTORY = fileURLToPath(new URL("history.jsonl", import.meta.url));

const options = {
  json: { type: "boolean" },
  record: { type: "boolean" },
  python: { type: "string" },
  model: { type: "string" },
  train: { type: "string" },
  test: { type: "string" },
} as const;

await main();

async function main() {
  let arguments_;
  try {
    arguments_ = readArguments(process.argv.slice(2));
  } catch (error) {
    console.error(error instanceof Error ? error.message : String(error));
    process.exitCode = 2;
    return;
  }
  const { chosen, json, record, federation } = arguments_;
  // With --json nothing but the JSON goes to the standard output.
  const print = json ? console.error : console.log;
  using gpu = await openGpu({ powerPreference: "high-performance" });
  const complaints: string[] = [];
  const complain = (what: string) => {
    complaints.push(what);
    print(`! ${what}`);
  };
  const peers = await loadPeers(gpu.adapter.description, complain);
  const environment = describeEnvironment(gpu, peers);
  print(`${formatEnvironment(environment)}\n`);
  const reports: SuiteReport[] = [];
  for (const suite of chosen) {
    try {
      const rows = await measureRows(suite, {
        gpu,
        jax: peers.jax,
        tfjs: peers.tfjs,
        federation,
        complain,
      });
      const report = reportSuite(suite, rows, complaints);
      reports.push(report);
      print(`${formatSuite(report)}\n`);
    } catch (error) {
      // The other suites still have something to say.
      complain(`${suite.name} failed: ${error instanceof Error ? error.stack : String(error)}`);
      process.exitCode = 1;
    }
  }
  const result = { ...environment, suites: reports, complaints };
  if (reports.some(({ goal }) => goal !== null)) print(`${formatGoals(reports)}\n`);
  if (json) console.log(JSON.stringify(result, null, 2));
  if (record) await appendHistory(result);
  if (complaints.length > 0) {
    print(
      `NOT EVERYTHING WAS COMPARED:\n${complaints.map((each) => `! ${each}`).join("\n")}`,
    );
  }
}

/** Measures a suite, and shows on a terminal how far it is. */
async function measureRows(suite: Suite, context: BenchContext): Promise<RowReport[]> {
  const show = (line: string) => {
    if (process.stderr.isTTY) process.stderr.write(`\r${line}\x1b[K`);
  };
  const rows: RowReport[] = [];
  show(`${suite.name} …`);
  for await (const row of suite.rows(context)) {
    rows.push(reportRow(row, suite.subject));
    show(`${suite.name}: ${rows.length} ${rows.length === 1 ? "row" : "rows"} measured`);
  }
  show("");
  return rows;
}

/** @throws {TypeError} when an argument is unknown. */
function readArguments(
  args: readonly string[],
): { chosen: readonly Suite[]; json: boolean; record: boolean; federation: FederationOptions } {
  const { values, positionals } = parseArgs({
    args: [...args],
    options,
    allowPositionals: true,
  });
  const { json = false, record = false, ...federation } = values;
  if ((federation.train === undefined) !== (federation.test === undefined)) {
    throw new TypeError("Cannot use --train or --test alone: expected both, or none");
  }
  const unknown = positionals.find((name) => !suites.some((suite) => suite.name === name));
  if (unknown !== undefined) {
    throw new TypeError(
      `Cannot run suite ${unknown}: there are ${suites.map((suite) => suite.name).join(", ")}`,
    );
  }
  const chosen = positionals.length === 0 ? suites : suites.filter(({ name }) => positionals.includes(name));
  return { chosen, json, record, federation };
}

/** Adds one line to the record of earlier runs. */
async function appendHistory(entry: object): Promise<void> {
  const before = await readFile(HISTORY, "utf8").catch(
    (error: NodeJS.ErrnoException) => {
      if (error.code === "ENOENT") return "";
      throw error;
    },
  );
  await writeFileAtomic(HISTORY, `${before}${JSON.stringify(entry)}\n`);
}
