import { add, randomKey, sub, tidy } from "../../engine/mod.ts";
import { type Shapes, type Tensors, withoutPrefix } from "../tensors.ts";
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
  /** What each kept, [C, ...]; of a codec with feedback also what it lost before. */
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

/** What clients keep of uploads of these shapes until the next time; nothing unless the codec has feedback. */
export function keptBySending(codec: Codec, shapes: Shapes): Shapes {
  return new Map(codec.feedback ? [...shapes].map(([name, shape]) => [`${lost}${name}`, shape]) : []);
}

/**
 * What the server has of uploads that went through a lossy codec: x + decoded(y − x) of values with a start x, decoded(y) of
 * others. Where the codec has feedback, what it lost the last time is added before, and what it loses now is kept.
 */
export function sendUploads(values: Tensors, codec: Codec, options: SendOptions): Sent {
  const { seed, round, clients, start, kept, shapes } = options;
  return tidy(() => {
    const before = withoutPrefix(lost, kept);
    const changes = new Map([...values].map(([name, y]) => {
      const x = start.get(name);
      const change = x === undefined ? y : sub(y, x);
      const rest = before.get(name);
      return [name, rest === undefined ? change : add(change, rest)];
    }));
    const decoded = codec.transmit(changes, {
      keys: clients.map(({ id }) => randomKey(seed, "codec", round, id)),
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
