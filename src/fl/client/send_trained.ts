import type { RoundPlan } from "../method.ts";
import type { Tensors } from "../tensors.ts";
import { sendUploads } from "../transport/send.ts";
import type { LocalResult, TrainLocallyOptions } from "./train_locally.ts";

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

/** Options of {@linkcode sendTrained}. */
export type SendTrainedOptions = Pick<TrainLocallyOptions, "codec" | "clients" | "seed" | "round"> & {
  readonly plan: RoundPlan;
};

/** Puts what clients have trained on the wire, without making the bytes; it takes over what is held. */
export function sendTrained(local: LocalResult, options: SendTrainedOptions): TrainedClients {
  const { codec, clients, plan } = options;
  const { upload, keep, losses, diverged, shapes, held, ...rest } = local;
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
