import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { testGpu } from "../../../engine/harness.ts";
import { host, join, names, simulated, tinyFederation } from "../../../support/nats_federation.ts";
import { type NatsServer, startNats, withoutNats } from "../../../support/nats_server.ts";

const skip = await withoutNats();
const gpu = await testGpu();
let server: NatsServer;
before(async () => {
  if (!skip) server = await startNats();
});
after(() => server?.stop());

for (
  const [label, method] of Object.entries({
    fedit: { method: "fedit" },
    federa: { method: "federa" },
    "federa-exact": { method: "federa-exact" },
    "scaffold over fedit": { method: "fedit", algorithm: "scaffold" },
  })
) {
  test(
    `hostFederation() with three participants over NATS gives the bits of simulate(): ${label}`,
    { skip },
    async () => {
      const federation = tinyFederation(gpu, method);
      const expected = await simulated(federation);
      const [hosted, ...joined] = await Promise.all([
        host(server.url, federation),
        ...[...names].reverse().map((name) => join(server.url, federation, { name })),
      ]);
      assert.deepEqual(hosted, expected);
      for (const { events, model } of joined) {
        assert.deepEqual(model, hosted!.parameters);
        assert.deepEqual(events.flatMap((each) => each.type === "sent" ? [each.round] : []), [1, 2, 3]);
      }
    },
  );
}
