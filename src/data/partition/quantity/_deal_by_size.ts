import type { RandomStream } from "../../../engine/random.ts";

/** Gives each client as many examples as its size says, drawn at random. */
export function dealBySize(numExamples: number, sizes: readonly number[], stream: RandomStream): number[][] {
  const order = stream.shuffle(Array.from({ length: numExamples }, (_, i) => i));
  let begin = 0;
  return sizes.map((size) => order.slice(begin, begin += size));
}
