import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { bundle } from "../bundle.ts";
import type { Suite } from "../contender.ts";

const program = new URL("../startup/first_step.ts", import.meta.url);
const alternations = 7;
const goalSeconds = 3;

/** Processes from their start to the first finished step, with an empty cache of the driver's and with a full one. */
export const startupSuite: Suite = {
  name: "startup",
  title: "from the start of a process to its first finished LoRA step of the demonstration's model",
  subject: "warm",
  goal: {
    what: `at most ${goalSeconds} s with a warm driver cache`,
    check: ({ rows }) => {
      const seconds = rows[0]!.medians["warm"]! / 1000;
      const cold = rows[0]!.medians["cold"]! / 1000;
      return {
        measured: `${seconds.toFixed(1)} s, cold ${cold.toFixed(1)} s`,
        holds: seconds <= goalSeconds,
      };
    },
  },
  async *rows() {
    const path = await bundle(program, "first_step");
    const samples = { cold: [] as number[], warm: [] as number[] };
    for (let i = 0; i < alternations; i++) {
      const folder = await mkdtemp(join(tmpdir(), "federa-startup-"));
      try {
        samples.cold.push(await timeFirstStep(path, folder));
        samples.warm.push(await timeFirstStep(path, folder));
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    }
    yield { name: "first step", samples };
  },
};

/** Milliseconds until a new process says that it has finished a step; the driver's cache of shaders is in `folder`. */
async function timeFirstStep(path: string, folder: string): Promise<number> {
  const start = performance.now();
  const process_ = spawn(process.execPath, [path], {
    // The names that Mesa and NVIDIA's driver know. Elsewhere both are warm.
    env: { ...process.env, MESA_SHADER_CACHE_DIR: folder, __GL_SHADER_DISK_CACHE_PATH: folder },
    stdio: ["ignore", "pipe", "pipe"],
  });
  let errors = "";
  process_.stderr.on("data", (chunk) => errors += chunk);
  let finished: number | undefined;
  process_.stdout.once("data", () => finished = performance.now());
  const [code] = await once(process_, "exit");
  if (code !== 0 || finished === undefined) {
    throw new Error(`Cannot time the first step: its process ended with exit code ${code}: ${errors}`);
  }
  return finished - start;
}
