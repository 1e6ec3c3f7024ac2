import assert from "node:assert/strict";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { test } from "node:test";
import { inspect } from "node:util";
import { readHubSettings } from "../../../src/hub/hugging_face/settings.ts";
import { temporaryFolder } from "../../support/temporary_files.ts";

const home = temporaryFolder();

test("readHubSettings() finds the cache where huggingface_hub does", async () => {
  const cases: [Record<string, string>, string][] = [
    [{}, join(home, ".cache", "huggingface", "hub")],
    [{ XDG_CACHE_HOME: "/c" }, "/c/huggingface/hub"],
    [{ XDG_CACHE_HOME: "/c", HF_HOME: "/h" }, "/h/hub"],
    [{ HF_HOME: "~/h" }, join(home, "h", "hub")],
    [{ HF_HOME: "$BASE/h", BASE: "/b" }, "/b/h/hub"],
    [{ HF_HOME: "/${BASE}/$NONE", BASE: "b" }, "/b/$NONE/hub"],
    [{ HF_HOME: "/h", HUGGINGFACE_HUB_CACHE: "/old" }, "/old"],
    [{ HF_HOME: "/h", HUGGINGFACE_HUB_CACHE: "/old", HF_HUB_CACHE: "/new" }, "/new"],
    [{ HF_HOME: "/h", HF_HUB_CACHE: "" }, "/h/hub"],
  ];
  for (const [environment, expected] of cases) {
    assert.equal((await readHubSettings({ HOME: home, ...environment })).cacheFolder, expected);
  }
});

test("readHubSettings() reads the endpoint, and refuses what is no address", async () => {
  const endpoint = async (value: string) =>
    (await readHubSettings({ HOME: home, HF_ENDPOINT: value })).endpoint;
  assert.equal(await endpoint(""), "https://huggingface.co");
  assert.equal(await endpoint("https://mirror.example/hf//"), "https://mirror.example/hf");
  for (const bad of ["mirror.example", "ftp://mirror.example", "https://u:p@mirror.example", "http://x/?a"]) {
    await assert.rejects(endpoint(bad), { name: "HubError", reason: "invalid" });
  }
  for (
    const [secret, got] of [
      ["https://ada:s3cr3t@mirror.example/hf", /got https:\/\/mirror\.example with a user name, a password/],
      ["https://s3cr3t@mirror.example", /got https:\/\/mirror\.example with a user name/],
      ["https://mirror.example/?token=s3cr3t", /got https:\/\/mirror\.example with .* a query/],
      ["ada:s3cr3t@mirror.example", /got something that is not a web address$/],
      ["https://ada:s3/cr3t@mirror.example", /got something that is not a web address$/],
      ["hf_s3cr3t", /got something that is not a web address$/],
    ] as const
  ) {
    await assert.rejects(endpoint(secret), (error) => {
      assert.match((error as Error).message, got);
      assert.doesNotMatch(inspect(error), /s3cr3t|cr3t/);
      return true;
    });
  }
});

test("readHubSettings() reads the token from the environment or its file", async () => {
  const folder = join(home, "hf");
  await mkdir(folder);
  const token = async (environment: Record<string, string>) =>
    (await readHubSettings({ HOME: home, HF_HOME: folder, ...environment })).token;
  assert.equal(await token({}), undefined);
  await writeFile(join(folder, "token"), "hf_file\n");
  assert.equal(await token({}), "hf_file");
  assert.equal(await token({ HF_TOKEN: " hf_given\r\n" }), "hf_given");
  assert.equal(await token({ HUGGING_FACE_HUB_TOKEN: "hf_old" }), "hf_old");
  assert.equal(await token({ HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" }), undefined);
  assert.equal(await token({ HF_TOKEN: "hf_given", HF_HUB_DISABLE_IMPLICIT_TOKEN: "1" }), "hf_given");
  await writeFile(join(home, "other"), "hf_other");
  assert.equal(await token({ HF_TOKEN_PATH: join(home, "other") }), "hf_other");
  assert.equal(await token({ HF_TOKEN_PATH: join(home, "other", "none") }), undefined);
  await assert.rejects(token({ HF_TOKEN: "hf secret" }), (error) => {
    assert.ok(error instanceof Error);
    assert.equal(error.message, "Cannot use the token in HF_TOKEN: it has characters that no token contains");
    return true;
  });
});

test("readHubSettings() reads switches as huggingface_hub does", async () => {
  for (const value of ["1", "on", "YES", "True"]) {
    assert.equal((await readHubSettings({ HOME: home, HF_HUB_OFFLINE: value })).offline, true);
  }
  for (const value of ["", "0", "no", "2"]) {
    assert.equal((await readHubSettings({ HOME: home, HF_HUB_OFFLINE: value })).offline, false);
  }
  assert.equal((await readHubSettings({ HOME: home, TRANSFORMERS_OFFLINE: "1" })).offline, true);
  assert.equal((await readHubSettings({ HOME: home })).links, true);
  assert.equal((await readHubSettings({ HOME: home, HF_HUB_DISABLE_SYMLINKS: "1" })).links, false);
});
