import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import process from "node:process";
import { test } from "node:test";
import { pathToFileURL } from "node:url";
import { root } from "../support/installed_package.ts";
import { twoArrays } from "../support/flower_node.ts";
import { MockSuperlink } from "../support/mock_superlink.ts";
import { readmeBlocks, withoutTypes } from "../support/readme.ts";
import { temporaryFolder } from "../support/temporary_files.ts";

test("the node of docs/flower.md halves what it is sent, and leaves at SIGINT", async () => {
  const [block, ...more] = (await readmeBlocks("docs/flower.md")).filter(({ language }) => language === "ts");
  assert.equal(more.length, 0);
  const folder = temporaryFolder();
  const server = new MockSuperlink();
  await server.start();
  try {
    const code = block!.code
      .replace("federa/network", pathToFileURL(join(root, "src/network/mod.ts")).href)
      .replace("http://127.0.0.1:8000", server.url)
      .replace(`"node.key"`, JSON.stringify(join(folder, "node.key")))
      // The test has no 7 s.
      .replace("signal: leaving.signal,", "signal: leaving.signal, timing: { poll: 0.02, settle: 0.1 },");
    const path = join(folder, "node.mjs");
    await writeFile(path, await withoutTypes(code));
    const ended = import(pathToFileURL(path).href);
    const { nodeId } = await server.node();
    const outcome = await server.send(nodeId, { records: twoArrays() });
    assert.ok("records" in outcome);
    const record = outcome.records.get("arrays");
    assert.ok(record?.type === "arrays");
    assert.deepEqual(record.arrays.get("a")!.data, Float32Array.of(0.5, 1, 1.5, 2));
    const refused = await server.send(nodeId, { type: "query" });
    assert.ok("error" in refused && refused.error.code === 1n);
    process.emit("SIGINT");
    await ended;
    assert.deepEqual(server.calls.at(-1), "deactivate-node");
  } finally {
    await server.stop();
  }
});
