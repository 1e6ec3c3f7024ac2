import { randomKey, RandomStream, sizeOf, type Tensor, tensor, zeros } from "../../../engine/mod.ts";
import type {
  Aggregate,
  AggregationContext,
  Aggregator,
  AggregatorFactory,
  Refusal,
  Uploads,
} from "../../aggregation/aggregator.ts";
import { checkNames } from "../../aggregation/check_names.ts";
import type { Client } from "../../method.ts";
import { parseOptions } from "../../parse_options.ts";
import { type HostTensors, type Shapes, toHost } from "../../tensors.ts";
import { dropoutOf, type DropoutPhase, sendsBefore } from "./dropouts.ts";
import { TooFewClientsError } from "./errors.ts";
import type { ForwardedShares, SecureMessage } from "./messages.ts";
import { neighborGraph } from "./neighbors.ts";
import {
  type SecureAggregationInput,
  type SecureAggregationOptions,
  secureAggregationSchema,
  sharingOf,
} from "./options.ts";
import { dequantizeMean, HEAD, quantize } from "./quantize.ts";
import { SecureClient } from "./secure_client.ts";
import { type Outbox, SecureServer, type SecureSum } from "./secure_server.ts";
import { messageLength } from "./wire.ts";

/**
 * Weighted means by secure aggregation, with both sides of the protocol in this process: each upload is quantized and masked as its client would
 * do it as soon as it's there, and the server's side holds the sum of masked vectors alone. What is added up is the change y − x of what
 * has a value at the start of the round, and other uploads as they are; the weights are those of the mean, over the largest of the cohort.
 *
 * Keys, seeds and shares come from the system's randomness, as in a deployment; the sum is one of whole numbers, so no bit of a
 * result depends on them. What does, rounding and who is lost and whose neighbour is who, is drawn by the run's seed.
 *
 * The server learns the mean, the sum of the weights of those whose uploads count, and how many values were cut off in all of them together,
 * which is the figure `clippedValues`. It sends each client's number to its neighbours. The numbers of examples and the mean losses of clients are no part of this: a
 * round gets them in the clear.
 *
 * @throws {RangeError} when an option is out of range.
 */
export function secureAggregator(
  given: SecureAggregationInput = {},
  { isShrinking = false }: SecureAggregatorOptions = {},
): AggregatorFactory {
  const options = parseOptions(secureAggregationSchema, given, "aggregate securely");
  return {
    name: "secure aggregation",
    brings: "secureAggregation",
    sees: "sum",
    check: (cohort) => void sharingOf(cohort, options),
    open: (context) => new SecureAggregator({ ...options, isShrinking }, context),
  };
}

/** What a run asks of {@linkcode secureAggregator} beside its configuration. */
export interface SecureAggregatorOptions {
  /**
   * Rounds changes towards 0, so that none gets longer than the norm that differential privacy has clipped it to, and leaves out the
   * figure `clippedValues`, which would get no noise.
   */
  readonly isShrinking?: boolean;
}

type Options = SecureAggregationOptions & Required<SecureAggregatorOptions>;

/** What goes up of a client, by the names of the first. */
interface Layout {
  readonly first: Client;
  readonly shapes: Shapes;
  /** Where what has a start begins. */
  readonly start: HostTensors;
  readonly like: Tensor | undefined;
}

class SecureAggregator implements Aggregator {
  readonly #options: Options;
  readonly #context: AggregationContext;
  readonly #nodes = new Map<number, SecureClient>();
  readonly #traffic = { bytesUp: 0, bytesDown: 0 };
  readonly #heaviest: number;
  readonly #clients = new Map<number, Client>();
  #layout: Layout | undefined;
  #server: SecureServer | undefined;
  #forwarded: Outbox<ForwardedShares> = new Map();
  #refused: string | undefined;

  constructor(options: Options, context: AggregationContext) {
    this.#options = options;
    this.#context = context;
    this.#heaviest = Math.max(...context.shares.values());
  }

  async add({ clients, values, shares }: Uploads): Promise<void> {
    const layout = this.#layout ??= await this.#begin(clients[0]!, values);
    checkNames(layout.shapes, { values, clients, first: layout.first });
    const sent = await toHost(values);
    for (const client of clients) this.#clients.set(client.id, client);
    if (layout.like === undefined || layout.like.gpu.isRehearsing) return;
    const server = this.#server ??= await this.#shareKeys(layout);
    if (server === undefined) return;
    for (const [member, { id }] of clients.entries()) {
      const forwarded = this.#forwarded.get(id);
      if (forwarded === undefined || !this.#sends(id, "vector")) continue;
      const changes = changesOf(sent, { layout, member });
      const { round, seed } = this.#context;
      const stream = new RandomStream(randomKey(seed, "secure aggregation", round, id));
      const { vector } = quantize(changes, {
        ...this.#options,
        maxWeight: this.#heaviest,
        weight: shares[member]!,
        uniform: () => stream.uniform(24),
      });
      server.addVector(this.#up(await this.#nodes.get(id)!.mask(vector, forwarded)));
    }
  }

  async finish(): Promise<Aggregate | Refusal> {
    const clients = [...this.#clients.values()];
    if (this.#layout === undefined) return { clients, values: new Map() };
    const { shapes, start, like } = this.#layout;
    if (like === undefined) return { clients, values: new Map() };
    if (like.gpu.isRehearsing) {
      return { clients, values: new Map([...shapes].map(([name, shape]) => [name, zeros(like.gpu, shape)])) };
    }
    const result = await this.#unmask();
    if (result === undefined) return { refused: this.#refused!, traffic: this.#traffic };
    const { mean, clipped } = dequantizeMean(result.sum, {
      ...this.#options,
      clients: result.clients.length,
    });
    let at = 0;
    const values = new Map([...shapes].map(([name, shape]) => {
      const own = Float32Array.from(mean.subarray(at, at += sizeOf(shape)));
      const x = start.get(name)?.data;
      if (x !== undefined) {
        for (let i = 0; i < own.length; i++) own[i] = x[i]! + mean[at - own.length + i]!;
      }
      return [name, tensor(like.gpu, own, { shape })];
    }));
    return {
      clients: result.clients.map((id) => this.#clients.get(id)!),
      values,
      ...(!this.#options.isShrinking && { figures: { clippedValues: clipped } }),
      traffic: this.#traffic,
    };
  }

  dispose(): void {
    this.#nodes.clear();
  }

  async #begin(first: Client, values: Uploads["values"]): Promise<Layout> {
    const shapes = new Map([...values].map(([name, { shape }]) => [name, shape.slice(1)]));
    const start = new Map([...this.#context.start].filter(([name]) => shapes.has(name)));
    return { first, shapes, start: await toHost(start), like: [...values.values()][0] };
  }

  /** Stages 0 and 1, with the whole cohort but those that are lost by then. */
  async #shareKeys({ shapes }: Layout): Promise<SecureServer | undefined> {
    const { clients, seed, round } = this.#context;
    let threshold: number;
    try {
      ({ threshold } = sharingOf(clients.length, this.#options));
    } catch (error) {
      // A cohort of Poisson's sampling may be too small or too large.
      if (!(error instanceof RangeError)) throw error;
      this.#refused = error.message;
      return undefined;
    }
    const stream = new RandomStream(randomKey(seed, "neighbors in secure aggregation", round));
    const { neighbors } = this.#options;
    const holders = neighborGraph(clients.map(({ id }) => id), {
      neighbors,
      shuffle: (ids) => stream.shuffle(ids),
    });
    const length = [...shapes.values()].reduce((sum, shape) => sum + sizeOf(shape), HEAD);
    const server = new SecureServer({ holders, threshold, length });
    await this.#unlessTooFew(async () => {
      for (const [id, setup] of this.#down(server.open())) {
        const node = new SecureClient(setup);
        this.#nodes.set(id, node);
        if (this.#sends(id, "keys")) server.addKeys(this.#up(await node.advertiseKeys()));
      }
      for (const [id, directory] of this.#down(server.closeKeys())) {
        if (!this.#sends(id, "shares")) continue;
        server.addShares(this.#up(await this.#nodes.get(id)!.shareKeys(directory)));
      }
      this.#forwarded = this.#down(server.closeShares());
    });
    return server;
  }

  /** Stage 3. */
  #unmask(): Promise<SecureSum | undefined> {
    const server = this.#server!;
    return this.#unlessTooFew(async () => {
      for (const [id, request] of this.#down(server.closeVectors())) {
        if (this.#sends(id, "unmasking")) server.addSecrets(this.#up(this.#nodes.get(id)!.unmask(request)));
      }
      return await server.finish();
    });
  }

  /** The round goes on without an aggregate where too few clients are left, and fails for any other reason. */
  async #unlessTooFew<Result>(play: () => Promise<Result>): Promise<Result | undefined> {
    if (this.#refused !== undefined) return undefined;
    try {
      return await play();
    } catch (error) {
      if (!(error instanceof TooFewClientsError)) throw error;
      this.#refused = error.message;
      return undefined;
    }
  }

  #sends(client: number, phase: DropoutPhase): boolean {
    const { dropouts = {} } = this.#options;
    return sendsBefore(dropoutOf(dropouts, { ...this.#context, client }), phase);
  }

  #up<Message extends SecureMessage>(message: Message): Message {
    this.#traffic.bytesUp += messageLength(message);
    return message;
  }

  #down<Message extends SecureMessage>(messages: Outbox<Message>): Outbox<Message> {
    for (const message of messages.values()) this.#traffic.bytesDown += messageLength(message);
    return messages;
  }
}

/** What one client adds to the sum, before it's weighed: y − x in float64, or y. */
function changesOf(
  sent: HostTensors,
  { layout: { shapes, start }, member }: { readonly layout: Layout; readonly member: number },
): Float64Array {
  const all = new Float64Array([...shapes.values()].reduce((sum, shape) => sum + sizeOf(shape), 0));
  let at = 0;
  for (const [name, shape] of shapes) {
    const size = sizeOf(shape);
    const y = sent.get(name)!.data.subarray(member * size, (member + 1) * size);
    const x = start.get(name)?.data;
    for (let i = 0; i < size; i++) all[at + i] = x === undefined ? y[i]! : y[i]! - x[i]!;
    at += size;
  }
  return all;
}
