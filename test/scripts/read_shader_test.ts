import assert from "node:assert/strict";
import { mkdir, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { build } from "esbuild";
import { readShader, shaders } from "../../scripts/read_shader.mjs";
import { expandShader } from "../../src/engine/gpu/_expand.ts";
import softmax from "../../src/shaders/reduction/softmax.wgsl";

const folder = join(await mkdtemp(join(tmpdir(), "federa-shaders-")), "shaders");
after(() => rm(join(folder, ".."), { recursive: true, force: true }));

/** Writes shaders by name and reads the first of them. */
async function read(files: Readonly<Record<string, string>>): Promise<string> {
  for (const [name, text] of Object.entries(files)) {
    await mkdir(join(folder, name, ".."), { recursive: true });
    await writeFile(join(folder, name), text);
  }
  return readShader(join(folder, Object.keys(files)[0]!));
}

test("readShader() puts each included file in once, and says where every line stands", async () => {
  const text = await read({
    "a/main.wgsl": 'one\n//@include "part.wgsl"\n  //@include "../b.wgsl"\ntwo',
    "a/part.wgsl": 'three\n//@include "../b.wgsl"',
    "b.wgsl": "four",
  });
  assert.equal(
    text,
    "//@from a/main.wgsl 1\none\n//@from a/part.wgsl 1\nthree\n//@from b.wgsl 1\nfour\n//@from a/part.wgsl 3\n" +
      "//@from a/main.wgsl 3\n//@from a/main.wgsl 4\ntwo",
  );
  assert.equal(expandShader(text, {}), "one\nthree\nfour\ntwo\n");
});

test("readShader() takes files that include each other, and names a file that it can't find", async () => {
  const round = await read({ "p.wgsl": '//@include "q.wgsl"\np', "q.wgsl": '//@include "p.wgsl"\nq' });
  assert.equal(expandShader(round, {}), "q\np\n");
  await assert.rejects(read({ "m.wgsl": '\n//@include "gone.wgsl"' }), {
    message: /^Cannot include .*gone\.wgsl at m\.wgsl:2: ENOENT/,
  });
});

test("the loader and the bundler import the same text", async () => {
  const entry = new URL("../../src/shaders/reduction/softmax.wgsl", import.meta.url);
  assert.equal(softmax, readShader(entry.pathname));
  assert.ok(softmax.includes("fn row_of(") && softmax.includes("fn exp_("), "with what it includes");
  const outfile = join(folder, "bundle.mjs");
  await build({
    stdin: { contents: 'export { default } from "./softmax.wgsl"', resolveDir: join(entry.pathname, "..") },
    outfile,
    bundle: true,
    format: "esm",
    plugins: [shaders],
  });
  assert.ok((await readFile(outfile, "utf8")).includes("row_of"));
  const { default: bundled } = await import(outfile) as { default: string };
  assert.equal(bundled, softmax);
});
