import { z } from "zod";
import type { Task, TaskSet } from "../../tasks/mod.ts";
import { defineAttack } from "./define_attack.ts";

/** Label flipping (Fung et al., arXiv 1808.04866): attackers train honestly on wrong labels, class C − 1 − c in place of c. */
export const labelFlip = defineAttack({
  name: "label-flip",
  summary: "train on the classes in reverse order",
  papers: ["1808.04866"],
  options: z.strictObject({}),
  create: () => ({ poison: flipped }),
});

function flipped(train: TaskSet, { kind, labels }: Task): TaskSet {
  const { targets } = train;
  if (!(targets instanceof Int32Array) || !kind.endsWith("classification")) {
    throw new TypeError(
      `Cannot flip the labels of ${kind}: expected classes; choose another attack, such as sign-flip`,
    );
  }
  // Targets that don't count are below 0.
  return { ...train, targets: targets.map((each) => each < 0 ? each : labels.length - 1 - each) };
}
