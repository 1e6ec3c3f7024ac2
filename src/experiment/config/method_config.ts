import { z } from "zod";
import { type Method, type MethodFactory, methods } from "../../fl/mod.ts";
import { type AggregatorConfig, aggregatorConfig } from "./aggregator_config.ts";
import { asynchronyConfig } from "./asynchrony_config.ts";
import { type AlgorithmConfig, algorithmConfig, withAlgorithms } from "./algorithm_config.ts";
import { folderName } from "./names.ts";
import { type PrivacyConfig, privacyConfig, withPrivacy } from "./privacy_config.ts";
import { secureAggregationConfig } from "./secure_aggregation_config.ts";

/** What every entry of `methods` has. */
const common = {
  /** Names the method's folder and its row in the table; the method's name by default. */
  label: folderName.optional(),
  learningRate: z.number().gt(0).max(1e6),
  /** What changes local training or the server's step, whatever the method: FedProx, SCAFFOLD, FedAdam … */
  algorithm: algorithmConfig.optional(),
  /** How the server combines uploads; as the configuration says by default. */
  aggregator: aggregatorConfig.optional(),
  /** Secure aggregation; as the configuration says by default. */
  secureAggregation: secureAggregationConfig.optional(),
  /** An asynchronous server; as the configuration says by default. */
  asynchrony: asynchronyConfig.optional(),
  /** What protects clients' privacy, over all else; as the configuration says by default. */
  privacy: privacyConfig.optional(),
};

/** One entry of `methods`, checked: with the method's own options beside what all have. */
export interface MethodConfig {
  readonly method: string;
  readonly label?: string | undefined;
  readonly learningRate: number;
  readonly algorithm?: readonly AlgorithmConfig[] | undefined;
  readonly aggregator?: AggregatorConfig | undefined;
  readonly secureAggregation?: z.output<typeof secureAggregationConfig> | undefined;
  readonly asynchrony?: z.output<typeof asynchronyConfig> | undefined;
  readonly privacy?: PrivacyConfig | undefined;
  readonly [option: string]: unknown;
}

/** One entry of `methods` as people write it. */
export type MethodConfigInput =
  & Omit<MethodConfig, "algorithm" | "aggregator" | "secureAggregation" | "asynchrony" | "privacy">
  & {
    readonly algorithm?: z.input<typeof algorithmConfig>;
    readonly aggregator?: z.input<typeof aggregatorConfig>;
    readonly secureAggregation?: z.input<typeof secureAggregationConfig>;
    readonly asynchrony?: z.input<typeof asynchronyConfig>;
    readonly privacy?: z.input<typeof privacyConfig>;
  };

/** The schema of an entry of `methods`: each method brings the schema of its options. */
export const methodConfig = z.discriminatedUnion(
  "method",
  [...methods.values()].map(({ definition: { name, aliases = [], options } }) =>
    options.extend({ method: z.enum([name, ...aliases]), ...common })
  ) as unknown as [z.ZodObject<{ method: z.ZodEnum }>],
) as unknown as z.ZodType<MethodConfig, MethodConfigInput>;

/** The method of an entry. */
export function createMethod(config: MethodConfig): Method {
  const { method, algorithm = [], privacy, ...rest } = config;
  const {
    label: _,
    learningRate: __,
    aggregator: ___,
    secureAggregation: ____,
    asynchrony: _____,
    ...options
  } = rest;
  return withPrivacy(withAlgorithms(factoryOf(method)(options), algorithm), privacy);
}

/**
 * What names a method of a run: its label, or by default its asynchronous server or aggregator, what protects its clients, the algorithms over it and its name:
 * `krum-fedadam-federa`, `dp-fedavg-ffa-lora`.
 */
export function methodLabel(
  { method, label, algorithm = [], aggregator, asynchrony, privacy }: Pick<
    MethodConfig,
    "method" | "label" | "algorithm" | "aggregator" | "asynchrony" | "privacy"
  >,
): string {
  return label ??
    [
      ...asynchrony ? [asynchrony.kind] : [],
      ...aggregator ? [aggregator.name] : [],
      ...privacy && privacy.kind !== "none" ? [privacy.kind] : [],
      ...algorithm.map(({ name }) => name).reverse(),
      method,
    ].join("-");
}

function factoryOf(method: string): MethodFactory {
  const found = methods.get(method) ??
    [...methods.values()].find(({ definition: { aliases = [] } }) => aliases.includes(method));
  if (found === undefined) throw new RangeError(`Cannot find the method ${JSON.stringify(method)}`);
  return found;
}
