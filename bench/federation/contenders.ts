import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import type { PreparedJob, Work } from "./prepare_job.ts";
import { measureProcess, type Usage } from "./processes.ts";

/** Loss and accuracy on the test set. */
export interface Scores {
  readonly loss: number;
  readonly accuracy: number;
}

/** What a contender says of a federated job. */
export interface Trained {
  /** Only what the contender itself has counted. */
  readonly work: Partial<Work>;
  readonly before: Scores;
  readonly after: Scores;
}

/** A program that does the jobs, each time in a process of its own. */
export interface Program {
  readonly name: string;
  train(
    job: PreparedJob,
  ): Promise<{ readonly usage: Usage; readonly result: Trained }>;
  /** Class probabilities of the test set's texts, or of one text; undefined where a program only trains. */
  predict?(
    job: PreparedJob,
    text?: string,
  ): Promise<
    { readonly usage: Usage; readonly result: readonly (readonly number[])[] }
  >;
}

/** The command line of federa, as users run it. */
export function federa(command: string): Program {
  const run = (args: readonly string[]) => measureProcess([process.execPath, command, ...args], process.env);
  return {
    name: "federa",
    async train({ config, folder }) {
      const { usage } = await run([
        "run",
        config,
        "--output",
        join(folder, "runs"),
      ]);
      const last = (await readdir(join(folder, "runs"))).sort().at(-1)!;
      const summary = JSON.parse(
        await readFile(join(folder, "runs", last, "summary.json"), "utf8"),
      );
      const [{ trainableParameters, before, after }] = summary.methods;
      const scores = (
        { loss, scores: { accuracy } }: {
          loss: number;
          scores: { accuracy: number };
        },
      ) => ({
        loss,
        accuracy,
      });
      return {
        usage,
        result: {
          work: { trainable: trainableParameters },
          before: scores(before),
          after: scores(after),
        },
      };
    },
    async predict({ model, test }, text) {
      const asked = text === undefined ? ["--file", test] : [text];
      const { usage, output } = await run([
        "predict",
        "--adapter",
        model,
        "--json",
        ...asked,
      ]);
      const lines = output.trim().split("\n").map((line) =>
        JSON.parse(line) as {
          prediction: { probabilities: Record<string, number> };
        }
      );
      return {
        usage,
        result: lines.map(({ prediction }) => Object.values(prediction.probabilities)),
      };
    },
  };
}

/** The Python programs beside this file. */
export function pythonPeers(python: string): Program[] {
  const run = async (script: string, args: readonly string[]) => {
    const path = fileURLToPath(new URL(script, import.meta.url));
    const { usage, output } = await measureProcess(
      [python, path, ...args],
      peerEnvironment(),
    );
    return {
      usage,
      result: JSON.parse(
        output.trim().split("\n").findLast((line) => /^[[{]/.test(line))!,
      ),
    };
  };
  const trainer = (script: string) => async ({ plan }: PreparedJob) => {
    const { usage, result: { before, after, ...work } } = await run(script, [
      plan,
    ]);
    return { usage, result: { work, before, after } };
  };
  return [
    {
      name: "PyTorch + PEFT",
      train: trainer("pytorch_peft.py"),
      predict: ({ plan }, text) => run("predict.py", [plan, ...text === undefined ? [] : [text]]),
    },
    { name: "Flower", train: trainer("flower_simulation.py") },
  ];
}

/**
 * One thread a process, unless the user says otherwise: with two, PyTorch takes 1.4 times the CPU time for the same time on the clock,
 * and far more of both where other processes are at work.
 */
function peerEnvironment(): NodeJS.ProcessEnv {
  return { OMP_NUM_THREADS: "1", ...process.env };
}
