import assert from "node:assert/strict";
import { mkdir, readFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { fileURLToPath } from "node:url";
import { decodeHostTensors } from "../../../support/host_tensors.ts";
import { testGpu } from "../../../engine/harness.ts";
import { flowerPrograms, withoutFlower } from "../../../interop/flower/programs.ts";
import { startSuperlink } from "../../../interop/flower/superlink.ts";
import { joinTiny } from "../../../support/flower_nodes.ts";
import { descent, largestDifference, runConfigOf, simulateTiny } from "../../../support/tiny_federation.ts";
import { tinyProject } from "../../../support/tiny_project.ts";

const app = fileURLToPath(new URL("../../../../examples/flower", import.meta.url));

test("two nodes and Flower's own server train FeDeRA to what simulate() comes to", {
  skip: withoutFlower,
}, async (t) => {
  const gpu = await testGpu();
  const folder = await tinyProject(t);
  const federation = { method: "federa", rounds: 2, steps: 2, numClients: 2, ...descent };
  await mkdir(join(folder, "link"));
  const link = await startSuperlink({ programs: await flowerPrograms(), folder: join(folder, "link") });
  const leaving = new AbortController();
  const nodes = [0, 1].map((client) =>
    joinTiny(gpu, { superlink: link.url, folder, client, federation, signal: leaving.signal })
  );
  try {
    const output = join(folder, "final.safetensors");
    const printed = await link.run(app, {
      config: { ...runConfigOf(federation), "min-nodes": 2, "fraction-evaluate": 0, output },
      seconds: 90,
    });
    assert.match(printed, /client 0\): base \w{12}…, start \w{12}…/);
    assert.match(printed, /aggregate_train: Received 2 results and 0 failures/);
    const found = decodeHostTensors(await readFile(output));
    const expected = await simulateTiny(gpu, folder, federation);
    const shared = new Map([...found.keys()].map((name) => [name, expected.get(name)!]));
    assert.ok(largestDifference(found, shared) <= 1e-6, `${largestDifference(found, shared)}`);
  } finally {
    leaving.abort();
    await Promise.all([link.stop(), Promise.allSettled(nodes)]);
  }
});
