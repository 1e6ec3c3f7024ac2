import { readdirSync } from "node:fs";
import { availableParallelism } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { run } from "node:test";
import { spec } from "node:test/reporters";

/** Longest time for one test file, in milliseconds. */
const TIMEOUT = 600_000;

/**
 * Runs the test files whose path contains one of the command line's words, or all of them. A file is a process with
 * a software GPU of its own that uses every core: two of them fill a small machine, and more than four only
 * compete for memory.
 */
const words = process.argv.slice(2);
const files = readdirSync("test", { recursive: true, encoding: "utf8" })
  .filter((name) => name.endsWith("_test.ts"))
  .map((name) => join("test", name))
  .filter((path) => words.length === 0 || words.some((word) => path.includes(word)))
  .sort();
if (files.length === 0) {
  console.error(`Cannot run the tests: no file test/**/*_test.ts matches ${JSON.stringify(words)}`);
  process.exit(1);
}
const concurrency = Math.min(4, Math.max(2, availableParallelism()));
run({ files, concurrency, timeout: TIMEOUT })
  .on("test:fail", () => {
    process.exitCode = 1;
  })
  .compose(new spec())
  .pipe(process.stdout);
