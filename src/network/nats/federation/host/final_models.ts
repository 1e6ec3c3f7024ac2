import { f32Codec, type Method, type RunState } from "../../../../fl/mod.ts";
import { readDownload } from "../../../../fl/client/download.ts";
import type { TaskModel } from "../../../../tasks/mod.ts";
import type { End } from "../messages.ts";
import { type Outgoing, packParcel } from "../parcels.ts";
import type { Roster } from "./roster.ts";

/** What a participant gets of the global model at the end. */
export interface FinalModel {
  readonly words: NonNullable<End["model"]>;
  readonly download: Outgoing;
}

/** Options of {@linkcode packFinalModels}. */
export interface FinalModelsOptions {
  readonly method: Method;
  readonly state: RunState;
  readonly roster: Roster;
  readonly maxMessageBytes: number;
}

/** What each participant would download next, by its name: the global model in the way that its method sends it. */
export async function packFinalModels(
  model: TaskModel,
  { method, state: { round, method: state, lastRounds }, roster, maxMessageBytes }: FinalModelsOptions,
): Promise<ReadonlyMap<string, FinalModel>> {
  const plan = method.plan(state, round + 1);
  const models = new Map<string, FinalModel>();
  for (const [id, { name, numExamples }] of roster.members.entries()) {
    const lastRound = lastRounds[id]!;
    const values = await readDownload(model, plan, { id, numExamples, lastRound });
    const download = await packParcel(f32Codec.encode(values), maxMessageBytes);
    models.set(name, {
      download,
      words: {
        round: round + 1,
        client: id,
        numClients: roster.members.length,
        lastRound,
        download: download.parcel,
      },
    });
  }
  return models;
}
