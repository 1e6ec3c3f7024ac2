import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import process from "node:process";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("../..", import.meta.url));

/** A process of the command. */
export interface Command {
  readonly child: ChildProcess;
  /** How it ended: a code, or null for a signal. */
  readonly code: Promise<number | null>;
  /** What it has said so far. */
  said(): string;
  /** Waits until it has said something. */
  says(text: string, seconds?: number): Promise<void>;
}

/** Options of {@linkcode federa}. */
export interface CommandOptions {
  readonly environment?: Readonly<Record<string, string>>;
}

/** Starts `federa` in a process of its own, whose software driver uses one thread. */
export function federa(args: readonly string[], { environment = {} }: CommandOptions = {}): Command {
  const child = spawn(process.execPath, ["--import", "./scripts/register.mjs", "src/cli/main.ts", ...args], {
    cwd: root,
    stdio: ["ignore", "pipe", "pipe"],
    env: { ...process.env, LP_NUM_THREADS: "1", ...environment },
  });
  const killed = () => child.kill("SIGKILL");
  process.once("exit", killed);
  let text = "";
  const listeners = new Set<() => void>();
  const hear = (part: string) => {
    text += part;
    for (const listener of listeners) listener();
  };
  child.stdout!.setEncoding("utf8").on("data", hear);
  child.stderr!.setEncoding("utf8").on("data", hear);
  const code = once(child, "close").then(([code]) => {
    process.off("exit", killed);
    hear("");
    return code as number | null;
  });
  return {
    child,
    code,
    said: () => text,
    async says(wanted, seconds = 60) {
      const limit = setTimeout(() => hear(""), seconds * 1000);
      const until = Date.now() + seconds * 1000;
      try {
        while (!text.includes(wanted)) {
          if (child.exitCode !== null || child.signalCode !== null || Date.now() >= until) {
            throw new Error(`Cannot find ${JSON.stringify(wanted)} in what federa ${args[0]} said:\n${text}`);
          }
          await new Promise<void>((resolve) => {
            const wake = () => {
              listeners.delete(wake);
              resolve();
            };
            listeners.add(wake);
          });
        }
      } finally {
        clearTimeout(limit);
      }
    },
  };
}
