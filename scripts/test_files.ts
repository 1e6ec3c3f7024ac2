import { readdirSync } from "node:fs";
import { join } from "node:path";

/**
 * Paths of the test files, sorted. Files named `*_long_test.ts` run with `long` alone, and then with them the tests that mutate
 * files.
 *
 * @param words only files whose path contains one of them, if there are any.
 */
export function testFiles(words: readonly string[], { long = false } = {}): string[] {
  const isChosen = (path: string) =>
    path.endsWith("_long_test.ts") ? long : !long || path.startsWith(join("test", "fuzz"));
  return readdirSync("test", { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith("_test.ts"))
    .map((name) => join("test", name))
    .filter((path) => isChosen(path) && (words.length === 0 || words.some((word) => path.includes(word))))
    .sort();
}
