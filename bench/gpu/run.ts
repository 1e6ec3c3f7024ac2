// Everything that is worth knowing of a graphics processor, in one run of less than eight minutes:
//   npm run bench:gpu -- [--out FILE] [--quick] [--seconds N] [--tests WORD]... [tests] [STAGE]...
// See bench/README.md.
import { spawnSync } from "node:child_process";
import { readFileSync } from "node:fs";
import process from "node:process";
import { parseArgs } from "node:util";
import { testFiles } from "../../scripts/test_files.ts";
import { writeFileAtomic } from "../../src/data/files/write_file.ts";
import type { Progress } from "./measure.ts";
import { measureStages, noTime, probe } from "./measuring.ts";
import { describeMachine, failuresOf, formatReport, type GpuReport, type StageReport } from "./report.ts";
import { wrongChecks } from "./row.ts";
import { stageSeconds } from "./stages/mod.ts";
import { byWorth, concurrencyFor, runTestFiles } from "./tests.ts";

/** For everything, the report included. */
const defaultSeconds = 465;
/** The share of it that all tests may take, and the seconds of one file of them. */
const testShare = 0.52;
const testFileSeconds = 90;
/** Kept for the report, and not enough for a stage. */
const reserve = 10;
/** A few files, to try the script. */
const quickTests = ["engine/ops/matmul/matmul_plan", "engine/gpu/device", "engine/linalg/qr"];

const { values: options, positionals } = parseArgs({
  options: {
    out: { type: "string", default: "bench-gpu.json" },
    quick: { type: "boolean", default: false },
    seconds: { type: "string", default: String(defaultSeconds) },
    tests: { type: "string", multiple: true, default: [] },
  },
  allowPositionals: true,
});
const start = performance.now();
const elapsed = () => (performance.now() - start) / 1000;
const left = () => Number(options.seconds) - reserve - elapsed();

const unknown = positionals.find((name) => name !== "tests" && !(name in stageSeconds));
if (unknown !== undefined || !(Number(options.seconds) > reserve)) {
  console.error(
    unknown !== undefined
      ? `Cannot run ${unknown}: there are tests, ${Object.keys(stageSeconds).join(", ")}`
      : `Cannot run for ${options.seconds} seconds: expected more than ${reserve}`,
  );
  process.exit(2);
}
const isChosen = (name: string) => positionals.length === 0 || positionals.includes(name);

const versionOf = (path: string) =>
  (JSON.parse(readFileSync(new URL(`../../${path}`, import.meta.url), "utf8")) as { version: string })
    .version;
const report: GpuReport = {
  date: new Date().toISOString(),
  arguments: process.argv.slice(2),
  machine: describeMachine(),
  versions: {
    federa: versionOf("package.json"),
    webgpu: versionOf("node_modules/webgpu/package.json"),
    node: process.versions.node,
  },
  driver: driverLine(),
  adapter: null,
  ceilings: null,
  torch: null,
  tests: null,
  stages: {},
  seconds: 0,
  failures: [],
};
let saving = Promise.resolve();
const chosen = Object.keys(stageSeconds).filter(isChosen);
const measuring = { quick: options.quick, secondsFor, onProgress };

await probe(measuring);
await save();
if (isChosen("tests")) await runTests();
await measureStages(chosen, measuring);
await save();
console.log(`\n${formatReport(report)}\n${options.out} has the whole`);
process.exitCode = report.failures.length > 0 ? 1 : 0;

async function runTests(): Promise<void> {
  const begin = elapsed();
  const concurrency = concurrencyFor(report.adapter?.["class"] === "gpu" ? "gpu" : "cpu");
  const words = options.quick && options.tests.length === 0 ? quickTests : options.tests;
  const files = byWorth(testFiles(words));
  const tests: NonNullable<GpuReport["tests"]> = { seconds: 0, concurrency, files: [] };
  report.tests = tests;
  let saved = performance.now();
  await runTestFiles(files, {
    seconds: Math.min(testShare * Number(options.seconds), left()),
    fileSeconds: testFileSeconds,
    concurrency,
    onFile: (file) => {
      tests.files.push(file);
      tests.seconds = elapsed() - begin;
      if (file.outcome !== "passed" && file.outcome !== "not run") {
        console.log(
          `${file.outcome}: ${file.file} ${file.failures.map(({ name }) => `\n  ${name}`).join("")}`,
        );
      }
      if (performance.now() - saved < 5000) return;
      saved = performance.now();
      void save();
    },
  });
  await save();
  const passed = tests.files.filter(({ outcome }) => outcome === "passed").length;
  console.log(`tests: ${passed} of ${files.length} files passed, ${tests.seconds.toFixed(0)} s`);
}

/** Seconds for a stage: its own, or what is left. */
function secondsFor(stage: string): number {
  return Math.max(0, Math.min(stageSeconds[stage]!, left()));
}

async function onProgress(progress: Progress): Promise<void> {
  if (progress.type === "ready") {
    const { adapter, ceilings } = progress;
    Object.assign(report, { adapter, ceilings: report.ceilings ?? ceilings });
    return;
  }
  if (progress.type === "torch") {
    report.torch = progress.torch;
    return;
  }
  const { stage: name } = progress;
  const stage: StageReport = report.stages[name] ??= {
    status: "running",
    // The time of its beginning, until it ends.
    seconds: elapsed(),
    rows: [],
  };
  if (progress.type === "row") {
    stage.rows.push(progress.row);
    const wrong = wrongChecks(progress.row).map(({ what }) => what);
    console.log(`${name}: ${progress.row.name}${wrong.length > 0 ? `: WRONG ${wrong.join(", ")}` : ""}`);
  } else if (progress.type === "end") {
    stage.seconds = elapsed() - stage.seconds;
    const { error } = progress;
    stage.status = error === undefined
      ? "done"
      : error === noTime
      ? "no time"
      : error.startsWith("stopped")
      ? "stopped"
      : "failed";
    if (error !== undefined) stage.error = error;
  }
  await save();
}

function save(): Promise<void> {
  report.seconds = elapsed();
  report.failures = failuresOf(report);
  const text = `${JSON.stringify(report, null, 1)}\n`;
  return saving = saving.then(() => writeFileAtomic(options.out, text));
}

/** Name, driver and clocks of the graphics card, where its own tool is there. */
function driverLine(): string | null {
  const fields = "name,driver_version,clocks.max.sm,clocks.max.memory,memory.total,power.limit";
  const { status, stdout } = spawnSync("nvidia-smi", [`--query-gpu=${fields}`, "--format=csv,noheader"], {
    encoding: "utf8",
  });
  return status === 0 ? stdout.trim().split("\n")[0]! : null;
}
