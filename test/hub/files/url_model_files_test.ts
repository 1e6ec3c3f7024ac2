import assert from "node:assert/strict";
import { once } from "node:events";
import { createServer, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import { after, before, test } from "node:test";
import { type ModelFileProgress, urlModelFiles } from "../../../src/hub/mod.ts";

/** What the server answers, by path. */
const answers: Record<string, (response: ServerResponse) => void> = {
  "/model/config.json": (response) => response.end("{}"),
  "/model/1_Pooling/config.json": (response) => response.end("[]"),
  "/model/page.json": (response) => response.setHeader("content-type", "text/html").end("<p>Not here"),
  "/model/secret.json": (response) => void response.writeHead(403).end(),
  "/model/busy.json": (response) => void response.writeHead(429).end(),
  "/model/broken.json": (response) => void response.writeHead(500).end(),
  "/model/cut.bin": (response) => {
    response.writeHead(200, { "content-length": 10 }).write("abcd", () => response.destroy());
  },
  "/model/slow.bin": (response) => void response.writeHead(200).write("a"),
};
const asked: string[] = [];
const server = createServer((request, response) => {
  asked.push(`${request.method} ${request.url}`);
  const answer = answers[new URL(request.url!, "http://a").pathname];
  if (answer === undefined) response.writeHead(404).end();
  else answer(response);
});
let url: string;
before(async () => {
  await once(server.listen(0, "127.0.0.1"), "listening");
  url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/model`;
});
after(() => (server.closeAllConnections(), server.close()));

test("urlModelFiles() fetches each file once, and reports its bytes", async () => {
  const progress: ModelFileProgress[] = [];
  const files = urlModelFiles(`${url}?token=secret`, { onProgress: (each) => progress.push(each) });
  assert.equal(files.source, `${url}/`);
  assert.equal(await files.has("config.json"), true);
  assert.equal(await files.has("none.json"), false);
  for (let time = 0; time < 2; time++) {
    const file = (await files.open("config.json"))!;
    assert.equal(file.path, `${url}/config.json`);
    assert.equal(new TextDecoder().decode(await file.read(0, file.size)), "{}");
  }
  assert.deepEqual(progress, [
    { file: "config.json", phase: "download", bytes: 2, total: 2 },
    { file: "config.json", phase: "ready", bytes: 2, total: 2 },
  ]);
  assert.equal((await files.open("1_Pooling/config.json"))!.size, 2);
  for (const name of ["none.json", "page.json"]) assert.equal(await files.open(name), undefined);
  assert.deepEqual(asked, [
    "HEAD /model/config.json?token=secret",
    "HEAD /model/none.json?token=secret",
    "GET /model/config.json?token=secret",
    "GET /model/1_Pooling/config.json?token=secret",
    "GET /model/none.json?token=secret",
    "GET /model/page.json?token=secret",
  ]);
});

test("urlModelFiles() says why a file isn't available", async () => {
  const files = urlModelFiles(url);
  const cases: [name: string, reason: string, message: RegExp][] = [
    ["secret.json", "unauthorized", /the server refuses it \(403\)/],
    ["busy.json", "rate-limited", /wants fewer requests/],
    ["broken.json", "server", /answered with status 500/],
    ["cut.bin", "offline", /the connection broke after \d bytes/],
    ["../secret", "invalid", /no "\.\."/],
  ];
  for (const [name, reason, message] of cases) {
    await assert.rejects(files.open(name), { name: "HubError", reason, message });
  }
  const controller = new AbortController();
  const slow = urlModelFiles(url, { signal: controller.signal, onProgress: () => controller.abort() });
  await assert.rejects(slow.open("slow.bin"), { name: "AbortError" });
  await assert.rejects(urlModelFiles("http://127.0.0.1:1/").open("config.json"), { reason: "offline" });
});

test("urlModelFiles() takes the address of a page of the hub for its files", () => {
  const hub = "https://huggingface.co/owner/name";
  for (
    const [address, source] of [
      [hub, `${hub}/resolve/main/`],
      [`${hub}/tree/v1`, `${hub}/resolve/v1/`],
      [`${hub}/resolve/v1/`, `${hub}/resolve/v1/`],
      ["https://example.org/owner/name", "https://example.org/owner/name/"],
    ]
  ) assert.equal(urlModelFiles(address!).source, source);
  for (const address of ["owner/name", "file:///model", ""]) {
    assert.throws(() => urlModelFiles(address), { name: "HubError", reason: "invalid" });
  }
});
