import assert from "node:assert/strict";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { attachAdapters, exportPeft, lora, writeCheckpoint } from "../../../src/federa/mod.ts";
import {
  encoderFamilies,
  randomParameters,
  readSafetensors,
  uploadParameters,
} from "../../../src/models/mod.ts";
import {
  classification,
  questionAnswering,
  type Task,
  TaskModel,
  tokenClassification,
  transformersNames,
} from "../../../src/tasks/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { folderFiles } from "../../support/folder_files.ts";

/** What PEFT and transformers make of a model; see test/golden/peft/generate.py. */
interface Layout {
  readonly task_type: "SEQ_CLS" | "TOKEN_CLS" | "QUESTION_ANS";
  readonly architecture: string;
  readonly config: Record<string, unknown>;
  readonly adapter_config: Record<string, unknown>;
  readonly tensors: Record<string, readonly number[]>;
  readonly parameters: Record<string, readonly number[]>;
}

const golden = join(import.meta.dirname, "../../golden/peft/layouts.json");
const { layouts, defaults } = JSON.parse(await readFile(golden, "utf8")) as {
  layouts: Layout[];
  defaults: Record<string, unknown>;
};
const gpu = await testGpu();
const folder = await mkdtemp(join(tmpdir(), "federa-layout-"));
after(() => rm(folder, { recursive: true }));

const tasks: Record<Layout["task_type"], Task> = {
  SEQ_CLS: classification({ labels: ["a", "b", "c"] }),
  TOKEN_CLS: tokenClassification({ labels: ["O", "B-x", "I-x"] }) as Task,
  QUESTION_ANS: questionAnswering() as Task,
};

function buildModel({ config: json, task_type }: Layout) {
  const family = encoderFamilies.get(String(json["model_type"]))!;
  const config = family.parseConfig(json);
  const shapes = family.parameterShapes(config, { pooler: true });
  const parameters = uploadParameters(gpu, randomParameters(shapes, { seed: 1, name: "layout" }));
  const encoder = family.create(parameters, config);
  return { family, model: TaskModel.create(gpu, encoder, { task: tasks[task_type], seed: 1 }) };
}

function sortedShapes(shapes: Iterable<readonly [string, readonly number[]]>): [string, string][] {
  return [...shapes].map(([name, shape]): [string, string] => [name, shape.join("×")]).sort();
}

describe("the names of files, family by family and task by task", () => {
  for (const layout of layouts) {
    const { architecture, adapter_config: expected } = layout;

    test(`exportPeft() writes tensors and configuration of ${architecture} as PEFT does`, async () => {
      const { family, model: pretrained } = buildModel(layout);
      const { fromTransformers } = transformersNames(pretrained, family);
      const targets = (expected["target_modules"] as string[]).map(fromTransformers);
      const model = await attachAdapters(pretrained, { targets, rank: 3, alpha: 6, initialization: lora });
      const { config, tensors } = await exportPeft(model, {
        pretrained,
        family,
        base: { name: "" },
        form: "original",
      });
      assert.deepEqual(
        sortedShapes([...tensors].map(([name, { shape }]) => [name, shape])),
        sortedShapes(Object.entries(layout.tensors)),
      );
      const { target_modules, modules_to_save, base_model_name_or_path: _, ...fields } = config;
      assert.deepEqual([...target_modules].sort(), expected["target_modules"]);
      // PEFT adds these to whatever it's told.
      const added = layout.task_type === "QUESTION_ANS" ? ["qa_outputs"] : ["classifier", "score"];
      assert.deepEqual([...new Set([...modules_to_save, ...added])].sort(), expected["modules_to_save"]);
      for (const [name, value] of Object.entries(expected)) {
        if (["target_modules", "modules_to_save", "base_model_name_or_path", "peft_version"].includes(name)) {
          continue;
        }
        // PEFT's class for QUESTION_ANS leaves token types out, and the one for null passes them on.
        if (name === "task_type" && value === "QUESTION_ANS" && (model.encoder.numTypes ?? 1) > 1) {
          assert.equal(config.task_type, null);
          continue;
        }
        // What isn't written is PEFT's default.
        const written = name in fields ? fields[name as keyof typeof fields] : defaults[name];
        assert.deepEqual(written, value, name);
      }
      assert.deepEqual(Object.keys(config).filter((name) => !(name in expected)), []);
    });

    test(`writeCheckpoint() names the parameters of ${architecture} as transformers does`, async () => {
      const { family, model } = buildModel(layout);
      await writeFile(join(folder, "config.json"), JSON.stringify(layout.config));
      await writeFile(join(folder, "vocab.txt"), "[PAD]\n");
      const target = join(folder, architecture);
      const paths = await writeCheckpoint(target, model, {
        family,
        files: folderFiles(folder),
        weights: "merged",
      });
      assert.deepEqual(
        paths,
        ["model.safetensors", "vocab.txt", "config.json"].map((name) => join(target, name)),
      );
      const { tensors, metadata } = readSafetensors(await readFile(paths[0]!));
      assert.deepEqual(metadata, { format: "pt" });
      assert.deepEqual(
        sortedShapes([...tensors].map(([name, { shape }]) => [name, shape])),
        sortedShapes(Object.entries(layout.parameters)),
      );
      const config = JSON.parse(await readFile(paths[2]!, "utf8"));
      assert.deepEqual(config.architectures, [architecture]);
      assert.equal(config.model_type, layout.config["model_type"]);
      assert.deepEqual(Object.values(config.id2label), tasks[layout.task_type].labels);
      assert.equal(config.dtype, "float32");
    });
  }
});
