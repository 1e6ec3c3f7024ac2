import { z } from "zod";
import { type AdaptiveOptions, type Method, planNoise, privacyKinds, type Sampling } from "../../fl/mod.ts";

/** What protects clients' privacy, with its options. */
export interface PrivacyConfig {
  readonly kind: "none" | "dp-fedavg" | "local-dp";
  /** How cohorts are drawn; by Poisson's sampling unless it says otherwise. */
  readonly sampling?: Sampling["kind"];
  readonly [option: string]: unknown;
}

const sampling = z.enum(["poisson", "uniform"]).default("poisson");

/** The choice of what protects clients' privacy: `"none"`, or such as `{ "kind": "dp-fedavg", "clipNorm": 0.1, "epsilon": 8 }`. */
export const privacyConfig = z.preprocess(
  (value) => typeof value === "string" ? { kind: value } : value,
  z.discriminatedUnion("kind", [
    z.strictObject({ kind: z.literal("none") }),
    ...[...privacyKinds.values()].map(({ definition: { name, options } }) =>
      options.extend({ kind: z.literal(name), ...(name === "dp-fedavg" && { sampling }) })
    ) as unknown as [z.ZodObject<{ kind: z.ZodLiteral<string> }>],
  ]).superRefine((config: { kind: string; noiseMultiplier?: unknown; epsilon?: unknown }, context) => {
    const { kind, noiseMultiplier, epsilon } = config;
    if (kind === "none" || noiseMultiplier !== undefined || epsilon !== undefined) return;
    context.addIssue({ code: "custom", message: "expected noiseMultiplier or epsilon, got neither" });
  }),
) as unknown as z.ZodType<PrivacyConfig, string | PrivacyConfig>;

/** A method with its clients' privacy protected. */
export function withPrivacy(method: Method, privacy: PrivacyConfig = { kind: "none" }): Method {
  const { kind, sampling: _, ...options } = privacy;
  return kind === "none" ? method : privacyKinds.get(kind)!(method, options);
}

/** How cohorts are drawn. */
export function samplingOf(
  { kind, sampling = "uniform" }: PrivacyConfig = { kind: "none" },
): Sampling["kind"] {
  return kind === "dp-fedavg" ? sampling : "uniform";
}

/** Whether its noise follows from the number of rounds. */
export function dependsOnRounds({ kind, noiseMultiplier }: PrivacyConfig = { kind: "none" }): boolean {
  return kind !== "none" && noiseMultiplier === undefined;
}

/**
 * Makes sure that noise and budget go together, with so many clients and rounds.
 *
 * @throws {PrivacyBudgetError} or {RangeError} as {@linkcode planNoise}.
 */
export function checkPrivacyPlan(
  privacy: PrivacyConfig | undefined,
  { name, numClients, clientsPerRound = numClients, rounds }: {
    /** Of the method, for messages. */
    readonly name: string;
    readonly numClients: number;
    readonly clientsPerRound?: number | undefined;
    readonly rounds: number;
  },
): void {
  if (privacy === undefined || privacy.kind === "none") return;
  const { kind, delta, epsilon, noiseMultiplier, adaptive } = privacy as PrivacyConfig & {
    readonly delta: number;
    readonly epsilon?: number;
    readonly noiseMultiplier?: number;
    readonly adaptive?: AdaptiveOptions;
  };
  planNoise({
    name: `${kind}(${name})`,
    kind: kind as "dp-fedavg",
    delta,
    epsilon,
    noiseMultiplier,
    adaptive,
  }, {
    numClients,
    rounds,
    sampling: samplingOf(privacy) === "poisson"
      ? { kind: "poisson", rate: clientsPerRound / numClients }
      : { kind: "uniform", clientsPerRound },
  });
}
