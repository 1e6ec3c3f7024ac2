import { clone, concat, disposeAll, keep, type Tensor, tidy } from "../../engine/mod.ts";
import { Held } from "../held.ts";
import type { Client } from "../method.ts";
import type { Tensors } from "../tensors.ts";
import type {
  Aggregate,
  AggregationContext,
  Aggregator,
  AggregatorFactory,
  Refusal,
  Uploads,
} from "./aggregator.ts";
import { checkNames } from "./check_names.ts";

/** All uploads of a round, the clients in the order of their numbers. */
export interface Gathered {
  readonly clients: readonly Client[];
  /** [n, ...] by name. */
  readonly values: Tensors;
  /** Each one's share of the examples of those who came; they add up to one. */
  readonly shares: readonly number[];
  /** Values at the start of the round, [...] by name. */
  readonly start: Tensors;
  /** The number of clients that were expected. */
  readonly cohort: number;
}

/** The fewest uploads that a rule means anything for. */
export interface Least {
  readonly count: number;
  /** What it needs them for, as in "to withstand 2 attackers". */
  readonly purpose: string;
  /** What else would do, as in "set attackers to 1 or less"; nothing where only more clients do. */
  readonly otherwise?: string;
}

/** Options of {@linkcode gathering}. */
export interface GatheringOptions {
  readonly name: string;
  /** The fewest uploads it works on in rounds that expect so many clients; fewer refuse the round. */
  least(cohort: number): Least;
  /** The new values, [...] by name. It leaves the uploads alone; the caller owns what it gives. */
  combine(gathered: Gathered): Tensors | Promise<Tensors>;
}

/**
 * A rule that looks at all uploads of a round together, which it holds until the round ends: n times what a client uploads, and as
 * much again of the largest tensor. Rounds with too few uploads have no aggregate, and say so.
 */
export function gathering(options: GatheringOptions): AggregatorFactory {
  const { name, least } = options;
  return {
    name,
    brings: "robustAggregation",
    sees: "each",
    check(cohort) {
      const { count, purpose, otherwise } = least(cohort);
      if (cohort >= count) return;
      throw new RangeError(
        `Cannot aggregate ${cohort} client${
          cohort === 1 ? "" : "s"
        } a round by ${name}: ${purpose} it needs at least ` +
          `${count}; raise clientsPerRound to ${count} or more${
            otherwise === undefined ? "" : `, or ${otherwise}`
          }`,
      );
    },
    open: (context) => new GatheringAggregator(context, options),
  };
}

class GatheringAggregator implements Aggregator {
  readonly #context: AggregationContext;
  readonly #options: GatheringOptions;
  readonly #clients: Client[] = [];
  readonly #shares: number[] = [];
  readonly #pieces = new Map<string, Tensor[]>();

  constructor(context: AggregationContext, options: GatheringOptions) {
    this.#context = context;
    this.#options = options;
  }

  add({ clients, values, shares }: Uploads): void {
    const { start } = this.#context;
    const { name } = this.#options;
    const stranger = [...values.keys()].find((each) => !start.has(each));
    if (stranger !== undefined) {
      throw new TypeError(
        `Cannot aggregate by ${name}: clients send ${stranger}, which is no value of a parameter; take the mean`,
      );
    }
    if (this.#clients.length > 0) checkNames(this.#pieces, { values, clients, first: this.#clients[0]! });
    for (const [each, value] of values) {
      const pieces = this.#pieces.get(each) ?? [];
      this.#pieces.set(each, pieces);
      pieces.push(keep(tidy(() => clone(value))));
    }
    this.#clients.push(...clients);
    this.#shares.push(...shares);
  }

  async finish(): Promise<Aggregate | Refusal> {
    const { cohort, start } = this.#context;
    const { name, least, combine } = this.#options;
    const clients = this.#clients;
    const { count, purpose } = least(cohort);
    if (clients.length < count) {
      return { refused: `${purpose} ${name} needs at least ${count} uploads, and ${clients.length} came` };
    }
    using held = new Held();
    const values = new Map<string, Tensor>();
    for (const [each, pieces] of this.#pieces) {
      values.set(each, held.hold(keep(tidy(() => pieces.length === 1 ? clone(pieces[0]!) : concat(pieces)))));
      disposeAll(pieces.splice(0));
    }
    const total = this.#shares.reduce((sum, share) => sum + share, 0);
    const shares = this.#shares.map((share) => share / total);
    return { clients, values: await combine({ clients, values, shares, start, cohort }) };
  }

  dispose(): void {
    for (const pieces of this.#pieces.values()) disposeAll(pieces.splice(0));
  }
}
