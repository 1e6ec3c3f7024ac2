import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { TestContext } from "node:test";
import { writeTinyCheckpoint } from "./tiny_checkpoint.ts";

/** Twelve texts of two classes. */
export const tinyExamples = Array.from({ length: 12 }, (_, i) => ({
  text: i % 3 === 0 ? `win a free prize number ${i}` : `minutes of meeting ${i}`,
  label: i % 3 === 0 ? "spam" : "ham",
  sender: `sender ${i % 4}`,
}));

/** A configuration of three clients on a tiny BERT, which is over within a second. */
export const tinyBert = {
  name: "tiny",
  model: "bert",
  data: { kind: "files", train: "train.jsonl", test: "test.jsonl", validationShare: 0 },
  maxLength: 8,
  partition: { kind: "iid", numClients: 3 },
  methods: [{ method: "fedit", learningRate: 0.01, rank: 2 }],
  rounds: 2,
  local: { steps: 1 },
  batchSize: 2,
};

/** A folder with a tiny checkpoint, examples and `config.json` for them, removed after the test. */
export async function tinyProject(t: TestContext, config: object = tinyBert): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), "federa-cli-"));
  t.after(() => rm(folder, { recursive: true, force: true }));
  await writeTinyProject(folder, config);
  return folder;
}

/** Writes a tiny checkpoint, examples and `config.json` for them into a folder. */
export async function writeTinyProject(folder: string, config: object): Promise<void> {
  const lines = (rows: readonly object[]) => rows.map((row) => `${JSON.stringify(row)}\n`).join("");
  await writeTinyCheckpoint(join(folder, "bert"), { seed: 1 });
  await writeFile(join(folder, "train.jsonl"), lines(tinyExamples));
  await writeFile(join(folder, "test.jsonl"), lines(tinyExamples.slice(0, 4)));
  await writeFile(join(folder, "unknown.jsonl"), lines([{ text: "?", label: "phishing" }]));
  await writeFile(join(folder, "config.json"), JSON.stringify({ output: join(folder, "runs"), ...config }));
}
