import { createRequire } from "node:module";
import process from "node:process";

/** The version of this package, and that of the runtime, on which its numbers may depend. */
export interface Versions {
  readonly federa: string;
  /** Of Node, where that is what runs. */
  readonly node?: string;
  /** Of Deno, where that is what runs: the version of Node that it gives there is of no Node at all. */
  readonly deno?: string;
}

/** The versions of this package and of what runs it, Node or Deno. */
export function versions(): Versions {
  const { version } = createRequire(import.meta.url)("federa/package.json") as { version: string };
  const { node, deno } = process.versions;
  return { federa: version, ...(deno === undefined ? { node } : { deno }) };
}
