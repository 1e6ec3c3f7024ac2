import { add, type RandomKey, randomKey, sub, tidy } from "../../engine/mod.ts";
import {
  changesSince,
  type HostTensor,
  type HostTensors,
  type Shapes,
  type Tensors,
  withoutPrefix,
} from "../tensors.ts";
import type { Codec } from "./codec.ts";

/** Under which names clients keep what a codec with feedback lost. */
const lost = "lost/";

/** Options of {@linkcode sendUploads}. */
export interface SendOptions {
  readonly seed: number;
  readonly round: number;
  readonly clients: readonly { readonly id: number }[];
  /** Values that both sides know, [...] or [C, ...]: of these names the change is sent. */
  readonly start: Tensors;
  /** What each kept for a codec with feedback, [C, ...]. */
  readonly kept: Tensors;
  /** Each client's own shapes, where some are smaller. */
  readonly shapes?: readonly Shapes[] | undefined;
}

/** What arrives of an upload. The caller disposes the tensors. */
export interface Sent {
  /** What the server has decoded, [C, ...] by name. */
  readonly received: Tensors;
  /** What clients keep of it, [C, ...] by name. */
  readonly keep: Tensors;
}

/** What random rounding of a client's upload is drawn by. */
export function uploadKey(seed: number, round: number, client: number): RandomKey {
  return randomKey(seed, "codec", round, client);
}

/** What clients keep of uploads of these shapes until the next time; nothing unless the codec has feedback. */
export function keptBySending(codec: Codec, shapes: Shapes): Shapes {
  return new Map(codec.feedback ? [...shapes].map(([name, shape]) => [`${lost}${name}`, shape]) : []);
}

/**
 * What a lossy codec is given of uploads: y − x of values with a start x, y of others, and what clients kept of the last time added.
 * The caller disposes the tensors that are new.
 */
export function changesOf(values: Tensors, { start, kept }: Pick<SendOptions, "start" | "kept">): Tensors {
  const before = withoutPrefix(lost, kept);
  return new Map([...changesSince(start, values)].map(([name, change]) => {
    const rest = before.get(name);
    return [name, rest === undefined ? change : add(change, rest)];
  }));
}

/**
 * What the server has of uploads that went through a lossy codec: x + decoded(y − x) of values with a start x, decoded(y) of
 * others. Where the codec has feedback, what it lost the last time is added before, and what it loses now is kept.
 */
export function sendUploads(values: Tensors, codec: Codec, options: SendOptions): Sent {
  const { seed, round, clients, start, shapes } = options;
  return tidy(() => {
    const changes = changesOf(values, options);
    const decoded = codec.transmit(changes, {
      keys: clients.map(({ id }) => uploadKey(seed, round, id)),
      ...(shapes && { shapes }),
    });
    const received = new Map([...decoded].map(([name, change]) => {
      const x = start.get(name);
      return [name, x === undefined ? change : add(change, x)];
    }));
    const keep = codec.feedback
      ? new Map([...changes].map(([name, change]) => [`${lost}${name}`, sub(change, decoded.get(name)!)]))
      : new Map();
    return { received, keep };
  });
}

/** What a client keeps of changes that a codec with feedback has put into a payload. */
export function lostBySending(changes: HostTensors, decoded: HostTensors): Map<string, HostTensor> {
  return new Map([...changes].map(([name, { shape, data }]) => {
    const arrived = decoded.get(name)!.data;
    return [`${lost}${name}`, { shape, data: data.map((value, i) => value - arrived[i]!) }];
  }));
}
