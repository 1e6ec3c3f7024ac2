import { spawnSync } from "node:child_process";
import process from "node:process";

/** Runs a command as root, through sudo where this process isn't; its output goes to standard error. Gives whether it succeeded. */
export function asRoot(command: readonly string[]): boolean {
  const [program = "", ...args] = process.getuid?.() === 0 ? command : ["sudo", ...command];
  // apt's chatter goes to standard error: the standard output belongs to the command that runs afterwards.
  return spawnSync(program, args, { stdio: ["inherit", 2, 2] }).status === 0;
}

/** How commands run as root: directly, through sudo, or not at all. */
export type Privilege = "root" | "sudo" | "none";

/** How {@linkcode asRoot} would run a command, without asking a person who isn't there for a password. */
export function probePrivilege(): Privilege {
  if (process.getuid?.() === 0) return "root";
  if (succeeds("sudo", ["-n", "true"])) return "sudo";
  return process.stdin.isTTY && succeeds("sudo", ["--version"]) ? "sudo" : "none";
}

/** Whether a command exists and ends with 0; its output is dropped. */
export function succeeds(command: string, args: readonly string[]): boolean {
  return spawnSync(command, args, { stdio: "ignore" }).status === 0;
}
