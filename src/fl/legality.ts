import type { AggregatorFactory, AggregatorKind } from "./aggregation/aggregator.ts";
import type { Stage } from "./privacy/stage.ts";
import type { Codec } from "./transport/codec.ts";

/** What a federation may have beside its method, and what a sentence calls it. */
export const companions = {
  mixedRanks: "clients of different ranks",
  partialParticipation: "a part of the clients each round",
  lossyCodec: "a codec that loses bits",
  errorFeedback: "a codec that sends later what it lost",
  robustAggregation: "robust aggregation",
  differentialPrivacy: "differential privacy of the sum",
  localPrivacy: "local differential privacy",
  secureAggregation: "secure aggregation",
  asynchrony: "asynchrony",
} as const;

/** Something that a federation may have beside its method. */
export type Companion = keyof typeof companions;

/**
 * What becomes of the coordinates of what is trained, where they don't stay: the server takes others each round, so that nothing of an
 * earlier round (moments, control variates, a late update) belongs to them; or each client turns what it has trained before it sends it, so
 * that what it sends isn't where its steps led.
 */
export type Coordinates = "renewed" | "turned";

/** What a method says of itself; see `Method`. */
export interface MethodFacts {
  readonly name: string;
  readonly isCentral?: boolean | undefined;
  readonly sendsOtherwise?: boolean | undefined;
  readonly sees?: AggregatorKind | undefined;
  readonly coordinates?: Coordinates | undefined;
  /** Whether clients have ranks of their own. */
  readonly mixesRanks?: boolean | undefined;
  /** What it brings to a run itself: privacy that is put over a method. */
  readonly brings?: Companion | undefined;
  /**
   * What else its arithmetic doesn't hold with, and why: a clause that ends with what would do, such as "its factors begin anew each
   * round, so an update of an earlier one belongs to other factors: take fedit". What follows from the facts above needs no words.
   */
  readonly unsoundWith?: Readonly<Partial<Record<Companion, string>>> | undefined;
}

/** What a method isn't sound with for its coordinates. */
const unsoundIn: Readonly<Record<Coordinates, Readonly<Partial<Record<Companion, string>>>>> = {
  renewed: {
    asynchrony:
      "its factors are others each round, and an update of an earlier one belongs to those: take fedit",
    errorFeedback:
      "its factors are others each round, and what the codec kept of an earlier one belongs to those: take codec int8",
  },
  turned: {
    asynchrony: "clients turn their factors towards those of one common start: take fedit",
  },
};

/** Why a method isn't sound with a companion, and what would do; undefined where it is. */
export function whyUnsound(method: MethodFacts, companion: Companion): string | undefined {
  const { isCentral, sees, sendsOtherwise, coordinates, unsoundWith } = method;
  const own = unsoundWith?.[companion] ??
    (companion === "errorFeedback" ? unsoundWith?.lossyCodec : undefined);
  if (own !== undefined) return own;
  if (isCentral) {
    // Nothing is sent, so that all else on the way leaves it as it is.
    return companion === "differentialPrivacy" || companion === "localPrivacy"
      ? "it is one party with all data, whose training no noise covers: run it without"
      : companion === "asynchrony"
      ? "it is one party with all data, which waits for nobody: run it without"
      : undefined;
  }
  if (coordinates !== undefined) {
    const why = unsoundIn[coordinates][companion];
    if (why !== undefined) return why;
  }
  if (sees === "each") {
    if (companion === "robustAggregation") {
      return "it combines the uploads of each client by a rule of its own: take a method that averages, such as fedit";
    }
    if (companion === "differentialPrivacy") {
      return "noise covers the sum, and it looks at the upload of each client: take a method that averages, such as ffa-lora";
    }
    if (companion === "secureAggregation") {
      return "the server gets the sum alone, and it looks at the upload of each client: take a method that averages, such as fedit";
    }
    if (companion === "asynchrony") {
      return "it combines the uploads of one round, and these come from several: take a method that averages, such as fedit";
    }
  }
  if (sendsOtherwise && companion === "asynchrony") {
    return "its clients send something else than values of parameters, which has no change since an earlier model: take fedit";
  }
  if (sendsOtherwise && companion === "robustAggregation") {
    return "rules compare changes of parameters, and its clients send something else too: take a method that sends parameters alone";
  }
  return undefined;
}

/** Pairs of companions that aren't sound together, and why. */
const clashes: readonly (readonly [Companion, Companion, string])[] = [
  [
    "secureAggregation",
    "lossyCodec",
    "sums of masked values come out right only where every bit arrives: take codec f32",
  ],
  [
    "secureAggregation",
    "robustAggregation",
    "the rule compares single uploads, and the server gets the sum alone: leave one of them out",
  ],
  [
    "secureAggregation",
    "asynchrony",
    "masks cancel among the clients of one round, who must come together: leave one of them out",
  ],
  [
    "secureAggregation",
    "mixedRanks",
    "uploads of several lengths tell who sent them, and can't be added up: give all clients one rank",
  ],
  [
    "differentialPrivacy",
    "localPrivacy",
    "noise of one kind is enough, and neither would count for the other: leave one of them out",
  ],
  [
    "differentialPrivacy",
    "robustAggregation",
    "noise is scaled to what one client can change of a sum, and the rule makes no sum: leave one of them out",
  ],
  [
    "differentialPrivacy",
    "lossyCodec",
    "rounding after clipping can make a change longer than what the noise covers: take codec f32",
  ],
  [
    "differentialPrivacy",
    "asynchrony",
    "the accountant counts clients that are drawn anew each round: leave one of them out",
  ],
  [
    "differentialPrivacy",
    "errorFeedback",
    "what earlier rounds left out would be added after clipping, and the noise doesn't cover it: take codec f32",
  ],
  [
    "differentialPrivacy",
    "mixedRanks",
    "clients of a lower rank start elsewhere, so that their mean change isn't one of the global factors: give all clients one rank",
  ],
  [
    "robustAggregation",
    "mixedRanks",
    "the zeros that fill up lower ranks would be taken for votes: give all clients one rank",
  ],
  [
    "robustAggregation",
    "asynchrony",
    "a buffer has changes from several models, which a rule can't compare: leave one of them out",
  ],
  [
    "asynchrony",
    "mixedRanks",
    "methods with ranks of clients combine the uploads of one round: give all clients one rank",
  ],
];

/** Why two companions aren't sound together, and what would do; undefined where they are. Error feedback is of a codec that loses bits. */
export function whyClashing(one: Companion, other: Companion): string | undefined {
  if (one === other) return undefined;
  const why = clashes.find((pair) => pair.includes(one) && pair.includes(other))?.[2];
  if (why !== undefined) return why;
  if (one === "errorFeedback") return whyClashing("lossyCodec", other);
  return other === "errorFeedback" ? whyClashing(one, "lossyCodec") : undefined;
}

/** What a run is made of, beside its method. */
export interface RunParts {
  readonly method: Pick<MethodFacts, "mixesRanks" | "brings">;
  readonly aggregator?: Pick<AggregatorFactory, "name" | "brings"> | undefined;
  readonly secureAggregation?: object | undefined;
  readonly asynchrony?: object | undefined;
  readonly stages?: readonly Pick<Stage, "name" | "brings" | "hidesClients">[] | undefined;
  readonly codec?: Pick<Codec, "name" | "lossless" | "feedback"> | undefined;
  /** Whether rounds ask a part of the clients. */
  readonly isPartial?: boolean | undefined;
}

/** The companions that the parts of a run bring. */
export function companionsOf(parts: RunParts): Chosen {
  const { method, aggregator, secureAggregation, asynchrony, stages = [], codec, isPartial } = parts;
  const chosen = new Map<Companion, string>();
  if (method.mixesRanks) chosen.set("mixedRanks", companions.mixedRanks);
  if (method.brings !== undefined) chosen.set(method.brings, companions[method.brings]);
  if (isPartial) chosen.set("partialParticipation", companions.partialParticipation);
  if (codec !== undefined && !codec.lossless) chosen.set("lossyCodec", `codec ${codec.name}`);
  if (codec?.feedback) chosen.set("errorFeedback", `codec ${codec.name}`);
  if (secureAggregation !== undefined) chosen.set("secureAggregation", companions.secureAggregation);
  if (asynchrony !== undefined) chosen.set("asynchrony", companions.asynchrony);
  for (const { name, brings, hidesClients } of [...aggregator ? [aggregator] : [], ...stages] as Stage[]) {
    if (brings !== undefined) chosen.set(brings, name);
    if (hidesClients) chosen.set("secureAggregation", name);
  }
  return chosen;
}

/** Companions of a run by what people call them there, such as "codec int8" or "krum". */
export type Chosen = ReadonlyMap<Companion, string>;

/**
 * Makes sure that a method and all that is chosen beside it go together.
 *
 * @throws {TypeError} naming every pair that doesn't, why, and what would do.
 */
export function checkLegality(method: MethodFacts, chosen: Chosen): void {
  const problems: string[] = [];
  const all = [...chosen];
  all.forEach(([companion, name], i) => {
    const why = whyUnsound(method, companion);
    if (why !== undefined) problems.push(`${method.name} with ${name}: ${why}`);
    for (const [other, otherName] of all.slice(0, i)) {
      const reason = whyClashing(companion, other);
      if (reason !== undefined) problems.push(`${otherName} with ${name}: ${reason}`);
    }
  });
  if (problems.length === 0) return;
  throw new TypeError(
    problems.length === 1
      ? `Cannot run ${problems[0]}`
      : `Cannot run these together:\n  ${problems.join("\n  ")}`,
  );
}
