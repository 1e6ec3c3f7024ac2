import assert from "node:assert/strict";
import { test } from "node:test";
import { mul, ones } from "../../src/engine/mod.ts";
import {
  type AggregationContext,
  type Client,
  createCodec,
  decodeRunState,
  disposeOwn,
  encodeRunState,
  f32Codec,
  federate,
  type Finished,
  hostStore,
  meanAggregator,
  meanOfEachAggregator,
  type MeasureFactory,
  measures,
  scaffold,
  simulate,
  type SimulationEvent,
  type SimulationOptions,
} from "../../src/fl/mod.ts";
import type { TaskModel } from "../../src/tasks/mod.ts";
import { testGpu } from "../engine/harness.ts";
import { methodOn } from "../support/methods.ts";
import { randomClients, tinyClassifier, tinyTask } from "../support/tiny_encoder.ts";

const gpu = await testGpu();
const train = tinyTask({ size: 24, length: 4, seed: 1 });
const pretrained = tinyClassifier(gpu, { seed: 7, attention: true });

/** Two rounds of three clients in two blocks, with all measures and state that clients keep. */
function optionsOf(name: string): SimulationOptions {
  return {
    method: methodOn(name, {
      targets: ["encoder.inner", "encoder.outer"],
      rank: 2,
      alpha: 3,
      sparseRounds: 1,
      parts: 2,
    }),
    codec: createCodec({ name: "topk", share: 0.5 }),
    measures: [...measures.values()],
    train,
    test: tinyTask({ size: 8, length: 4, seed: 2 }),
    clients: randomClients(train.size, 3, 1),
    rounds: 2,
    blockSize: 2,
    work: { steps: 2 },
    batchSize: 4,
    optimizer: { name: "adamw" },
    learningRate: 0.01,
    seed: 1,
  };
}

/** Bytes that stay on the GPU. */
async function left(work: () => Promise<void>): Promise<number> {
  const before = gpu.stats().liveBytes;
  await work();
  return gpu.stats().liveBytes - before;
}

/** Names the event at which a run is left. */
function nameOf(event: SimulationEvent): string {
  return event.type === "progress" ? `${event.phase} of round ${event.round}` : event.type;
}

test("simulate() leaves nothing on the GPU, at whichever kind of event it is left", async () => {
  for (const name of ["fedit", "federa", "federa-exact", "fedsa-lora", "full"]) {
    const names: string[] = [];
    let last: TaskModel | undefined;
    const whole = await left(async () => {
      for await (const event of simulate(pretrained, optionsOf(name))) {
        names.push(nameOf(event));
        if (event.type === "finished") last = event.model;
      }
      disposeOwn(last!, pretrained);
    });
    assert.equal(whole, 0, `${name} to its end`);
    names.pop();
    // The first and the last of each kind.
    const moments = [...new Set(names)].flatMap((each) => [names.indexOf(each), names.lastIndexOf(each)]);
    for (const moment of new Set(moments)) {
      const bytes = await left(async () => {
        let seen = 0;
        for await (const _ of simulate(pretrained, optionsOf(name))) if (seen++ === moment) break;
      });
      assert.equal(bytes, 0, `${name}, left at event ${moment + 1}: ${names[moment]}`);
    }
  }
});

/** Fails at one call of a function, and counts whether it came to that. */
class Fault {
  readonly #nth: number;
  #calls = 0;

  constructor(nth: number) {
    this.#nth = nth;
  }

  get hasHappened(): boolean {
    return this.#calls >= this.#nth;
  }

  hit(): void {
    if (++this.#calls === this.#nth) throw new Error("Broken on purpose");
  }

  /** An object whose function of a name fails. */
  in<T extends object>(target: T, name: keyof T): T {
    return new Proxy(target, {
      get: (_, key) => {
        const value: unknown = Reflect.get(target, key, target);
        if (key !== name) return typeof value === "function" ? value.bind(target) : value;
        return (...args: unknown[]) => {
          this.hit();
          return (value as (...args: unknown[]) => unknown).apply(target, args);
        };
      },
    });
  }
}

/** What can fail in a run, by name. */
const faults: Readonly<Record<string, (options: SimulationOptions, fault: Fault) => SimulationOptions>> = {
  ...Object.fromEntries((["init", "plan", "parameters", "apply"] as const).map((name) => [
    `method.${name}`,
    (options: SimulationOptions, fault: Fault) => ({ ...options, method: fault.in(options.method, name) }),
  ])),
  "a measure's creation": (options, fault) => ({
    ...options,
    measures: options.measures!.map((create) => (context) => {
      fault.hit();
      return create(context);
    }),
  }),
  ...Object.fromEntries((["begin", "add", "end"] as const).map((name) => [
    `measure.${name}`,
    (options: SimulationOptions, fault: Fault) => ({
      ...options,
      measures: options.measures!.map((create): MeasureFactory => (context) =>
        fault.in(create(context), name)
      ),
    }),
  ])),
  ...Object.fromEntries((["add", "finish"] as const).map((name) => [
    `aggregator.${name}`,
    (options: SimulationOptions, fault: Fault) => {
      const { sees } = options.method;
      const inner = sees === "each" ? meanOfEachAggregator : meanAggregator;
      return {
        ...options,
        aggregator: { ...inner, open: (context: AggregationContext) => fault.in(inner.open(context), name) },
      };
    },
  ])),
  "a stage of clients": (options, fault) => ({
    ...options,
    codec: f32Codec,
    stages: [{
      name: "broken",
      client(values) {
        fault.hit();
        return new Map([...values].map(([name, each]) => [name, mul(each, 2)]));
      },
    }],
  }),
  "a stage of the server": (options, fault) => ({
    ...options,
    codec: f32Codec,
    stages: [{
      name: "broken",
      async server(aggregate) {
        fault.hit();
        return aggregate;
      },
    }],
  }),
  ...Object.fromEntries((["payloadBytes", "transmit"] as const).map((name) => [
    `codec.${name}`,
    (options: SimulationOptions, fault: Fault) => ({ ...options, codec: fault.in(options.codec!, name) }),
  ])),
  ...Object.fromEntries((["load", "save"] as const).map((name) => [
    `store.${name}`,
    (options: SimulationOptions, fault: Fault) => ({ ...options, store: fault.in(hostStore(), name) }),
  ])),
  "a local step": (options, fault) => ({ ...options, onStep: () => fault.hit() }),
  "an evaluation": (options, fault) => ({
    ...options,
    test: new Proxy(options.test, {
      get(target, key) {
        if (key === "targets") fault.hit();
        return Reflect.get(target, key, target);
      },
    }),
  }),
  "the end of a round": (options, fault) => ({
    ...options,
    shouldStop() {
      fault.hit();
      return false;
    },
  }),
  "the memory plan": (options, fault) => {
    while (!fault.hasHappened) {
      try {
        fault.hit();
      } catch {
        // The plan itself fails below.
      }
    }
    return { ...options, maxGpuBytes: 1 };
  },
};

/** A method whose clients keep states, over one that sees each upload. */
function stateful(): SimulationOptions {
  const options = optionsOf("federa-exact");
  return { ...options, method: scaffold(options.method), optimizer: { name: "sgd" } };
}

test("simulate() leaves nothing on the GPU, whatever fails in it and when, in a new run and in a resumed one", async () => {
  const happened = new Set<string>();
  const saved = await savedState(stateful());
  for (const isResumed of [false, true]) {
    for (const [name, breakIn] of Object.entries(faults)) {
      for (const nth of isResumed ? [1] : [1, 2, 5]) {
        const fault = new Fault(nth);
        const bytes = await left(async () => {
          const options = breakIn(stateful(), fault);
          const resume = isResumed ? decodeRunState(gpu, saved).state : undefined;
          try {
            for await (const event of simulate(pretrained, { ...options, resume })) {
              if (event.type === "finished") disposeOwn(event.model, pretrained);
            }
          } catch (error) {
            if (!(error instanceof Error) || !/Broken on purpose|may be taken/.test(error.message)) {
              throw error;
            }
            happened.add(name);
          }
        });
        assert.equal(bytes, 0, `${name}, call ${nth}${isResumed ? ", resumed" : ""}`);
        if (!fault.hasHappened) break;
      }
    }
  }
  assert.deepEqual([...happened].sort(), Object.keys(faults).sort(), "a fault never came");
});

test("simulate() frees a state that it refuses to resume", async () => {
  const saved = await savedState(stateful());
  const bytes = await left(async () => {
    const { state } = decodeRunState(gpu, saved);
    const refused = simulate(pretrained, { ...stateful(), batchSize: 0, resume: state });
    await assert.rejects(refused.next(), { name: "RangeError" });
  });
  assert.equal(bytes, 0);
});

test("federate() frees outcomes that aren't of its round, and what waits when participants fail", async () => {
  const values = () => new Map([["head.bias", ones(gpu, [1, 3])]]);
  const finished = (client: Client): Finished => ({
    clients: [client],
    values: values(),
    keep: new Map(),
    losses: [1],
    bytesUp: [1],
    bytesDown: [1],
  });
  const stranger: Client = { id: 7, numExamples: 1, lastRound: 0 };
  const broken: Record<string, (clients: readonly Client[]) => Generator<Finished>> = {
    *stranger() {
      yield finished(stranger);
    },
    *twice([first]) {
      yield finished(first!);
      yield finished(first!);
    },
    *failing([, second]) {
      yield finished(second!);
      throw new Error("Broken on purpose");
    },
  };
  for (const [name, outcomes] of Object.entries(broken)) {
    const bytes = await left(async () => {
      const run = federate(pretrained, {
        method: optionsOf("fedbf").method,
        participants: {
          async *train({ clients }) {
            yield* outcomes(clients);
          },
        },
        fleet: { numExamples: [1, 1], sample: () => [0, 1] },
        rounds: 1,
        seed: 1,
      });
      await assert.rejects(async () => {
        for await (const _ of run);
      }, name);
    });
    assert.equal(bytes, 0, name);
  }
});

/** The state after the first round. */
async function savedState(options: SimulationOptions): Promise<Uint8Array> {
  for await (const event of simulate(pretrained, options)) {
    if (event.type === "round") return await encodeRunState(event.state);
  }
  throw new Error("the run has no round");
}
