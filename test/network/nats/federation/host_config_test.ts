import assert from "node:assert/strict";
import { test } from "node:test";
import { parseWith } from "../../../../src/experiment/config/parse_config.ts";
import { hostConfigSchema } from "../../../../src/network/nats/federation/host/host_config.ts";

const plain = {
  name: "mail",
  model: "hf:a/b",
  labels: ["ham", "spam"],
  method: { method: "federa", learningRate: 1e-3 },
  rounds: 3,
  participants: 4,
};
const parse = (more: object) => parseWith(hostConfigSchema, { ...plain, ...more }, "host.json");

test("hostConfigSchema has defaults for what can have one, and noise that no participant can take off", () => {
  const { minimum, local, batchSize, sharesModel, silenceSeconds, measures } = parse({});
  assert.deepEqual({ minimum, local, batchSize, sharesModel, silenceSeconds, measures }, {
    minimum: 2,
    local: { epochs: 1 },
    batchSize: 8,
    sharesModel: true,
    silenceSeconds: 60,
    measures: [],
  });
  assert.equal(parse({ clientsPerRound: 1 }).minimum, 1);
  const privacy = { kind: "local-dp", clipNorm: 1, noiseMultiplier: 1, noise: "seeded" };
  assert.equal(parse({ privacy }).method.privacy?.["noise"], "secret");
  assert.equal(parse({ method: { ...plain.method, privacy } }).method.privacy?.["noise"], "secret");
  // What was written reads as what it was.
  const written = parse({ privacy, test: { files: "test.csv" } });
  assert.deepEqual(parseWith(hostConfigSchema, JSON.parse(JSON.stringify(written)), ""), written);
});

test("hostConfigSchema names each mistake and its place", () => {
  for (
    const [more, message] of [
      [{ labels: undefined }, /labels: expected the names of the outputs/],
      [{ labels: ["a", "a"] }, /labels: "a" is there twice/],
      [{ name: "my mail" }, /name: expected 1 to 64 letters, digits, - and _/],
      [{ clientsPerRound: 5 }, /clientsPerRound: expected at most participants \(4\), got 5/],
      [{ minimum: 5 }, /minimum: expected at most as many as a round asks \(4\), got 5/],
      [{ keepBest: true }, /keepBest: expected test and evaluateEvery/],
      [{ data: { kind: "files" } }, /unknown key "data"/],
      [{ partition: { kind: "iid" } }, /unknown key "partition"/],
      [{ participant: 3 }, /unknown key "participant"; did you mean "participants"\?/],
      [
        { schedule: { kind: "linear", warmupRounds: 9 } },
        /schedule\.warmupRounds: expected at most rounds \(3\), got 9/,
      ],
      [{ method: { ...plain.method, secureAggregation: true } }, /method: a host sees each upload/],
      [
        { method: { ...plain.method, asynchrony: { kind: "fedbuff", bufferSize: 2 } } },
        /method: a host waits for the answers of a round/,
      ],
      [{ test: { files: "a.csv", labels: ["x"] } }, /test: unknown key "labels"/],
    ] as const
  ) {
    assert.throws(() => parse(more), { name: "ConfigError", message });
  }
});
