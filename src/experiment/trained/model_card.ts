import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { errorCode } from "../../data/files/error_code.ts";
import { writeFileAtomic } from "../../data/mod.ts";
import { type PeftExport, problemTypeOf } from "../../federa/mod.ts";
import type { Task } from "../../tasks/mod.ts";
import { TASK_NOTE } from "./task_note.ts";

const NAME = "README.md";

/** Marks a card as ours, which may be overwritten. */
const SIGN = "An adapter trained by federa";

/**
 * Writes the model card of an exported adapter: how to load it in Python, with what an `adapter_config.json` has no place for.
 *
 * @returns its path; undefined if there is a `README.md` of another origin, which is kept.
 */
export async function writeModelCard(
  folder: string,
  { adapter, task }: { readonly adapter: PeftExport; readonly task: Task },
): Promise<string | undefined> {
  const path = join(folder, NAME);
  const found = await readFile(path, "utf8").catch((error) => {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  });
  if (found !== undefined && !found.includes(SIGN)) return undefined;
  await writeFileAtomic(path, modelCard(adapter, task));
  return path;
}

/** The text of a model card. JSON's strings are strings of YAML and of Python, too. */
function modelCard({ config, sentenceHead }: PeftExport, task: Task): string {
  const { base_model_name_or_path: name, revision } = config;
  const base = JSON.stringify(name);
  return [
    "---",
    `base_model: ${base}`,
    "library_name: peft",
    "tags:",
    `- ${JSON.stringify(`base_model:adapter:${name}`)}`,
    "- lora",
    "---",
    "",
    `${SIGN}, for ${task.kind} with ${task.labels.length} outputs.`,
    "",
    "```python",
    ...sentenceHead === undefined ? loadByPeft(base, revision, task) : [
      "from sentence_transformers import SentenceTransformer",
      "",
      'folder = "."  # where this file is',
      "outputs = SentenceTransformer(folder).encode(texts)",
    ],
    "```",
    "",
  ].join("\n");
}

/** @param base in quotation marks. */
function loadByPeft(base: string, revision: string | null, task: Task): string[] {
  const problemType = problemTypeOf(task);
  const ofLabels = task.kind === "question-answering" ? [] : [
    "num_labels=len(labels)",
    "id2label=dict(enumerate(labels))",
    "label2id={label: i for i, label in enumerate(labels)}",
    ...problemType === undefined ? [] : [`problem_type=${JSON.stringify(problemType)}`],
  ];
  const atRevision = revision === null ? [] : [`revision=${JSON.stringify(revision)}`];
  return [
    ...ofLabels.length > 0 ? ["import json", ""] : [],
    "from peft import PeftModel",
    `from transformers import ${classOf(task)}, AutoTokenizer`,
    "",
    'folder = "."  # where this file is',
    ...ofLabels.length > 0
      ? [
        `with open(f"{folder}/${TASK_NOTE}", encoding="utf-8") as file:`,
        `    labels = json.load(file)["labels"]`,
      ]
      : [],
    `base = ${classOf(task)}.from_pretrained(`,
    ...[base, ...atRevision, ...ofLabels].map((option) => `    ${option},`),
    ")",
    "model = PeftModel.from_pretrained(base, folder)",
    `tokenizer = AutoTokenizer.from_pretrained(${[base, ...atRevision].join(", ")})`,
  ];
}

function classOf({ kind, perToken }: Task): string {
  if (!perToken) return "AutoModelForSequenceClassification";
  return kind === "question-answering" ? "AutoModelForQuestionAnswering" : "AutoModelForTokenClassification";
}
