import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { mergeModel } from "../../../src/cli/trained/merge.ts";
import { readConfig } from "../../../src/experiment/config/parse_config.ts";
import { prepare } from "../../../src/experiment/run/prepare.ts";
import { runExperiment } from "../../../src/experiment/run/run_experiment.ts";
import { openTrained } from "../../../src/experiment/trained/open_trained.ts";
import { adaptersOf } from "../../../src/federa/mod.ts";
import { readSafetensors } from "../../../src/models/mod.ts";
import { evaluate, type TaskSet } from "../../../src/tasks/mod.ts";
import { testGpu } from "../../engine/harness.ts";
import { silent } from "../../support/silent_reporter.ts";
import { tinyBert, tinyProject } from "../../support/tiny_project.ts";

const gpu = await testGpu();
const federa = { method: "federa", learningRate: 0.01, rank: 2 };

for (const precision of ["f16", "int8"] as const) {
  test(`a model that was trained in ${precision} is opened in it with the same scores, and whole for other programs`, async (t) => {
    const project = await tinyProject(t, { ...tinyBert, precision, methods: [...tinyBert.methods, federa] });
    const folder = join(project, "run");
    await mkdir(folder);
    const preparation = await prepare(await readConfig(join(project, "config.json")), gpu, {
      reporter: silent,
    });
    await runExperiment(preparation, { reporter: silent, folder });
    const { methods } = JSON.parse(await readFile(join(folder, "summary.json"), "utf8")) as {
      methods: {
        label: string;
        after: { loss: number };
        rounding: { kind: string; error: number; plain: number }[];
      }[];
    };
    const set: TaskSet = preparation.test;
    for (const { label, after, rounding } of methods) {
      assert.equal(rounding.length, 6, label);
      for (const { kind, error, plain } of rounding) {
        assert.ok(
          error > 0 && (label === "fedit" ? error === plain : error < plain),
          `${label} ${kind} ${error} ${plain}`,
        );
      }
      const opened = await openTrained(gpu, join(folder, label), { reporter: silent });
      assert.equal(opened.description.precision, precision);
      for (const { weight } of adaptersOf(opened.model).values()) assert.equal(weight.dtype, precision);
      assert.equal((await evaluate(opened.model, set)).loss, after.loss);
      const whole = await openTrained(gpu, join(folder, label), { reporter: silent, whole: true });
      for (const [name, { dtype }] of whole.model.namedParameters()) assert.equal(dtype, "f32", name);
      const { loss } = await evaluate(whole.model, set);
      assert.ok(Math.abs(loss - after.loss) <= 0.02, `${loss} ${after.loss}`);

      // W + s·(B·A − B₀·A₀) of the weights in the checkpoint, and its tables to the bit.
      const merged = join(project, `merged-${label}`);
      await mergeModel(join(folder, label), { output: merged, reporter: silent });
      const [base, found] = await Promise.all(
        [join(project, "bert"), merged].map(async (each) =>
          readSafetensors(await readFile(join(each, "model.safetensors"))).tensors
        ),
      );
      const table = "embeddings.word_embeddings.weight";
      assert.deepEqual(found!.get(`bert.${table}`)!.data, base!.get(table)!.data);
      const name = "encoder.layer.0.attention.self.query";
      const [before, after_] = [base!.get(`${name}.weight`)!, found!.get(`bert.${name}.weight`)!];
      const adapter = adaptersOf(whole.model).get(`encoder.${name}`)!;
      const update = await updateOf(adapter);
      (before.data as Float32Array).forEach((value, i) => {
        const expected = value + update[i]!;
        assert.ok(
          Math.abs((after_.data as Float32Array)[i]! - expected) <= 1e-5 * (1 + Math.abs(expected)),
          `${i}`,
        );
      });
    }
  });
}

/** s·(B·A − B₀·A₀) by the schoolbook. */
async function updateOf(
  adapter: NonNullable<ReturnType<ReturnType<typeof adaptersOf>["get"]>>,
): Promise<number[]> {
  const { loraA, loraB, initial, sharedScaling: scaling } = adapter;
  const [n, k] = adapter.weight.shape as [number, number];
  const product = async (b: typeof loraB, a: typeof loraA) => {
    const [left, right] = [await b.floats(), await a.floats()];
    return Array.from({ length: n * k }, (_, at) => {
      let total = 0;
      for (let q = 0; q < 2; q++) total += left[Math.floor(at / k) * 2 + q]! * right[q * k + at % k]!;
      return total;
    });
  };
  const now = await product(loraB, loraA);
  const then = initial && await product(initial.loraB, initial.loraA);
  return now.map((value, i) => scaling * (value - (then?.[i] ?? 0)));
}
