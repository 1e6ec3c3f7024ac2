import { createRequire } from "node:module";
import process from "node:process";

/** The versions of this package and of Node, which its numbers may depend on. */
export function versions(): { federa: string; node: string } {
  const own = createRequire(import.meta.url)("federa/package.json") as { version: string };
  return { federa: own.version, node: process.versions.node };
}
