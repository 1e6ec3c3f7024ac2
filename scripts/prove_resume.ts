import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { killAndResume } from "../test/support/kill_and_resume.ts";
import { tinyBert, writeTinyProject } from "../test/support/tiny_project.ts";

/**
 * Shows that a run that is killed goes on to the same bits: for a stateless and a stateful method, kills a run at random moments,
 * half of them while a checkpoint is being written, resumes it and compares the folder, byte by byte, with that of a run that
 * never stopped.
 *
 * Usage: `npm run prove:resume [KILLS] [SEED]`, by default 50 kills each.
 */
async function prove(kills: number, seed: number): Promise<boolean> {
  const [plain] = tinyBert.methods;
  const shared = { ...tinyBert, rounds: 6, local: { steps: 2 } };
  const cases = {
    "stateless (fedit)": shared,
    "stateful (scaffold over fedit; topk with error feedback)": {
      ...shared,
      codec: { name: "topk", share: 0.25 },
      clientsPerRound: 2,
      methods: [{ ...plain, algorithm: "scaffold" }],
      optimizer: { name: "sgd" },
    },
  };
  let isEqual = true;
  for (const [name, config] of Object.entries(cases)) {
    const folder = await mkdtemp(join(tmpdir(), "federa-prove-"));
    try {
      await writeTinyProject(folder, config);
      const done = await killAndResume({
        config: join(folder, "config.json"),
        rounds: config.rounds,
        kills,
        seed,
        onKill: ({ after, rounds, unfinished, difference }, number) => {
          const where = unfinished === undefined
            ? ""
            : `, within ${unfinished.replace(/\.[0-9a-f]+\.tmp$/, "")}`;
          console.log(
            `  ${number}. killed after ${after.toFixed(0)} ms and ${rounds} rounds${where}: ${
              difference ?? "equal"
            }`,
          );
        },
      });
      const equal = done.filter(({ difference }) => difference === undefined).length;
      const within = done.filter(({ unfinished }) => unfinished !== undefined).length;
      console.log(
        `${name}: ${equal} of ${kills} equal; ${within} were killed while a checkpoint was being written`,
      );
      isEqual &&= equal === kills;
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }
  return isEqual;
}

const [kills = 50, seed = 1] = process.argv.slice(2).map(Number);
process.exitCode = await prove(kills, seed) ? 0 : 1;
