import type { Aggregate } from "../aggregation/aggregator.ts";
import type { Client } from "../method.ts";
import type { Companion } from "../legality.ts";
import type { Tensors } from "../tensors.ts";

/** What a stage knows of a round. */
export interface StageContext {
  readonly round: number;
  readonly seed: number;
  /** Values of what is shared at the start of the round; an upload of the same name is a value of it. */
  readonly start: Tensors;
}

/**
 * Something that is done to uploads on their way: clients run all stages in order, the server in reverse. A value that both
 * sides know at the start of the round, x, is given as {@linkcode StageContext.start}; what is clipped, hidden or noised is the
 * change y − x.
 */
export interface Stage {
  readonly name: string;
  /** What it brings to a run, for the check of what goes together. */
  readonly brings?: Companion;
  /** Whether the server gets sums alone; then a method that must see each client is refused. */
  readonly hidesClients?: boolean;
  /** On the clients: [C, ...] to [C, ...]; the caller disposes both. */
  client?(values: Tensors, context: StageContext & { readonly clients: readonly Client[] }): Tensors;
  /** On the server: it takes over the aggregate. */
  server?(aggregate: Aggregate, context: StageContext): Promise<Aggregate>;
}
