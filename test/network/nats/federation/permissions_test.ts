import assert from "node:assert/strict";
import { test } from "node:test";
import { connect, type NatsConnection } from "@nats-io/transport-node";
import { federationPermissions } from "../../../../src/network/nats/federation/mod.ts";
import { testGpu } from "../../../engine/harness.ts";
import { host, join, names, simulated, tinyFederation } from "../../../support/nats_federation.ts";
import { startNats, withoutNats } from "../../../support/nats_server.ts";

const skip = await withoutNats();
const gpu = await testGpu();

test(
  "federationPermissions() are enough for a federation, and let no participant read or write for another",
  { skip },
  async () => {
    const secrets = Object.fromEntries(["host", ...names].map((name) => [name, `secret of ${name}`]));
    const users = federationPermissions("tiny", names);
    await using server = await startNats({
      config: `authorization { users = [\n${
        users.map(({ user, permissions }) => JSON.stringify({ user, password: secrets[user], permissions }))
          .join("\n")
      }\n] }`,
    });
    const as = (user: string) => ({ servers: server.url, user, pass: secrets[user]! });
    const federation = tinyFederation(gpu, { method: "fedit" });
    const spies: NatsConnection[] = [];
    const denied: string[] = [];
    const heard: string[] = [];
    const spy = await connect(as("cyd"));
    spies.push(spy);
    void (async () => {
      for await (const status of spy.status()) {
        if (status.type === "error") denied.push(String((status as { error: Error }).error.message));
      }
    })();
    const forbidden = [
      "federa.federation.tiny.from.ada.*",
      "federa.federation.tiny.from.*.*",
      "federa.federation.tiny.to.ada.*",
      "federa.federation.tiny.>",
      "federa.>",
      ">",
      "$JS.API.>",
      "_INBOX.>",
    ];
    for (const subject of forbidden) {
      spy.subscribe(subject, {
        callback: (error, message) => void (error === null && heard.push(message.subject)),
      });
    }
    for (
      const subject of [
        "federa.federation.tiny.from.ada.leave",
        "federa.federation.tiny.to.ada.x",
        "federa.federation.tiny.host",
      ]
    ) {
      spy.publish(subject, "{}");
    }
    await spy.flush();
    const [hosted] = await Promise.all([
      host(server.url, federation, {}, as("host")),
      ...names.map((name) => join(server.url, federation, { name, connectWith: as(name) })),
    ]);
    assert.deepEqual(hosted, await simulated(federation));
    for (const subject of forbidden) {
      assert.ok(
        denied.some((each) => each.includes(`Subscription to "${subject}"`)),
        `${subject} isn't denied: ${denied}`,
      );
    }
    assert.equal(denied.filter((each) => /Publish to/.test(each)).length, 3);
    assert.deepEqual(heard, []);
    await Promise.all(spies.map((each) => each.close()));
  },
);
