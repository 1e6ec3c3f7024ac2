import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { connect } from "@nats-io/transport-node";
import { decodeRunState, encodeRunState } from "../../../../src/fl/mod.ts";
import { type HostedRun, hostFederation } from "../../../../src/network/nats/federation/mod.ts";
import { testGpu } from "../../../engine/harness.ts";
import {
  host,
  join,
  names,
  simulated,
  type TinyFederation,
  tinyFederation,
} from "../../../support/nats_federation.ts";
import { type NatsServer, startNats, withoutNats } from "../../../support/nats_server.ts";

const skip = await withoutNats();
const gpu = await testGpu();
let server: NatsServer;
before(async () => {
  if (!skip) server = await startNats();
});
after(() => server?.stop());

/** Hosts until after a round, and ends without a word, as a process that is killed; what it had written. */
async function hostUntil(
  { pretrained, settings }: TinyFederation,
  round: number,
): Promise<HostedRun & { readonly state: Uint8Array }> {
  const connection = await connect({ servers: server.url });
  let run: HostedRun | undefined;
  let state: Uint8Array = new Uint8Array();
  try {
    for await (const event of hostFederation(pretrained, { connection, settings, evaluateEvery: 0 })) {
      if (event.type === "begun") run = event;
      if (event.type !== "round" || event.report.round < round) continue;
      state = await encodeRunState(event.state);
      await connection.close();
      return { run: run!.run, members: run!.members, state };
    }
  } finally {
    await connection.close();
  }
  throw new Error("the federation has ended before");
}

test(
  "hostFederation() goes on after kills to the bits of one that never stopped, from a round before what its participants have, too",
  { skip },
  async () => {
    const federation = tinyFederation(gpu, { method: "fedit", algorithm: "scaffold" }, { silenceSeconds: 3 });
    const expected = await simulated(federation);
    const hosting = async () => {
      const first = await hostUntil(federation, 1);
      // The second round is played, and forgotten.
      await host(server.url, federation, {
        resume: { ...first, state: decodeRunState(gpu, first.state).state },
        onEvent(event) {
          if (event.type === "round" && event.report.round === 2) throw new Error("killed");
        },
      }).catch(() => {});
      return await host(server.url, federation, {
        resume: { ...first, state: decodeRunState(gpu, first.state).state },
      });
    };
    const [hosted] = await Promise.all([
      hosting(),
      ...names.map((name) => join(server.url, federation, { name })),
    ]);
    assert.deepEqual(hosted.parameters, expected.parameters);
  },
);

test(
  "hostFederation() that was ended after its last round still gives its participants the model",
  { skip },
  async () => {
    const federation = tinyFederation(gpu, { method: "federa-exact" }, { silenceSeconds: 3, rounds: 1 });
    const hosting = async () => {
      const first = await hostUntil(federation, 1);
      return await host(server.url, federation, {
        resume: { ...first, state: decodeRunState(gpu, first.state).state },
      });
    };
    const [hosted, ...joined] = await Promise.all([
      hosting(),
      ...names.map((name) => join(server.url, federation, { name })),
    ]);
    assert.deepEqual(hosted.reports, []);
    for (const { model } of joined) assert.deepEqual(model, hosted.parameters);
  },
);

test("a federation goes on when the NATS server was away", { skip }, async () => {
  await using first = await startNats({ folder: server.folder });
  const federation = tinyFederation(gpu, { method: "fedit" });
  const expected = await simulated(federation);
  let second: NatsServer | undefined;
  const [hosted] = await Promise.all([
    host(first.url, federation, {
      async onEvent(event) {
        if (event.type !== "round" || event.report.round !== 1) return;
        await first.stop("SIGKILL");
        second = await startNats({ folder: server.folder, port: first.port });
      },
    }),
    ...names.map((name) => join(first.url, federation, { name })),
  ]);
  await second?.stop();
  assert.deepEqual(hosted, expected);
});
