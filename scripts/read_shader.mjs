import { readFileSync } from "node:fs";
import { dirname, join } from "node:path";

/**
 * Reads a `.wgsl` file with what it includes. A line `//@include "PATH"`, the path being relative to the file, becomes the
 * text of that file; one that is included from several places comes once, at the first of them. Their order doesn't matter
 * to WGSL. Lines `//@from FILE LINE` say where the line after them stands, for the messages of `expandShader`.
 */
export function readShader(path, seen = new Set()) {
  seen.add(path);
  const from = (line) => `//@from ${nameOf(path)} ${line}`;
  const text = [from(1)];
  for (const [i, line] of readFileSync(path, "utf8").split("\n").entries()) {
    const [, included] = /^\s*\/\/@include "([^"]+)"\s*$/.exec(line) ?? [];
    if (included === undefined) {
      text.push(line);
      continue;
    }
    const target = join(dirname(path), included);
    if (!seen.has(target)) {
      try {
        text.push(readShader(target, seen));
      } catch (cause) {
        if (cause.path !== target) throw cause;
        throw new Error(`Cannot include ${target} at ${nameOf(path)}:${i + 1}: ${cause.message}`, { cause });
      }
    }
    text.push(from(i + 2));
  }
  return text.join("\n");
}

/** Lets esbuild import `.wgsl` files as text, by {@linkcode readShader}. */
export const shaders = {
  name: "shaders",
  setup(build) {
    build.onLoad({ filter: /\.wgsl$/ }, ({ path }) => ({ contents: readShader(path), loader: "text" }));
  },
};

/** A shader's path below the folder of all of them. */
function nameOf(path) {
  return path.replaceAll("\\", "/").replace(/^.*\/shaders\//, "");
}
