import { spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";

/** What a process and all its descendants have used. */
export interface Usage {
  /** From start to end on the clock. */
  readonly seconds: number;
  /** User and system time of all of them. */
  readonly cpuSeconds: number;
  /** The most that they held at once: the sum of their proportional set sizes, in which shared pages count once. */
  readonly peakBytes: number;
}

/** Milliseconds between looks at the processes; what one does after the last look at it isn't counted. */
const INTERVAL = 100;
/** Looks between those at memory, which cost more. */
const LOOKS_A_MEASURE = 4;
/** Kernel ticks a second, on every Linux that Node runs on. */
const TICKS = 100;

/**
 * Runs a command to its end.
 *
 * @returns what it used, and its standard output.
 * @throws {Error} with the end of its error output when it fails.
 */
export async function measureProcess(
  command: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<{ readonly usage: Usage; readonly output: string }> {
  const start = performance.now();
  const child = spawn(command[0]!, command.slice(1), {
    env,
    stdio: ["ignore", "pipe", "pipe"],
  });
  const family = new Family(child.pid!);
  const timer = setInterval(() => family.look(), INTERVAL);
  let output = "";
  let errors = "";
  child.stdout.on("data", (chunk) => output += chunk);
  child.stderr.on("data", (chunk) => errors = (errors + chunk).slice(-4000));
  const [code, signal] = await once(child, "close").finally(() => clearInterval(timer));
  const seconds = (performance.now() - start) / 1000;
  if (code !== 0) {
    throw new Error(
      `${command.join(" ")} ended with ${code ?? signal}:\n${errors}`,
    );
  }
  return {
    usage: {
      seconds,
      cpuSeconds: family.cpuSeconds,
      peakBytes: family.peakBytes,
    },
    output,
  };
}

/** A process and its descendants, those included that lost their parent. */
class Family {
  peakBytes = 0;
  /** Ticks of each member, by process number and start. */
  readonly #ticks = new Map<string, number>();
  readonly #members: Set<number>;
  #looks = 0;

  constructor(pid: number) {
    this.#members = new Set([pid]);
  }

  get cpuSeconds(): number {
    return [...this.#ticks.values()].reduce((sum, ticks) => sum + ticks, 0) /
      TICKS;
  }

  look(): void {
    const alive = processes();
    for (const pid of this.#members) {
      if (!alive.has(pid)) this.#members.delete(pid);
    }
    for (let grown = true; grown;) {
      grown = false;
      for (const [pid, { parent }] of alive) {
        if (this.#members.has(pid) || !this.#members.has(parent)) continue;
        this.#members.add(pid);
        grown = true;
      }
    }
    for (const pid of this.#members) {
      const { start, ticks } = alive.get(pid)!;
      this.#ticks.set(`${pid} ${start}`, ticks);
    }
    if (this.#looks++ % LOOKS_A_MEASURE === 0) {
      const bytes = [...this.#members].reduce(
        (sum, pid) => sum + residentBytes(pid),
        0,
      );
      this.peakBytes = Math.max(this.peakBytes, bytes);
    }
  }
}

interface Stat {
  readonly parent: number;
  readonly ticks: number;
  readonly start: string;
}

/** All processes that there are, by number. */
function processes(): Map<number, Stat> {
  const found = new Map<number, Stat>();
  for (const name of readdirSync("/proc")) {
    if (!/^\d+$/.test(name)) continue;
    const text = readOrEmpty(`/proc/${name}/stat`);
    if (text === "") continue;
    // The name, in brackets, may hold anything; what follows is numbered from 3 in proc(5).
    const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
    found.set(Number(name), {
      parent: Number(fields[1]),
      ticks: Number(fields[11]) + Number(fields[12]),
      start: fields[19]!,
    });
  }
  return found;
}

function residentBytes(pid: number): number {
  const [, kilobytes = "0"] = /^Pss:\s+(\d+) kB/m.exec(readOrEmpty(`/proc/${pid}/smaps_rollup`)) ?? [];
  return Number(kilobytes) * 1024;
}

/** A file of a process; empty once that has ended. */
function readOrEmpty(path: string): string {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return "";
  }
}
