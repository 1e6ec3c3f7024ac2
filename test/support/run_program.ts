import { spawn } from "node:child_process";
import process from "node:process";
import { text } from "node:stream/consumers";
import { denoEnvironment, denoPath } from "../../scripts/deno_command.ts";
import { root } from "./installed_package.ts";

/** Whether the tests run on Deno. */
export const onDeno = "deno" in process.versions;

/** Options of {@link runProgram}. */
export interface RunProgramOptions {
  /** Added to that of this process. */
  readonly environment?: Readonly<Record<string, string>>;
  /** Whether it runs on the project's Deno; by default it runs on what this process runs on. */
  readonly deno?: boolean;
}

/** What a process printed, once it has ended. */
export interface ProgramOutput {
  /** Null where it was stopped. */
  readonly status: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs the text of a module in a process of its own, for five minutes at most. It imports the sources as `./src/…`. */
export async function runProgram(program: string, options: RunProgramOptions = {}): Promise<ProgramOutput> {
  const { environment = {}, deno = onDeno } = options;
  const args = deno
    ? ["run", "-A", "--no-check", "--preload", "./scripts/register_deno.mjs", "-"]
    : ["--import", "./scripts/register.mjs", "--input-type=module", "-"];
  const child = spawn(deno ? denoPath : process.execPath, args, {
    cwd: root,
    env: { ...process.env, ...(deno && denoEnvironment), ...environment },
    timeout: 300_000,
  });
  child.stdin.end(program);
  const [status, stdout, stderr] = await Promise.all([
    new Promise<number | null>((resolve, reject) => child.on("error", reject).on("close", resolve)),
    text(child.stdout),
    text(child.stderr),
  ]);
  return { status, stdout, stderr };
}
