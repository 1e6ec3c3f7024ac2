import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { bundle } from "../bundle.ts";
import type { BenchContext, Row, Suite } from "../contender.ts";
import { otherPredictions, otherTraining } from "../federation/agreement.ts";
import { federa, pythonPeers } from "../federation/contenders.ts";
import { type Job, jobs } from "../federation/jobs.ts";
import { prepareJob } from "../federation/prepare_job.ts";
import type { Usage } from "../federation/processes.ts";
import { writeStandIn } from "../federation/stand_in.ts";

/** Each program does a job so often, unless its seconds are over. */
const SAMPLES = 3;
const SECONDS = 30;
/** Python with what `federation/requirements.txt` lists, where bench/README.md puts it. */
export const defaultPython = fileURLToPath(
  new URL("../federation/.venv/bin/python", import.meta.url),
);
const command = new URL("../../src/cli/main.ts", import.meta.url);

const units = [
  { name: "CPU s", of: ({ cpuSeconds }: Usage) => cpuSeconds },
  { name: "s", of: ({ seconds }: Usage) => seconds },
  { name: "MB", of: ({ peakBytes }: Usage) => peakBytes / 1e6 },
];

/** Federations and predictions as users run them, beside what else they would pick. */
export const federationSuite: Suite = {
  name: "federation",
  title: "whole jobs, each in a process of its own: CPU time, time, peak memory of all its processes",
  subject: "federa",
  unit: "",
  goal: {
    what: "the same work and outcome as PyTorch and Flower",
    check: ({ rows }) => ({
      measured: `their CPU time over ours: ${
        rows.filter(({ name }) => name.endsWith(" CPU s")).map((
          { name, ratios },
        ) =>
          [
            name.replace(/,.*/, ""),
            ...Object.values(ratios).map((ratio) => `${ratio.toFixed(2)}×`),
          ].join(" ")
        ).join(", ")
      }`,
      holds: rows.every(({ figures, ratios }) =>
        figures!["disagreements"] === 0 && Object.keys(ratios).length > 0
      ),
    }),
  },
  async *rows(context) {
    if (process.platform !== "linux") {
      throw new Error(
        "Cannot measure whole jobs: what processes use is read from Linux's /proc",
      );
    }
    const folder = await mkdtemp(join(tmpdir(), "federa-federation-"));
    try {
      yield* rowsIn(folder, context);
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  },
};

async function* rowsIn(
  folder: string,
  { gpu, federation, complain }: BenchContext,
): AsyncGenerator<Row> {
  const { python = defaultPython, model, train, test } = federation;
  const standIn = model === undefined || train === undefined ? await writeStandIn(folder) : undefined;
  const sources = {
    model: model ?? standIn!.model,
    train: train ?? standIn!.train,
    test: test ?? standIn!.test,
  };
  const ours = federa(await bundle(command, "federa"));
  const isInstalled = existsSync(python);
  if (!isInstalled) {
    complain(
      `PyTorch and Flower have no times: there is no ${python}; bench/README.md says how to install them`,
    );
  }
  const programs = [ours, ...isInstalled ? pythonPeers(python) : []];

  for (const job of jobs) {
    const prepare = (part: Job) => prepareJob(gpu, part, { sources, folder: join(folder, part.name) });
    const prepared = await prepare(job);
    // Compiles federa's kernels.
    await ours.train(
      await prepare({
        ...job,
        name: `${job.name}-warm-up`,
        rounds: 1,
        steps: 1,
      }),
    );
    yield* measureTask(
      job.title,
      programs.map(({ name, train }) => ({ name, run: () => train(prepared) })),
      {
        complain,
        compare: (theirs, own) =>
          otherTraining(theirs, own, {
            work: prepared.work,
            numTests: job.numTests,
          }),
      },
    );
    if (job !== jobs[0]) continue;
    for (
      const [title, ...texts] of [["predict 700 texts"], [
        "predict 1 text",
        "play some jazz",
      ]] as const
    ) {
      const predicting = programs.flatMap(({ name, predict }) =>
        predict === undefined ? [] : [{ name, run: () => predict(prepared, ...texts) }]
      );
      await ours.predict!(prepared, ...texts);
      yield* measureTask(title, predicting, {
        complain,
        compare: otherPredictions,
      });
    }
  }
}

interface Measured<T> {
  readonly usage: Usage;
  readonly result: T;
}

interface MeasureTaskOptions<T> {
  /** Lists what is wrong with a peer's result beside ours. */
  compare(theirs: T, ours: T): string[];
  complain(what: string): void;
}

/** Lets programs do a task in turn, ours first, and compares what they come to. */
async function* measureTask<T>(
  title: string,
  programs: readonly { readonly name: string; run(): Promise<Measured<T>> }[],
  { compare, complain }: MeasureTaskOptions<T>,
): AsyncGenerator<Row> {
  const usages = new Map<string, Usage[]>(
    programs.map(({ name }) => [name, []]),
  );
  const problems = new Set<string>();
  const start = performance.now();
  for (
    let i = 0;
    i < SAMPLES && performance.now() - start < SECONDS * 1000;
    i++
  ) {
    let ours: T | undefined;
    for (const { name, run } of programs) {
      const { usage, result } = await run();
      usages.get(name)!.push(usage);
      ours ??= result;
      for (const problem of compare(result, ours)) {
        problems.add(`${title}: ${name}: ${problem}`);
      }
    }
  }
  for (const problem of problems) complain(problem);
  for (const unit of units) {
    yield {
      name: `${title}, ${unit.name}`,
      samples: Object.fromEntries(
        Array.from(usages, ([name, list]) => [name, list.map(unit.of)]),
      ),
      figures: { disagreements: problems.size },
    };
  }
}
