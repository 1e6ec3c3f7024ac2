import { randomBytes } from "node:crypto";
import { closeSync, fstatSync, openSync, readSync, unlinkSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { Buffer } from "node:buffer";

const standardError = 2;

/**
 * Runs a function whose native code prints useless lines to standard error, and drops those lines. All other lines are
 * printed when the function returns.
 *
 * Native code bypasses `process.stderr` and writes to the file descriptor, so the descriptor points to a file meanwhile.
 * Node can't duplicate a descriptor, so `ffi-rs` calls the C library. If that package is missing, and on systems other
 * than Linux, the function just runs.
 *
 * @param isNoise Whether to drop a line, given without its line break.
 */
export function withoutNoise<T>(work: () => T, isNoise: (line: string) => boolean): T {
  const redirection = redirect();
  if (redirection === undefined) return work();
  try {
    return work();
  } finally {
    const lines = redirection.restore().split(/(?<=\n)/);
    const rest = lines.filter((line) => !isNoise(line.replace(/\n$/, ""))).join("");
    if (rest !== "") process.stderr.write(rest);
  }
}

/** Redirects standard error to a file until `restore()`; undefined if that isn't possible. */
function redirect(): { restore(): string } | undefined {
  const libc = process.platform === "linux" ? loadLibc() : undefined;
  const saved = libc?.dup(standardError) ?? -1;
  if (libc === undefined || saved < 0) return undefined;
  const file = openUnnamed();
  if (file === undefined || libc.dup2(file, standardError) < 0) {
    closeSync(saved);
    return undefined;
  }
  return {
    restore() {
      libc.dup2(saved, standardError);
      closeSync(saved);
      const bytes = Buffer.alloc(fstatSync(file).size);
      readSync(file, bytes, 0, bytes.length, 0);
      closeSync(file);
      return bytes.toString();
    },
  };
}

/** Opens a temporary file that disappears when it is closed; undefined if none can be created. */
function openUnnamed(): number | undefined {
  const path = join(tmpdir(), `federa-stderr-${randomBytes(6).toString("hex")}`);
  try {
    const file = openSync(path, "wx+", 0o600);
    unlinkSync(path);
    return file;
  } catch {
    return undefined;
  }
}

interface Libc {
  dup(descriptor: number): number;
  dup2(from: number, to: number): number;
}

/** The C library of this process; undefined if the optional package that calls it is not installed. */
function loadLibc(): Libc | undefined {
  try {
    const { open, load, DataType } = createRequire(import.meta.url)("ffi-rs") as typeof import("ffi-rs");
    open({ library: "process", path: "" });
    const call = (funcName: string) => (...paramsValue: number[]) =>
      load({
        library: "process",
        funcName,
        retType: DataType.I32,
        paramsType: paramsValue.map(() => DataType.I32),
        paramsValue,
      });
    return { dup: call("dup"), dup2: call("dup2") };
  } catch {
    return undefined;
  }
}
