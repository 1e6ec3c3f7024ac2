import type { TaskModel } from "../../tasks/mod.ts";
import type { RoundPlan } from "../method.ts";
import type { Tensors } from "../tensors.ts";
import { sendUploads } from "../transport/send.ts";
import { trainLocally, type TrainLocallyOptions } from "./train_locally.ts";

/** What the server has of clients after their local steps. The caller disposes the tensors. */
export interface TrainedClients {
  /** What it has decoded of the uploads, [C, ...] by name. */
  readonly values: Tensors;
  /** What each client keeps until its next round, [C, ...] by name. */
  readonly keep: Tensors;
  /** Mean training loss of each over its steps. */
  readonly losses: readonly number[];
  /** Whose loss or upload isn't finite, by their place, and what isn't: nothing of theirs may be used. */
  readonly diverged: ReadonlyMap<number, string>;
  /** Bytes of each one's upload. */
  readonly bytesUp: readonly number[];
}

/**
 * The local training of clients in one stream of kernels, and their uploads as the server decodes them, without making the bytes.
 *
 * @param model the global model at the start of the round.
 */
export async function trainClients(
  model: TaskModel,
  plan: RoundPlan,
  options: TrainLocallyOptions,
): Promise<TrainedClients> {
  const { codec, clients } = options;
  const { upload, keep, losses, diverged, shapes, held, ...rest } = await trainLocally(model, plan, options);
  using _ = held;
  const bytesUp = shapes.map((own) => own.size === 0 ? 0 : codec.payloadBytes(own));
  if (codec.lossless) {
    return { values: held.release(upload), keep: held.release(keep), losses, diverged, bytesUp };
  }
  const sent = sendUploads(upload, codec, { ...options, ...rest, clients, shapes: plan.ranks && shapes });
  return {
    values: sent.received,
    keep: new Map([...held.release(keep), ...sent.keep]),
    losses,
    diverged,
    bytesUp,
  };
}
