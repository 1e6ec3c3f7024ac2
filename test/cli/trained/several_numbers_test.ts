import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { Command } from "commander";
import { parseConfig } from "../../../src/experiment/config/parse_config.ts";
import { run } from "../../../src/cli/run.ts";
import { evaluate } from "../../../src/cli/trained/evaluate.ts";
import { exportAdapter } from "../../../src/cli/trained/export.ts";
import { mergeModel } from "../../../src/cli/trained/merge.ts";
import { predict } from "../../../src/cli/trained/predict.ts";
import { addReadingOptions, type ReadingFlags } from "../../../src/cli/trained/reading.ts";
import { writeTinyCheckpoint } from "../../support/tiny_checkpoint.ts";
import { KeepingReporter } from "../../experiment/trained/adapted_model.ts";

const folder = await mkdtemp(join(tmpdir(), "federa-numbers-"));
after(() => rm(folder, { recursive: true, force: true }));
const at = (name: string) => join(folder, name);
await writeTinyCheckpoint(at("bert"), { seed: 1 });
const rows = Array.from({ length: 12 }, (_, i) => ({
  text: `${i % 2 ? "win a prize" : "minutes of meeting"} ${i}`,
  valence: i % 2,
  arousal: (i % 3) / 2,
}));
const write = (name: string, lines: readonly object[]) =>
  writeFile(at(name), lines.map((line) => `${JSON.stringify(line)}\n`).join(""));
await write("columns.jsonl", rows);
await write("list.jsonl", rows.map(({ text, valence, arousal }) => ({ text, scores: [valence, arousal] })));

const reporter = new KeepingReporter();
const own = join(
  await run(
    parseConfig({
      name: "numbers",
      model: at("bert"),
      task: "regression",
      data: {
        kind: "files",
        train: at("columns.jsonl"),
        test: at("columns.jsonl"),
        columns: { value: ["valence", "arousal"] },
        validationShare: 0,
      },
      maxLength: 16,
      partition: { kind: "iid", numClients: 2 },
      methods: [{ method: "federa", learningRate: 0.01, rank: 2 }],
      rounds: 1,
      local: { steps: 1 },
      output: at("runs"),
    }),
    { reporter },
  ),
  "federa",
);

test("a run on several columns of numbers names its outputs after them", async () => {
  assert.ok(reporter.lines.some((line) => line.includes("regression of valence, arousal")));
  const [found] = await predict(own, ["win a prize"], { reporter });
  assert.deepEqual(Object.keys((found!.prediction as { values: object }).values), ["valence", "arousal"]);
});

test("evaluate() reads several numbers as the run did, by their names, or from the columns that are said", async () => {
  const { loss, scores } = await evaluate(own, { reporter, data: at("columns.jsonl") });
  const history = await readFile(join(own, "history.jsonl"), "utf8");
  assert.deepEqual(JSON.parse(history.trim().split("\n").at(-2)!).test, { loss, scores });
  const merged = at("merged");
  await mergeModel(own, { reporter, output: merged });
  const exported = at("exported");
  await exportAdapter(own, { reporter, output: exported, form: "original" });
  const others = [
    [merged, { data: at("columns.jsonl") }],
    [exported, { data: at("list.jsonl"), column: { value: "scores" } }],
  ] as const;
  for (const [model, options] of others) {
    const again = await evaluate(model, { reporter, ...options });
    assert.ok(Math.abs(again.loss - loss) <= 1e-5, `${model}: ${again.loss}, and ${loss}`);
  }
});

test("--column takes several columns of numbers one after the other", () => {
  const command = addReadingOptions(new Command());
  command.parse(["--column", "value=valence", "--column", "text=t", "--column", "value=arousal"], {
    from: "user",
  });
  assert.deepEqual(command.opts<ReadingFlags>().column, { value: ["valence", "arousal"], text: "t" });
});
