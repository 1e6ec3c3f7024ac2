import type { HostTensor, HostTensors } from "../../src/fl/mod.ts";
import {
  type ConfigValue,
  findRecord,
  type FlowerMessage,
  type FlowerRecord,
  type FlowerRecords,
} from "../../src/network/mod.ts";
import { arrayRecord, readArrays } from "../../src/network/flower/learning/arrays.ts";

/** A node as a server sees it: it answers messages. */
export interface AnsweringNode {
  handle(message: FlowerMessage): Promise<FlowerRecords>;
}

/** What a {@link PlainFlowerServer} tells nodes. */
export type Settings = Readonly<Record<string, ConfigValue>>;

/**
 * The server of `examples/flower` without Flower, in float64: asks for the start, averages each array by the examples, and corrects frozen
 * weights if it should. Messages go to the nodes in turn.
 */
export class PlainFlowerServer {
  /** A node may be replaced by its next process. */
  nodes: readonly AnsweringNode[];
  runId = 7n;
  readonly #settings: Settings;
  readonly #corrected: { readonly scaling: number } | undefined;
  readonly #lastRounds: number[];
  #hashes: Settings = {};
  #round = 0;
  #messages = 0;
  arrays: HostTensors = new Map();
  corrections: { readonly round: number; readonly factors: HostTensors }[] = [];

  constructor(
    nodes: readonly AnsweringNode[],
    settings: Settings,
    corrected?: { readonly scaling: number },
  ) {
    this.nodes = nodes;
    this.#settings = settings;
    this.#corrected = corrected;
    this.#lastRounds = nodes.map(() => 0);
  }

  /** Asks all nodes what they start from; the start is the first one's, unless the server has one. */
  async begin(start?: HostTensors): Promise<string[]> {
    const hashes: string[] = [];
    for (const [i, node] of this.nodes.entries()) {
      const answer = await this.ask(node, "query", {
        settings: { ...this.#hashes, "wants-start": i === 0 && start === undefined },
        arrays: start,
      });
      const config = findRecord(answer, "config")!.values;
      hashes.push(config.get("start-hash") as string);
      this.#hashes = {
        "base-hash": config.get("base-hash")!,
        "start-hash": config.get("start-hash")!,
        ...this.#hashes,
      };
      if (i === 0) this.arrays = start ?? readArrays(answer)!;
    }
    return hashes;
  }

  /** A round of training, of all nodes or of some. */
  async round(asked: readonly number[] = [...this.nodes.keys()]): Promise<FlowerRecords[]> {
    this.#round++;
    const replies: FlowerRecords[] = [];
    for (const i of asked) {
      replies.push(
        await this.ask(this.nodes[i]!, "train", {
          settings: { ...this.#hashes, ...this.#ofRound(i, this.#round) },
          arrays: this.#download(i, this.#round),
        }),
      );
      this.#lastRounds[i] = this.#round;
    }
    const before = this.arrays;
    const uploads = replies.map((reply) => readArrays(reply)!);
    const examples = replies.map((reply) => Number(findRecord(reply, "metrics")!.values.get("num-examples")));
    const total = examples.reduce((sum, each) => sum + each, 0);
    const shares = examples.map((each) => each / total);
    const mean = new Map([...uploads[0]!].map(([name, { shape, data }]) => [name, {
      shape,
      data: data.map((_, j) =>
        uploads.reduce((sum, each, k) => sum + shares[k]! * each.get(name)!.data[j]!, 0)
      ),
    }]));
    this.arrays = mean;
    if (this.#corrected) {
      const factors = new Map<string, HostTensor>();
      for (const name of [...mean.keys()].filter((each) => each.endsWith(".loraA"))) {
        const layer = name.slice(0, -".loraA".length);
        for (
          const [factor, value] of correction(layer, { before, mean, uploads, shares, ...this.#corrected })
        ) {
          factors.set(`${layer}.correction.${this.#round}.${factor}`, value);
        }
      }
      this.corrections.push({ round: this.#round, factors });
    }
    return replies;
  }

  /** Has a node train in the next round, and loses its reply. */
  async lose(i: number): Promise<void> {
    const round = this.#round + 1;
    await this.ask(this.nodes[i]!, "train", {
      settings: { ...this.#hashes, ...this.#ofRound(i, round) },
      arrays: this.#download(i, round),
    });
  }

  /** Has all nodes score what the last round made. */
  async score(): Promise<FlowerRecords[]> {
    const replies: FlowerRecords[] = [];
    for (const [i, node] of this.nodes.entries()) {
      replies.push(
        await this.ask(node, "evaluate", {
          settings: { ...this.#hashes, ...this.#ofRound(i, this.#round) },
          arrays: this.#download(i, this.#round + 1),
        }),
      );
    }
    return replies;
  }

  /** Sends one message. */
  async ask(
    node: AnsweringNode,
    type: string,
    { settings, arrays }: { readonly settings: Settings; readonly arrays?: HostTensors | undefined },
  ): Promise<FlowerRecords> {
    const values = new Map(Object.entries({ ...this.#settings, ...settings }));
    const records = new Map<string, FlowerRecord>([["config", { type: "config", values }]]);
    if (arrays !== undefined) records.set("arrays", arrayRecord(arrays));
    return await node.handle({
      runId: this.runId,
      messageId: `${this.#messages++}`,
      type,
      groupId: `${this.#round}`,
      createdAt: 0,
      ttl: 3600,
      records,
    });
  }

  #ofRound(i: number, round: number): Settings {
    const last = this.#corrected ? { "last-round": BigInt(this.#lastRounds[i]!) } : {};
    return { "server-round": BigInt(round), ...last };
  }

  #download(i: number, before: number): HostTensors {
    const last = Math.max(1, this.#lastRounds[i]!);
    const missed = this.corrections.filter(({ round }) => last <= round && round < before);
    return new Map([...this.arrays, ...missed.flatMap(({ factors }) => [...factors])]);
  }
}

/** s·Σ p_k·(dB_k − dB̄)·dA_k as a product of stacks. */
function correction(
  layer: string,
  { before, uploads, shares, scaling }: {
    readonly before: HostTensors;
    readonly mean: HostTensors;
    readonly uploads: readonly HostTensors[];
    readonly shares: readonly number[];
    readonly scaling: number;
  },
): Map<string, HostTensor> {
  const change = (factor: string) =>
    uploads.map((upload) => {
      const [now, then] = [upload, before].map((each) => each.get(`${layer}.${factor}`)!);
      return { shape: now!.shape, data: Float64Array.from(now!.data, (x, i) => x - then!.data[i]!) };
    });
  const [dA, dB] = [change("loraA"), change("loraB")];
  const [[rank, width], [out]] = [dA[0]!.shape as [number, number], dB[0]!.shape as [number]];
  const meanB = dB[0]!.data.map((_, i) => dB.reduce((sum, { data }, k) => sum + shares[k]! * data[i]!, 0));
  const b = new Float32Array(out * rank * uploads.length);
  dB.forEach(({ data }, k) =>
    data.forEach((x, i) => {
      const [row, column] = [Math.floor(i / rank), i % rank];
      b[row * rank * uploads.length + k * rank + column] = scaling * shares[k]! * (x - meanB[i]!);
    })
  );
  return new Map([
    ["a", {
      shape: [rank * uploads.length, width],
      data: Float32Array.from(dA.flatMap(({ data }) => [...data])),
    }],
    ["b", { shape: [out, rank * uploads.length], data: b }],
  ]);
}
