import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { readdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { findLayerViolations, importsOf, LAYERS } from "../../scripts/check_layers.ts";
import { root } from "../support/installed_package.ts";

/** The violations of one module with one import. */
function violations(path: string, specifier: string, aliases: Record<string, string[]> = {}): string[] {
  return findLayerViolations(new Map([[path, `import { x } from "${specifier}";\n`]]), aliases);
}

test("findLayerViolations() accepts imports that point down or stay in their layer", () => {
  for (
    const [path, specifier] of [
      ["src/mod.ts", "./fl/mod.ts"],
      ["src/cli/main.ts", "../fl/mod.ts"],
      ["src/cli/run.ts", "../experiment/run/experiment.ts"],
      ["src/experiment/run/experiment.ts", "../../fl/mod.ts"],
      ["src/tasks/training/train_block.ts", "../../models/mod.ts"],
      ["src/federa/starts/lora.ts", "../../tasks/mod.ts"],
      ["src/fl/rounds/round.ts", "../../federa/mod.ts"],
      ["src/fl/methods/factors/fed_it.ts", "../../method.ts"],
      ["src/fl/methods/parts/exact.ts", "../client/read_finite.ts"],
      ["src/fl/transport/send.ts", "../privacy/stage.ts"],
      ["src/fl/federate.ts", "./rounds/round.ts"],
      ["src/fl/simulation/simulate.ts", "../federate.ts"],
      ["src/fl/mod.ts", "./methods/mod.ts"],
      ["src/models/use_lite/model.ts", "../../data/mod.ts"],
      ["src/models/mod.ts", "zod"],
      ["src/models/use_lite/load.ts", "../../hub/npm/npm_package.ts"],
      ["src/hub/open_model_files.ts", "../data/errors.ts"],
      ["src/hub/npm/npm_package.ts", "node:fs"],
      ["src/engine/mod.ts", "./nn/mod.ts"],
      ["src/engine/nn/linear.ts", "../ops/matmul.ts"],
      ["src/engine/ops/matmul.ts", "../tensor.ts"],
      ["src/engine/ops/matmul.ts", "./_gemm.ts"],
      ["src/engine/tensor.ts", "./gpu/device.ts"],
      ["src/engine/gpu/device.ts", "../errors.ts"],
      ["src/engine/gpu/_provider_node.ts", "webgpu"],
      ["src/engine/ops/matmul.ts", "../../shaders/matmul.wgsl"],
    ] as const
  ) assert.deepEqual(violations(path, specifier), [], `${path} -> ${specifier}`);
});

test("findLayerViolations() reports imports that point up, sideways or at private files", () => {
  for (
    const [path, specifier, reason] of [
      ["src/engine/tensor.ts", "../federa/mod.ts", "engine stands below it"],
      ["src/models/use_lite/model.ts", "../../fl/mod.ts", "models stands below it"],
      ["src/models/use_lite/model.ts", "../../federa/mod.ts", "models stands below it"],
      ["src/data/files/write_file.ts", "../../hub/errors.ts", "data stands below it"],
      ["src/hub/npm/npm_package.ts", "../../models/mod.ts", "hub stands below it"],
      ["src/tasks/task.ts", "../federa/mod.ts", "tasks stands below it"],
      ["src/federa/starts/lora.ts", "../../fl/mod.ts", "federa stands below it"],
      ["src/fl/rounds/round.ts", "../../mod.ts", "fl stands below it"],
      ["src/fl/rounds/round.ts", "../../experiment/mod.ts", "fl stands below it"],
      [
        "src/fl/methods/factors/fed_it.ts",
        "../../simulation/simulate.ts",
        "fl/methods does not stand above fl/simulation",
      ],
      [
        "src/fl/methods/factors/fed_it.ts",
        "../../algorithms/mod.ts",
        "fl/methods does not stand above fl/algorithms",
      ],
      ["src/fl/client/stack.ts", "../rounds/round.ts", "fl/core does not stand above fl/rounds"],
      ["src/util/text.ts", "../engine/mod.ts", "no layer is called util"],
      ["src/experiment/run/experiment.ts", "../../cli/run.ts", "experiment stands below it"],
      ["src/engine/ops/matmul.ts", "../nn/linear.ts", "engine/ops does not stand above engine/nn"],
      ["src/engine/gpu/device.ts", "../tensor.ts", "engine/gpu does not stand above engine/core"],
      ["src/engine/gpu/device.ts", "../ops/matmul/tuning.ts", "engine/gpu knows no operation"],
      ["src/engine/gpu/kernel.ts", "../../shaders/matmul/matmul.wgsl", "engine/gpu knows no operation"],
      ["src/engine/tensor.ts", "./ops/matmul.ts", "engine/core does not stand above engine/ops"],
      ["src/engine/optim/sgd.ts", "../nn/module.ts", "engine/optim does not stand above engine/nn"],
      ["src/engine/nn/linear.ts", "../ops/_gemm.ts", "the file is private to its folder"],
      ["src/engine/tensor.ts", "node:fs", "only the engine's *_node.ts files may use Node"],
      ["src/shaders/a.ts", "./b.ts", "shaders import nothing"],
    ] as const
  ) assert.deepEqual(violations(path, specifier), [`${path}: must not import ${specifier}: ${reason}`]);
});

test("LAYERS names every folder of src, and docs/architecture.md lists them from the top", async () => {
  const folders = (await readdir(join(root, "src"), { withFileTypes: true })).filter((each) =>
    each.isDirectory()
  );
  assert.deepEqual([...LAYERS].sort(), folders.map(({ name }) => name).sort());
  const text = await readFile(join(root, "docs/architecture.md"), "utf8");
  const rows = [...text.matchAll(/^\| `src\/(\w+)` /gm)].map(([, layer]) => layer);
  assert.deepEqual(rows, [...LAYERS].reverse());
});

test("docs/architecture.md names files that exist", async () => {
  const text = await readFile(join(root, "docs/architecture.md"), "utf8");
  const names = [...text.matchAll(/`([\w/]+(?:\.ts|\/))`/g)].map(([, name]) => name!);
  assert.ok(names.length > 10);
  // These stand for any file.
  const patterns = ["mod.ts", "snake_case.ts", "_name.ts"];
  for (const name of names) {
    const places = ["", "src/fl", "src/engine", "src/experiment"].map((folder) => join(root, folder, name));
    assert.ok(patterns.includes(name) || places.some((path) => existsSync(path)), name);
  }
});

test("findLayerViolations() follows the aliases of package.json", () => {
  const aliases = { "#gpu": ["src/engine/gpu/_provider_node.ts"], "#up": ["src/fl/mod.ts"] };
  assert.deepEqual(violations("src/engine/gpu/device.ts", "#gpu", aliases), []);
  assert.equal(violations("src/engine/gpu/device.ts", "#up", aliases).length, 1);
});

test("importsOf() finds every form of import and takes no string or comment for one", () => {
  const text = `import "./a.ts";
import type { B } from "./b.ts";
import {
  c,
  d,
} from "./c.ts";
export * from "./e.ts";
export { f } from "./f.ts";
const g = await import("./g.ts");
export const h = "./h.ts";
export function i(from = "./i.ts"): void {}
/**
 * import { j } from "./j.ts";
 */
`;
  assert.deepEqual(importsOf(text), ["./a.ts", "./b.ts", "./c.ts", "./e.ts", "./f.ts", "./g.ts"]);
});
