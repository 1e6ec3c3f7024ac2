import { Buffer } from "node:buffer";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import {
  playWithKills,
  simulatedAdapter,
  writeTinyFederation,
} from "../test/support/federation_processes.ts";
import { startNats } from "../test/support/nats_server.ts";
import { Random } from "../test/support/random.ts";

/**
 * Shows that a federation of processes over a real NATS server comes to the bytes of a simulation: a host and three participants, first left
 * alone, then with processes that are killed by SIGKILL at random moments and started again, the host among them.
 *
 * Usage: `npm run prove:federation [KILLS OF PARTICIPANTS] [KILLS OF HOSTS] [SEED]`, by default 5, 2 and 1 for each method.
 */
async function prove(participants: number, hosts: number, seed: number): Promise<boolean> {
  await using server = await startNats();
  const random = new Random(seed);
  const methods = {
    fedit: { method: "fedit" },
    federa: { method: "federa" },
    "federa-exact": { method: "federa-exact" },
    "scaffold over fedit, by sgd": { method: "fedit", algorithm: "scaffold" },
  };
  let isEqual = true;
  for (const [label, method] of Object.entries(methods)) {
    for (const kills of [{ participants: 0, hosts: 0 }, { participants, hosts }]) {
      const folder = await mkdtemp(join(tmpdir(), "federa-prove-"));
      try {
        await writeTinyFederation(folder, {
          method: { learningRate: 0.01, rank: 2, ...method },
          rounds: 12,
          local: { steps: 12 },
          ...("algorithm" in method && { optimizer: { name: "sgd" } }),
        });
        const killed: string[] = [];
        const begin = performance.now();
        const adapter = await playWithKills(folder, {
          url: server.url,
          kills,
          random,
          onKill: (what, milliseconds) => killed.push(`${what} after ${milliseconds} ms`),
        });
        const seconds = ((performance.now() - begin) / 1000).toFixed(1);
        const expected = await simulatedAdapter(folder);
        const isSame = Buffer.compare(Buffer.from(adapter), Buffer.from(expected)) === 0;
        isEqual &&= isSame;
        console.log(
          `${label}: ${
            isSame ? "the bytes of a simulation" : "OTHER BYTES than a simulation"
          }, in ${seconds} s; ` +
            (killed.length === 0 ? "nobody was killed" : `killed: ${killed.join(", ")}`),
        );
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    }
  }
  return isEqual;
}

const [participants = 5, hosts = 2, seed = 1] = process.argv.slice(2).map(Number);
process.exitCode = await prove(participants, hosts, seed) ? 0 : 1;
