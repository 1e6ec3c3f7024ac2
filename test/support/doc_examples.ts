import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";

/** An example of a doc comment. */
export interface DocExample {
  /** Path of the file, from the folder that was searched. */
  readonly file: string;
  /** Line of its first statement, from 1. */
  readonly line: number;
  readonly code: string;
}

/** A statement of an example, and what a comment behind it says that it gives. */
export interface DocStatement {
  readonly code: string;
  readonly remark: string | undefined;
}

/** The examples in TypeScript of a folder's doc comments, but for those that are marked `no-run`. */
export function docExamples(folder: string): DocExample[] {
  const names = readdirSync(folder, { recursive: true, encoding: "utf8" })
    .filter((name) => name.endsWith(".ts")).sort();
  return names.flatMap((file) => {
    const text = readFileSync(join(folder, file), "utf8");
    return [...text.matchAll(/^ *\* ```ts *\n([\s\S]*?)^ *\* ```$/gm)].map((match) => ({
      file,
      line: text.slice(0, match.index).split("\n").length + 1,
      code: match[1]!.replaceAll(/^ *\* ?/gm, ""),
    }));
  });
}

/** The statements of an example, each of which ends with a semicolon at the end of its line or before a comment. */
export function statementsOf(code: string): DocStatement[] {
  const statements: DocStatement[] = [];
  let open: string[] = [];
  for (const line of code.split("\n")) {
    const [before, remark] = partsOf(line);
    const last = statements.at(-1);
    if (before.trim() === "" && open.length === 0) {
      // A comment of its own goes on with the one before, or introduces what follows.
      if (remark !== undefined && last) {
        statements[statements.length - 1] = {
          ...last,
          remark: [last.remark ?? "", remark].join("\n").trim(),
        };
      }
      continue;
    }
    open.push(before);
    const text = open.join("\n");
    if (!text.endsWith(";") || !isBalanced(text)) continue;
    statements.push({ code: text, remark });
    open = [];
  }
  if (open.length > 0) statements.push({ code: open.join("\n"), remark: undefined });
  return statements;
}

/** A line of code and the comment at its end. */
function partsOf(line: string): [code: string, remark: string | undefined] {
  // Two slashes between quotation marks begin none.
  const [, code, remark] =
    /^((?:[^"'`/]|"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`|\/(?!\/))*?)\s*\/\/ (.*)$/
      .exec(line) ?? [undefined, line, undefined];
  return [code!, remark];
}

function isBalanced(text: string): boolean {
  const bare = text.replaceAll(/"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|`(?:\\.|[^`\\])*`/g, "");
  const count = (sign: RegExp) => bare.match(sign)?.length ?? 0;
  return count(/[([{]/g) === count(/[)\]}]/g);
}

/** The values that a remark lists, as `[1, 2]` or `1, 2`; undefined where it says something else. */
export function valuesOf(remark: string): unknown[] | undefined {
  try {
    return new Function(`"use strict"; return [${remark}];`)() as unknown[];
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof ReferenceError) return undefined;
    throw error;
  }
}
