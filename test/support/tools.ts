import { existsSync } from "node:fs";
import { delimiter, join } from "node:path";
import process from "node:process";
import { root } from "./installed_package.ts";

/** Tools of development that a machine which only runs the project may lack. */
export type Tool = "git" | "npm" | "deno" | "typescript";

/** Why a test that needs these tools can't run, for its `skip`; false where all are there. */
export function without(...tools: Tool[]): string | false {
  const missing = tools.filter((tool) =>
    tool === "deno" || tool === "typescript" ? !existsSync(join(root, "node_modules", tool)) : !isOnPath(tool)
  );
  return missing.length > 0 && `there is no ${missing.join(" and no ")} here`;
}

function isOnPath(program: string): boolean {
  const endings = process.platform === "win32" ? [".exe", ".cmd"] : [""];
  return (process.env["PATH"] ?? "").split(delimiter)
    .some((folder) => endings.some((ending) => existsSync(join(folder, `${program}${ending}`))));
}
