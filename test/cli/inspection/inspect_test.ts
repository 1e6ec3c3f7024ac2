import assert from "node:assert/strict";
import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { checkInspected, inspectFile } from "../../../src/cli/inspection/inspect.ts";
import { CorruptFileError, encodeSafetensors, type StoredTensor } from "../../../src/models/mod.ts";
import { testGpu } from "../../engine/harness.ts";

const gpu = await testGpu();
const folder = await mkdtemp(join(tmpdir(), "federa-inspect-"));
after(() => rm(folder, { recursive: true }));

function f32(shape: readonly number[], ...data: number[]): StoredTensor {
  return { dtype: "F32", shape, data: Float32Array.from(data) };
}

async function write(tensors: Record<string, StoredTensor>, metadata: Record<string, string> = {}) {
  const path = join(folder, "file.safetensors");
  await writeFile(path, encodeSafetensors(new Map(Object.entries(tensors)), metadata));
  return path;
}

test("inspectFile() prints tensors, the changes that factors make, and a plot", async () => {
  const path = await write({
    bias: f32([2], 3, 4),
    "layer.lora_A.weight": f32([2, 2], 1, 0, 0, 1),
    "layer.lora_B.weight": f32([2, 2], 4, 0, 0, 2),
    weight: f32([2, 2], 3, 0, 0, 4),
  }, { format: "p\nt" });
  const text = (await inspectFile(gpu, path)).replace(path, "FILE");
  assert.equal(
    text,
    `FILE: 4 tensors, 14 numbers
notes: format = p\\nt

tensor               dtype  shape    norm     σ₁  (norm/σ₁)²  singular values
-------------------  -----  ------  -----  -----  ----------  ---------------
bias                 F32    [2]     5.000
layer.lora_A.weight  F32    [2, 2]  1.414
layer.lora_B.weight  F32    [2, 2]  4.472
weight               F32    [2, 2]  5.000  4.000         1.6  █▆

low-rank change  product  shape    norm     σ₁  (norm/σ₁)²  singular values
---------------  -------  ------  -----  -----  ----------  ---------------
layer            B·A      [2, 2]  4.472  4.000         1.3  █▄

singular values of B·A of layer
4.00 │█
     │█
     │█
     │█
     │██
     │██
     │██
   0 │██
     └──
      1 2`,
  );
});

test("inspectFile() plots what a pattern names, or says what there is", async () => {
  const path = await write({ "a.weight": f32([1, 1], 2), "b.weight": f32([1, 1], 1), c: f32([1], NaN) });
  const plots = (await inspectFile(gpu, path, { plot: "*.weight" })).match(/singular values of .*/g);
  assert.deepEqual(plots, ["singular values of a.weight", "singular values of b.weight"]);
  assert.match(await inspectFile(gpu, path), /1 NaN or infinite[^]*singular values of a\.weight/);
  await assert.rejects(inspectFile(gpu, path, { plot: "c" }), {
    name: "RangeError",
    message: /"c".*there are a\.weight, b\.weight/,
  });
  assert.doesNotMatch(await inspectFile(gpu, path, { spectra: false }), /singular values of/);
});

test("inspectFile() of a broken file is an error that names it", async () => {
  const path = join(folder, "broken.safetensors");
  await writeFile(path, "no such file");
  await assert.rejects(inspectFile(gpu, path), (error) => {
    assert.ok(error instanceof CorruptFileError && error.message.includes(path));
    return true;
  });
});

test("checkInspected() says what isn't a file, and which files a folder has", async () => {
  const model = join(folder, "model");
  await mkdir(model);
  const refused = (message: RegExp) => ({ name: "ConfigError", message });
  await assert.rejects(
    checkInspected(join(folder, "none")),
    refused(/^Cannot inspect .*none: ENOENT: no such file/),
  );
  await assert.rejects(checkInspected(model), refused(/: it is a folder without safetensors files$/));
  for (const name of ["b.safetensors", "a.safetensors", "c.txt"]) await writeFile(join(model, name), "");
  await assert.rejects(
    checkInspected(model),
    refused(/: it is a folder; give one of its files, a\.safetensors, b\.safetensors$/),
  );
  await checkInspected(join(model, "a.safetensors"));
});
