import { byName } from "../factory.ts";
import { nonFinite, wrongNames, wrongShape } from "./broken_payloads.ts";
import type { AttackKind } from "./define_attack.ts";
import { gaussianNoise } from "./gaussian.ts";
import { labelFlip } from "./label_flip.ts";
import { littleIsEnough } from "./little_is_enough.ts";
import { scaled, signFlip } from "./sign_flip.ts";

export * from "./define_attack.ts";
export * from "./draw_attackers.ts";
export { gaussianNoise, labelFlip, littleIsEnough, nonFinite, scaled, signFlip, wrongNames, wrongShape };

const all = [
  signFlip,
  scaled,
  gaussianNoise,
  labelFlip,
  littleIsEnough,
  nonFinite,
  wrongShape,
  wrongNames,
] as const;

/** Every kind of attack by name. */
export const attackKinds: ReadonlyMap<string, AttackKind> = byName(all);
