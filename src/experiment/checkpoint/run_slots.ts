import { readdir, stat } from "node:fs/promises";
import { join } from "node:path";
import { type Config, type MethodConfig, methodLabel } from "../config/config.ts";
import type { Preparation } from "../run/prepare.ts";
import { type Replicate, replicateName, replicatesOf } from "../run/replicate.ts";
import { checkUnchanged, ResumeError } from "./continue_method.ts";
import { identityOf } from "./identity.ts";
import { HISTORY, type Past, readPast } from "./past.ts";

/** One run of a method, and the folder that it has or gets. */
export interface RunSlot {
  readonly method: MethodConfig;
  readonly replicate: Replicate;
  readonly folder: string;
  /** Its method, and its replicate where there are several. */
  readonly label: string;
}

/** The runs of a configuration, replicate by replicate, in each the methods in their order. */
export function runSlots(config: Config, folder: string): RunSlot[] {
  const replicates = replicatesOf(config);
  const several = replicates.length > 1;
  return replicates.flatMap((replicate) =>
    config.methods.map((method) => {
      const name = several ? replicateName(replicate) : "";
      const label = methodLabel(method);
      return {
        method,
        replicate,
        folder: join(folder, label, name),
        label: several ? `${label}/${name}` : label,
      };
    })
  );
}

/**
 * What the folder of a run says of each slot that has begun, checked against the configuration, data and model of now: before
 * anything is trained, so that no table compares results of different data.
 *
 * @throws {ResumeError} naming what has changed.
 * @throws {CorruptFileError} when a history isn't one.
 */
export async function readPasts(
  preparation: Preparation,
  { folder, slots }: { readonly folder: string; readonly slots: readonly RunSlot[] },
): Promise<Map<RunSlot, Past>> {
  const { config } = preparation;
  await checkLayout(config, folder);
  const pasts = new Map<RunSlot, Past>();
  for (const slot of slots) {
    const past = await readPast(slot.folder);
    if (past === undefined) continue;
    if (past.identity === undefined) {
      throw new ResumeError(
        `Cannot resume ${slot.label}: ${
          join(slot.folder, HISTORY)
        } doesn't say what it follows from; start a new run with ` +
          "federa run",
      );
    }
    checkUnchanged(slot.label, past.identity, await identityOf(preparation, slot.method, slot.replicate));
    const done = past.reports.length;
    if (done > config.rounds) {
      throw new ResumeError(
        `Cannot resume ${slot.label}: rounds must be at least the ${done} that it has done, got ${config.rounds}`,
      );
    }
    pasts.set(slot, past);
  }
  return pasts;
}

/** @throws {ResumeError} when there was one replicate and there are several now, or the other way round. */
async function checkLayout(config: Config, folder: string): Promise<void> {
  const several = replicatesOf(config).length > 1;
  for (const method of config.methods) {
    const own = join(folder, methodLabel(method));
    const names = await namesIn(own);
    const hadSeveral = names.some((name) => /^draw-\d+-seed-\d+$/.test(name));
    if (several ? names.includes(HISTORY) : hadSeveral) {
      throw new ResumeError(
        `Cannot resume ${folder}: ${methodLabel(method)} was run for ${
          hadSeveral ? "several replicates" : "one replicate"
        }, and ` +
          `draws and seeds now say ${several ? "several" : "one"}; restore them`,
      );
    }
  }
}

async function namesIn(folder: string): Promise<string[]> {
  const info = await stat(folder).catch(() => undefined);
  return info?.isDirectory() ? await readdir(folder) : [];
}
