import type { FlowerHandler } from "../../src/network/flower/message.ts";
import { float32Array, type FlowerRecord } from "../../src/network/flower/records/record.ts";

/** Adds one to every array, and says that it had 7 examples and a loss of 0.25. */
export const addOne: FlowerHandler = ({ type, records }) => {
  const reply = new Map<string, FlowerRecord>();
  for (const [name, record] of type === "train" ? records : []) {
    if (record.type !== "arrays") continue;
    const arrays = [...record.arrays].map(([key, { shape, data }]) =>
      [key, float32Array(shape, (data as Float32Array).map((value) => value + 1))] as const
    );
    reply.set(name, { type: "arrays", arrays: new Map(arrays) });
  }
  return reply.set("metrics", {
    type: "metrics",
    values: new Map<string, bigint | number>([["num-examples", 7n], ["loss", 0.25]]),
  });
};
