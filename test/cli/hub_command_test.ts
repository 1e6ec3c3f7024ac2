import assert from "node:assert/strict";
import { mkdtemp, readdir, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { HubServer } from "../support/hub_server.ts";
import { writeTinyCheckpoint } from "../support/tiny_checkpoint.ts";
import { ended, start } from "./federa_command.ts";

const repo = "ada/tiny-bert";
const commit = "c".repeat(40);

test("federa run fetches a model of the hub, and predict finds the same one again without the hub", async (t) => {
  const server = await HubServer.start();
  const folder = await mkdtemp(join(tmpdir(), "federa-hub-command-"));
  t.after(async () => {
    await server.close();
    await rm(folder, { recursive: true, force: true });
  });
  const checkpoint = join(folder, "checkpoint");
  await writeTinyCheckpoint(checkpoint, { seed: 2 });
  const files = await Promise.all(
    (await readdir(checkpoint)).map(async (name) => [name, await readFile(join(checkpoint, name))] as const),
  );
  server.repos.set(repo, { commits: { [commit]: Object.fromEntries(files) }, refs: { main: commit } });
  // The first answer about the weights is cut: the download goes on where it ended.
  let cut = false;
  server.misbehave = ({ host, method }) => {
    if (host !== "store" || method !== "GET" || cut) return undefined;
    cut = true;
    return { cutAfter: 1000 };
  };
  await writeFile(
    join(folder, "texts.csv"),
    "text,label\n" +
      Array.from({ length: 12 }, (_, i) => i % 2 ? `"win a, prize ${i}",spam\n` : `meeting ${i},ham\n`).join(
        "",
      ),
  );
  await writeFile(
    join(folder, "config.json"),
    JSON.stringify({
      name: "hub",
      model: `hf:${repo}`,
      data: { kind: "files", train: "texts.csv", validationShare: 0 },
      maxLength: 8,
      partition: { kind: "iid", numClients: 2 },
      methods: [{ method: "federa", learningRate: 0.01, rank: 2 }],
      rounds: 1,
      local: { steps: 1 },
      batchSize: 2,
      output: join(folder, "runs"),
    }),
  );
  const environment = { HF_ENDPOINT: server.endpoint, HF_HOME: join(folder, "home") };
  const trained = await ended(start(["run", join(folder, "config.json")], environment));
  assert.equal(trained.code, 0, trained.stderr);
  assert.match(trained.stdout, /Downloading model\.safetensors/);
  assert.ok(cut && server.requests.some(({ host, range }) => host === "store" && range !== undefined));

  const adapter = join(folder, "runs", "hub-001", "federa");
  const description = JSON.parse(await readFile(join(adapter, "federa.json"), "utf8")) as { model: unknown };
  assert.deepEqual(description.model, { source: `hf:${repo}@${commit}`, pooling: "pooler" });
  server.requests.length = 0;
  const offline = { ...environment, HF_HUB_OFFLINE: "1" };
  const answered = await ended(start(["predict", "-a", adapter, "win a prize"], offline));
  assert.equal(answered.code, 0, answered.stderr);
  assert.match(answered.stdout, /^win a prize\n {2}(ham|spam) {2}\d+\.\d %\n$/);
  assert.equal(server.requests.length, 0);

  const cached = join(folder, "home/hub/models--ada--tiny-bert/snapshots", commit, "model.safetensors");
  const bytes = await readFile(cached);
  await writeFile(cached, bytes.with(-1, bytes.at(-1)! ^ 1));
  const damaged = await ended(start(["predict", "-a", adapter, "win a prize"], offline));
  assert.equal(damaged.code, 1);
  assert.match(
    damaged.stderr,
    /^Cannot read model\.safetensors of hf:ada\/tiny-bert@c{40}: the bytes of .*blobs\/[0-9a-f]{64} are not those that the hub has; unset HF_HUB_OFFLINE to download the file again, or remove it and copy it here again$/m,
  );
  assert.doesNotMatch(damaged.stderr, / at /);
});
