import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { transform } from "esbuild";
import { root } from "./installed_package.ts";

/** A fenced block of a page. */
export interface ReadmeBlock {
  readonly language: string;
  readonly code: string;
}

/** The fenced blocks of the README, or of another page, in order. */
export async function readmeBlocks(page = "README.md"): Promise<ReadmeBlock[]> {
  const text = await readFile(join(root, page), "utf8");
  return [...text.matchAll(/^```(\w+)\n([\s\S]*?)^```$/gm)].map(([, language, code]) => ({
    language: language!,
    code: code!,
  }));
}

/** An example in TypeScript as the JavaScript module that it is without its types. */
export async function withoutTypes(code: string): Promise<string> {
  return (await transform(code, { loader: "ts", target: "es2024" })).code;
}
