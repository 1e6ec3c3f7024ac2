import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { test } from "node:test";
import { inspect } from "node:util";
import { HubError, type HubErrorReason } from "../../../src/hub/errors.ts";
import { openModelFiles } from "../../../src/hub/mod.ts";
import type { HubRequest, Misbehaviour } from "../../support/hub_server.ts";
import { CONFIG, makeBench, NEW, REPO } from "./bench.ts";

/** Opens the model and reads a small and a large file. */
async function readBoth(spec: string, options: Parameters<typeof openModelFiles>[1]): Promise<void> {
  const model = await openModelFiles(spec, options);
  assert.deepEqual(await readFile((await model.path("config.json"))!), CONFIG);
  assert.ok(await model.path("model.safetensors"));
}

function expectError(reason: HubErrorReason, message: RegExp): (error: unknown) => true {
  return (error) => {
    assert.ok(error instanceof HubError, String(error));
    assert.match(error.message, message);
    assert.equal(error.reason, reason);
    assert.doesNotMatch(error.message, /\.$|hf_secret/);
    return true;
  };
}

const REFUSALS: [name: string, wrong: Misbehaviour, reason: HubErrorReason, message: RegExp][] = [
  [
    "401",
    { status: 401 },
    "unauthorized",
    /refuses \(401\); set HF_TOKEN to a token that may read the model/,
  ],
  ["403", { status: 403, headers: { "x-error-message": "No." } }, "unauthorized", /refuses \(403: "No\."\)/],
  [
    "403 of a gated model",
    { status: 403, headers: { "x-error-code": "GatedRepo" } },
    "unauthorized",
    /is gated \(403\); ask for access at http:.*\/owner\/name and set HF_TOKEN/,
  ],
  [
    "401 of a gated model",
    { status: 401, headers: { "x-error-code": "GatedRepo" } },
    "unauthorized",
    /is gated/,
  ],
  ["404", { status: 404 }, "not-found", /has no such model \(404\); check the name; if it is private/],
  ["400", { status: 400 }, "server", /answers 400; check HF_ENDPOINT/],
  ["a page of something else", { text: "<html>" }, "server", /the answer isn.t from a hub.*got "<html>"/],
  ["JSON of something else", { text: '{"sha":"main","siblings":[]}' }, "server", /isn't from a hub/],
  [
    "a list with a hole",
    { text: `{"sha":"${NEW}","siblings":[{"rfilename":"a"},null]}` },
    "server",
    /isn't from a hub/,
  ],
  [
    "a redirect to a file",
    { status: 302, headers: { location: "file:///etc/passwd" } },
    "server",
    /redirects to "file:\/\/\/etc\/passwd", which is not a web address/,
  ],
  ["a redirect to nowhere", { status: 302 }, "server", /redirects to ""/],
  [
    "a circle of redirects",
    { status: 307, headers: { location: "?again" } },
    "server",
    /more than 10 redirects/,
  ],
];
for (const [name, wrong, reason, message] of REFUSALS) {
  test(`openModelFiles() tells ${name} from the hub, at once`, async (t) => {
    const { server, options } = await makeBench(t);
    server.misbehave = () => wrong;
    await assert.rejects(openModelFiles(`hf:${REPO}`, options), expectError(reason, message));
    assert.ok(server.requests.length <= 11);
  });
}

test("openModelFiles() tells a missing model, revision and file apart", async (t) => {
  const { options } = await makeBench(t);
  await assert.rejects(
    openModelFiles("hf:owner/other", options),
    expectError("not-found", /Cannot open hf:owner\/other@main: .* has no such model \(401: "Invalid user/),
  );
  await assert.rejects(
    openModelFiles(`hf:${REPO}@v9`, options),
    expectError("not-found", /Cannot open hf:owner\/name@v9: the model has no such revision; see http/),
  );
  const model = await openModelFiles(`hf:${REPO}`, options);
  assert.equal(await model.path("none.json"), undefined);
});

test("openModelFiles() reads a private model with the token, and shows the token to the hub alone", async (t) => {
  const { server, options } = await makeBench(t);
  server.repos.set(REPO, { ...server.repos.get(REPO)!, token: "hf_secret" });
  await assert.rejects(readBoth(`hf:${REPO}`, options), expectError("not-found", /set HF_TOKEN to a token/));
  const withToken = (token: string) => ({
    ...options,
    environment: { ...options.environment, HF_TOKEN: token },
  });
  await assert.rejects(
    readBoth(`hf:${REPO}`, withToken("hf_wrong")),
    expectError("not-found", /check the name, and that the token in HF_TOKEN may read it/),
  );
  server.requests.length = 0;
  await readBoth(`hf:${REPO}`, withToken("hf_secret"));
  const shown = (host: HubRequest["host"]) =>
    new Set(server.requests.filter((r) => r.host === host).map((r) => r.authorization));
  assert.deepEqual(shown("hub"), new Set(["Bearer hf_secret"]));
  assert.deepEqual(shown("store"), new Set([undefined]));
});

test("openModelFiles() does not follow a redirect with its token, not even to another port", async (t) => {
  const { server, options } = await makeBench(t);
  server.misbehave = ({ host }) =>
    host === "hub" ? { status: 302, headers: { location: `${server.storeAddress}/elsewhere` } } : undefined;
  const environment = { ...options.environment, HF_TOKEN: "hf_secret" };
  await assert.rejects(openModelFiles(`hf:${REPO}`, { ...options, environment }), { name: "HubError" });
  assert.ok(server.requests.some(({ host }) => host === "store"));
  for (const { host, authorization } of server.requests) {
    assert.equal(authorization, host === "hub" ? "Bearer hf_secret" : undefined);
  }
});

test("openModelFiles() reads through a mirror that redirects to another hub", async (t) => {
  const { server, options } = await makeBench(t);
  const mirror = await makeBench(t);
  mirror.server.misbehave = ({ path }) => ({ status: 308, headers: { location: server.endpoint + path } });
  const environment = { ...options.environment, HF_ENDPOINT: mirror.server.endpoint, HF_TOKEN: "hf_secret" };
  await readBoth(`hf:${REPO}`, { ...options, environment });
  assert.deepEqual(new Set(server.requests.map((r) => r.authorization)), new Set([undefined]));
});

const PASSING: [name: string, wrong: Misbehaviour][] = [
  ["500", { status: 500 }],
  ["503 with Retry-After", { status: 503, headers: { "retry-after": "0" } }],
  ["429", { status: 429 }],
  ["429 with Retry-After in seconds", { status: 429, headers: { "retry-after": "1" } }],
  ["429 with the hub's own header", { status: 429, headers: { ratelimit: '"api";r=0;t=1' } }],
  ["a connection closed without an answer", { drop: true }],
];
for (const [name, wrong] of PASSING) {
  test(`openModelFiles() tries again after ${name}, in each kind of request`, async (t) => {
    const { server, options } = await makeBench(t);
    const started = performance.now();
    const met = new Set<string>();
    const waits = Object.keys(wrong.headers ?? {}).length > 0 && wrong.status === 429;
    server.misbehave = ({ method, host, path }) => {
      const kind = waits ? method : `${method} ${host} ${path}`;
      if (met.has(kind)) return undefined;
      met.add(kind);
      return wrong;
    };
    await readBoth(`hf:${REPO}`, options);
    assert.ok(met.size >= 2);
    if (waits) assert.ok(performance.now() - started >= 2000, "it did not wait");
  });
}

test("openModelFiles() waits until the date that Retry-After names", async (t) => {
  const { server, options } = await makeBench(t);
  let until = 0;
  server.misbehave = () => {
    if (until > 0) {
      assert.ok(Date.now() >= until, `came back ${until - Date.now()} ms early`);
      return undefined;
    }
    // HTTP dates count seconds.
    until = Math.floor(Date.now() / 1000) * 1000 + 2000;
    return { status: 429, headers: { "retry-after": new Date(until).toUTCString() } };
  };
  await openModelFiles(`hf:${REPO}`, options);
  assert.equal(server.requests.length, 2);
});

const LASTING: [name: string, wrong: Misbehaviour, requests: number, reason: HubErrorReason, RegExp][] = [
  ["500", { status: 500 }, 4, "server", /127\.0\.0\.1:\d+ fails \(500\); try again later/],
  [
    "429",
    { status: 429 },
    4,
    "rate-limited",
    /limits requests \(429\); try again after that, or set HF_TOKEN/,
  ],
  [
    "429 with a long wait",
    { status: 429, headers: { "retry-after": "3600" } },
    1,
    "rate-limited",
    /and asks to wait 3600 s; try again after that/,
  ],
  [
    "closed connections",
    { drop: true },
    4,
    "offline",
    /connection to 127.* failed \(UND_ERR_SOCKET\); check/,
  ],
];
for (const [name, wrong, requests, reason, message] of LASTING) {
  test(`openModelFiles() gives up on ${name} after a few attempts`, async (t) => {
    const { server, options } = await makeBench(t);
    server.misbehave = () => wrong;
    await assert.rejects(openModelFiles(`hf:${REPO}`, options), expectError(reason, message));
    assert.equal(server.requests.length, requests);
  });
}

test("openModelFiles() says that nobody answers, and how to go on without", async (t) => {
  const { server, options } = await makeBench(t);
  const address = server.endpoint;
  await server.close();
  const environment = { ...options.environment, HF_ENDPOINT: address };
  server.close = () => Promise.resolve();
  await assert.rejects(
    openModelFiles(`hf:${REPO}`, { ...options, environment }),
    expectError(
      "offline",
      /failed \(ECONNREFUSED\); check the network and try again, or set HF_HUB_OFFLINE=1/,
    ),
  );
});

test("openModelFiles() does not wait for ever for a silent hub", { timeout: 30_000 }, async (t) => {
  const { server, options } = await makeBench(t);
  server.misbehave = () => ({ stallAfter: 5 });
  const patience = { ...options.patience, attempts: 2, longestSilence: 100 };
  await assert.rejects(
    openModelFiles(`hf:${REPO}`, { ...options, patience }),
    expectError("offline", /sent no more than 5 bytes in 0\.1 s/),
  );
  assert.equal(server.requests.length, 2);
});

test("openModelFiles() gives up on a hub that sends a byte now and then", { timeout: 30_000 }, async (t) => {
  const { server, options } = await makeBench(t);
  server.misbehave = () => ({ drip: 50 });
  const patience = { ...options.patience, attempts: 2, longestSilence: 1000 };
  await assert.rejects(
    openModelFiles(`hf:${REPO}`, { ...options, patience }),
    expectError("offline", /127\.0\.0\.1:\d+ sent no more than \d+ bytes in 1 s/),
  );
  assert.equal(server.requests.length, 2);
});

test("openModelFiles() shows no password, signature or token in its messages, nor in what stands behind them", async (t) => {
  const { server, options } = await makeBench(t);
  const secret = "s3cr3t-of-ada";
  const environment = { ...options.environment, HF_TOKEN: "tok3n-of-ada" };
  const wrongs: Misbehaviour[] = [
    { status: 302, headers: { location: `https://ada:${secret}@store.example/x?X-Amz-Signature=${secret}` } },
    { status: 302, headers: { location: `ftp://store.example/x?sig=${secret}#${secret}` } },
    { status: 302, headers: { location: `https://ada:pa/${secret}@store.example/` } },
    { status: 302, headers: { location: `http://127.0.0.1:1/x?sig=${secret}` } },
    {
      status: 400,
      headers: { "x-error-message": `Bearer tok3n-of-ada at http://h/?sig=${secret} is wrong` },
    },
    { status: 400, headers: { "x-error-message": `see https://u:${secret}@h/` } },
    { status: 500, headers: { "x-error-message": `"_authToken": "${secret}"` } },
    { status: 404, headers: { "x-error-message": `password=${secret}` } },
    { text: `tok3n-of-ada, http://u:${secret}@h and hf_${secret.replaceAll("-", "")}` },
  ];
  for (const wrong of wrongs) {
    server.misbehave = () => wrong;
    const patience = { ...options.patience, attempts: 1 };
    await assert.rejects(openModelFiles(`hf:${REPO}`, { ...options, environment, patience }), (error) => {
      assert.ok(error instanceof HubError);
      assert.doesNotMatch(inspect(error, { depth: Infinity, showHidden: true }), /s3cr3t|tok3n/);
      return true;
    });
  }
});

test("openModelFiles() ends with the reason of its signal, while it waits for an answer or before the next attempt", async (t) => {
  for (const wrong of [{ stallAfter: 0 }, { status: 429, headers: { "retry-after": "2" } }]) {
    const { server, options } = await makeBench(t);
    const controller = new AbortController();
    server.misbehave = () => {
      setTimeout(() => controller.abort(new Error("enough")), 50);
      return wrong;
    };
    await assert.rejects(openModelFiles(`hf:${REPO}`, { ...options, signal: controller.signal }), {
      message: "enough",
    });
    assert.equal(server.requests.length, 1);
  }
});

test("path() accepts no answer that lacks what a hub says of a file", async (t) => {
  const cases: Misbehaviour[] = [
    { without: ["x-repo-commit"] },
    { headers: { "x-repo-commit": "0".repeat(40) } },
    { without: ["x-linked-etag"] },
    { headers: { "x-linked-etag": '"../../../evil"' } },
  ];
  for (const wrong of cases) {
    const { server, options, contents } = await makeBench(t);
    server.misbehave = ({ method }) => method === "HEAD" ? wrong : undefined;
    const model = await openModelFiles(`hf:${REPO}`, options);
    await assert.rejects(
      model.path("model.safetensors"),
      expectError(
        "server",
        /the answer isn't from a hub: expected X-Repo-Commit 0+b and a hash as ETag, got /,
      ),
    );
    await assert.rejects(contents(), { code: "ENOENT" });
  }
});
