import { availableParallelism } from "node:os";
import process from "node:process";
import { run } from "node:test";
import { spec } from "node:test/reporters";
import { parseArgs } from "node:util";
import { testFiles } from "./test_files.ts";

/** Longest time for one test file, in milliseconds. */
const TIMEOUT = 600_000;
/** The same for `--long`. */
const LONG_TIMEOUT = 3_600_000;
/** Mutated files of each format with `--long`, unless FEDERA_FUZZ_RUNS says otherwise. */
const LONG_FUZZ_RUNS = "10000";

/**
 * Runs the test files whose path contains one of the command line's words, or all of them. Files named `*_long_test.ts` run with
 * `--long` alone, and then with them the tests that mutate files, on more of these. `--name` runs those tests alone whose name it matches.
 *
 * A file is a process with a software GPU of its own that uses every core: two of them fill a small machine, and more than four only
 * compete for memory.
 */
const { values: { long, name }, positionals: words } = parseArgs({
  options: { long: { type: "boolean", default: false }, name: { type: "string" } },
  allowPositionals: true,
});
const files = testFiles(words, { long });
if (files.length === 0) {
  const pattern = long ? "test/**/*_long_test.ts or test/fuzz/*_test.ts" : "test/**/*_test.ts";
  console.error(`Cannot run the tests: no file ${pattern} matches ${JSON.stringify(words)}`);
  process.exit(1);
}
if (long) process.env["FEDERA_FUZZ_RUNS"] ??= LONG_FUZZ_RUNS;
const concurrency = Math.min(4, Math.max(2, availableParallelism()));
run({
  files,
  concurrency,
  timeout: long ? LONG_TIMEOUT : TIMEOUT,
  ...(name !== undefined && { testNamePatterns: [new RegExp(name)] }),
})
  .on("test:fail", () => {
    process.exitCode = 1;
  })
  .compose(new spec())
  .pipe(process.stdout);
