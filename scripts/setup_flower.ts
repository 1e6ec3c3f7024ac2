import { existsSync } from "node:fs";
import { mkdir, rm, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import process from "node:process";
import { execFileSync } from "node:child_process";
import { cacheFolder } from "../src/hub/cache_folder.ts";
import { succeeds } from "./as_root.ts";

/** The release that the tests run against. */
export const FLOWER = "1.42.0";
const PROGRAMS = ["python", "flwr", "flower-superlink", "flower-supernode"];
/** A Python that its release supports. */
const PYTHON_TEST = "import sys, ensurepip; sys.exit(sys.version_info < (3, 10))";

/** Options of {@linkcode setUpFlower}. */
export interface SetUpFlowerOptions {
  /** Receives one line when something is installed. */
  readonly report?: (line: string) => void;
}

/**
 * The folder of Flower's programs, `python` among them, for the tests against a real SuperLink: that of `FEDERA_FLOWER`, or one in the
 * user's cache, where Flower is installed by pip into an environment of its own (about 300 MB).
 *
 * @throws {Error} There is no Python for it, or pip failed; the message says what a person can do.
 */
export async function setUpFlower({ report }: SetUpFlowerOptions = {}): Promise<string> {
  const named = process.env["FEDERA_FLOWER"];
  if (named) {
    const missing = PROGRAMS.find((program) => !existsSync(join(named, program)));
    if (missing === undefined) return named;
    throw new Error(
      `Cannot use Flower: FEDERA_FLOWER names ${JSON.stringify(named)}, where there is no ${missing}; ` +
        "name the bin folder of an environment with flwr",
    );
  }
  const folder = join(cacheFolder(), `flower-${FLOWER}`);
  const [programs, mark] = [join(folder, "bin"), join(folder, "complete")];
  if (existsSync(mark)) return programs;
  const python = ["python3", "python"].find((program) => succeeds(program, ["-c", PYTHON_TEST]));
  if (python === undefined) {
    throw new Error(
      "Cannot install Flower: it needs Python 3.10 or newer with venv and pip; install that, or name the bin folder of an environment " +
        `with flwr ${FLOWER} in FEDERA_FLOWER`,
    );
  }
  report?.(`Installing Flower ${FLOWER} with pip, for tests against a real SuperLink`);
  // What an interrupted installation has left.
  await rm(folder, { recursive: true, force: true });
  await mkdir(dirname(folder), { recursive: true });
  run(python, ["-m", "venv", folder]);
  run(join(programs, "python"), [
    "-m",
    "pip",
    "install",
    "--quiet",
    "--disable-pip-version-check",
    `flwr==${FLOWER}`,
  ]);
  await writeFile(mark, "");
  return programs;
}

function run(program: string, parameters: string[]): void {
  try {
    execFileSync(program, parameters, { stdio: ["ignore", "ignore", "pipe"], encoding: "utf8" });
  } catch (error) {
    const said = String((error as { stderr?: unknown }).stderr ?? "").trim().split("\n").at(-1);
    throw new Error(
      `Cannot install Flower: ${program} ${parameters.join(" ")} failed${said ? `: ${said}` : ""}`,
    );
  }
}

if (process.argv[1] === import.meta.filename) {
  try {
    console.log(await setUpFlower({ report: (line) => console.error(line) }));
  } catch (error) {
    console.error(error instanceof Error ? error.message : error);
    process.exit(1);
  }
}
