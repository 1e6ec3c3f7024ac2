import assert from "node:assert/strict";
import { test } from "node:test";
import { runProgram } from "../../../support/run_program.ts";

// Mesa's software driver has 8 lanes, or 16 where this variable is set before it is loaded. Sizes are past the tiles of either.
const program = `
  import { createHash } from "node:crypto";
  import { matmul, openGpu, tensor } from "./src/engine/mod.ts";
  import { gaussian } from "./test/support/matrices.ts";
  import { Random } from "./test/support/random.ts";

  const gpu = await openGpu();
  const random = (shape, seed) => tensor(gpu, Float32Array.from(gaussian(shape, new Random(seed)).data), { shape });
  const results = [];
  for (const [m, k, n, layout] of ${
  JSON.stringify([
    [68, 36, 132, "NN"],
    [68, 36, 132, "NT"],
    [68, 36, 132, "TN"],
    [67, 35, 131, "NT"],
    [150, 36, 8, "NN"],
    [8, 36, 150, "NT"],
    [130, 37, 131, "NN"],
  ])
}) {
    const a = random(layout === "TN" ? [k, m] : [m, k], m);
    const b = random(layout === "NT" ? [n, k] : [k, n], n);
    const c = matmul(a, b, { transposeA: layout === "TN", transposeB: layout === "NT" });
    const values = await c.floats();
    if (!values.some((value) => value !== 0)) throw new Error(layout + " gave zeros");
    results.push(createHash("sha256").update(values).digest("hex"));
  }
  console.log(JSON.stringify({ description: gpu.adapter.description, subgroupSize: gpu.adapter.subgroupSize, results }));
  gpu.close();
  process.exit();
`;

async function productsAt(
  width: number,
): Promise<{ description: string; subgroupSize?: number; results: string[] }> {
  const { status, stdout, stderr } = await runProgram(program, {
    environment: { LP_NATIVE_VECTOR_WIDTH: String(width) },
  });
  assert.equal(status, 0, stderr);
  return JSON.parse(stdout);
}

test("matmul() gives the same bits with 16 lanes as with 8", async (t) => {
  const wide = await productsAt(512);
  if (!/llvmpipe/.test(wide.description) || wide.subgroupSize !== 16) {
    return t.skip(`the adapter has ${wide.subgroupSize ?? "no certain number of"} lanes, not 16`);
  }
  const usual = await productsAt(256);
  assert.equal(usual.subgroupSize, 8);
  assert.deepEqual(wide.results, usual.results);
});
