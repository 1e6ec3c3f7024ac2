import assert from "node:assert/strict";
import { test } from "node:test";
import {
  createCodec,
  federate,
  type FederationEvent,
  type FederationOptions,
  fedNova,
  type Finished,
  type Fleet,
  type MeasureFactory,
  measures,
  median,
  type Method,
  type Outcome,
  type RoundReport,
  type RunState,
  scaffold,
  type Stage,
} from "../../../src/fl/mod.ts";
import { mul, ones, reshape, type Tensor, tensor } from "../../../src/engine/mod.ts";
import { disposeOwn } from "../../../src/fl/own_parameters.ts";
import { BlockParticipants } from "../../../src/fl/simulation/block_participants.ts";
import type { TaskModel } from "../../../src/tasks/mod.ts";
import { bitsOf, testGpu } from "../../engine/harness.ts";
import { dropOutcome, losing, type Meddle, meddled } from "../../support/meddled_participants.ts";
import { methodOn } from "../../support/methods.ts";
import { tinyClassifier, tinyTask } from "../../support/tiny_encoder.ts";

const gpu = await testGpu();
const train = tinyTask({ size: 24, length: 4, seed: 1 });
const pretrained = tinyClassifier(gpu, { seed: 7 });
/** Four examples each: every share is a power of two in cohorts of 1, 2 and 4. */
const clients = Array.from({ length: 6 }, (_, k) => Array.from({ length: 4 }, (_, i) => 4 * k + i));
const asIs: Meddle = (outcomes) => outcomes;

function make(name: string): Method {
  return methodOn(name, { targets: ["encoder.inner", "encoder.outer"], rank: 2, alpha: 3, svd: "exact" });
}

/** Methods whose servers work differently: sums, each upload, what stays with clients, and state of clients. */
function some(): Method[] {
  return [...["fedit", "federa-exact", "fedsa-lora", "flora"].map(make), scaffold(make("fedit"))];
}

interface Options {
  readonly method?: Method;
  readonly meddle?: Meddle;
  readonly sample?: Fleet["sample"];
  readonly rounds?: number;
  readonly blockSize?: number;
  readonly stages?: readonly Stage[];
  readonly all?: Partial<FederationOptions>;
}

function start(
  {
    method = make("fedit"),
    meddle = asIs,
    sample = () => [0, 1, 3, 5],
    rounds = 2,
    blockSize = 1,
    stages = [],
    all,
  }: Options,
): AsyncGenerator<FederationEvent> {
  return federate(pretrained, {
    method,
    participants: meddled(participants(blockSize, stages), meddle),
    fleet: { numExamples: clients.map(({ length }) => length), sample },
    rounds,
    seed: 1,
    ...all,
  });
}

function participants(blockSize = 1, stages: readonly Stage[] = []): BlockParticipants {
  const created = new BlockParticipants({
    train,
    clients,
    work: { steps: 2 },
    batchSize: 2,
    optimizer: { name: "sgd" },
    learningRate: () => 0.1,
    seed: 1,
    stages,
    codec: createCodec({ name: "f32" }),
  });
  created.blockSize = blockSize;
  return created;
}

async function run(options: Options) {
  const reports: RoundReport[] = [];
  const losses: { round: number; id: number; phase: string; reason: string }[] = [];
  let lastRounds: readonly number[] = [];
  let model: TaskModel | undefined;
  for await (const event of start(options)) {
    if (event.type === "client-lost") {
      const { round, lost: { client, phase, reason } } = event;
      losses.push({ round, id: client.id, phase, reason });
    }
    if (event.type === "round") {
      reports.push(event.report);
      lastRounds = event.state.lastRounds;
    }
    if (event.type === "finished") model = event.model;
  }
  const parameters = await bitsIn(model!);
  disposeOwn(model!, pretrained);
  return { reports, losses, lastRounds, parameters };
}

function bitsIn(model: TaskModel) {
  return Promise.all(
    [...model.namedParameters()].map(async ([name, each]) => [name, bitsOf(await each.floats())] as const),
  );
}

/** What doesn't depend on time or on how clients were lost. */
function outcome({ reports, lastRounds, parameters }: Awaited<ReturnType<typeof run>>) {
  return {
    lastRounds,
    parameters,
    reports: reports.map(({ seconds: _, liveBytes: __, lost: ___, ...rest }) => rest),
  };
}

test("federate() gives the bits of a run of those who came, whenever the others were lost", async () => {
  for (const method of some()) {
    const before = gpu.stats().liveBytes;
    // Of four equal shares two are left, and ¼ / ½ is exact.
    const wanted = outcome(await run({ method, sample: () => [1, 5] }));
    const all = ["during", "before", "after", "silently"] as const;
    for (const when of method.name === "fedit" ? all : all.slice(0, 1)) {
      const found = await run({ method, meddle: losing([0, 3], when) });
      assert.deepEqual(outcome(found), wanted, `${method.name}, lost ${when}`);
      assert.deepEqual(found.reports.map(({ lost }) => lost), [[0, 3], [0, 3]]);
      const [phase, reason] = when === "silently"
        ? ["training", "it sent nothing"]
        : ["upload", "the line broke"];
      assert.deepEqual(
        found.losses,
        [1, 2].flatMap((round) => [0, 3].map((id) => ({ round, id, phase, reason }))),
      );
    }
    assert.equal(gpu.stats().liveBytes, before, method.name);
  }
});

test("federate() divides by what came once, in the end, also where shares aren't powers of two", async () => {
  const numExamples = [3, 5, 7, 11, 13, 17];
  const fleetOf = (ids: readonly number[]) => ({ numExamples, sample: () => ids });
  const options = { rounds: 1, all: { measures: [...measures.values()] } };
  const wanted = await run({ ...options, all: { ...options.all, fleet: fleetOf([1, 5]) } });
  const found = await run({
    meddle: losing([0, 3], "during"),
    ...options,
    all: { ...options.all, fleet: fleetOf([0, 1, 3, 5]) },
  });
  const loss = wanted.reports[0]!.trainLoss!;
  assert.ok(Math.abs(found.reports[0]!.trainLoss! - loss) < 1e-14 * loss);
  assert.deepEqual(found.reports[0]!.participants, [1, 5]);
  const floats = (bits: ArrayLike<number>) => new Float32Array(Uint32Array.from(bits).buffer);
  for (const [i, [name, bits]] of found.parameters.entries()) {
    const [mine, theirs] = [floats(bits), floats(wanted.parameters[i]![1])];
    // Two shares, two products, a sum and a quotient, each rounded: some 6·2⁻²⁴ of the larger summand, here below 4.
    mine.forEach((value, j) => assert.ok(Math.abs(value - theirs[j]!) <= 6 * 4 * 2 ** -24, `${name}[${j}]`));
  }
});

test("federate() goes on when a whole cohort is lost: the state stays, and there is no loss to tell", async () => {
  for (const method of some()) {
    const before = gpu.stats().liveBytes;
    const meddle: Meddle = (outcomes, work) =>
      losing(work.round === 2 ? [0, 1, 3, 5] : [], "during")(outcomes, work);
    let previous: RunState | undefined;
    const seen: string[] = [];
    let bits: unknown;
    for await (
      const event of start({ method, meddle, rounds: 3, all: { measures: [...measures.values()] } })
    ) {
      if (event.type === "round") {
        const { round, report: { trainLoss, participants, lost, bytesUp, bytesDown, measures } } = {
          ...event,
          round: event.report.round,
        };
        const now = await bitsIn(event.model);
        if (round === 2) {
          assert.deepEqual(
            { trainLoss, participants, lost, bytesUp, bytesDown },
            { trainLoss: null, participants: [], lost: [0, 1, 3, 5], bytesUp: 0, bytesDown: 0 },
          );
          assert.deepEqual(now, bits, method.name);
          assert.equal(event.state.method, previous!.method);
          assert.deepEqual(event.state.lastRounds, [1, 1, 0, 1, 0, 1]);
          for (const [name, value] of Object.entries(measures)) {
            assert.ok(value === null || Number.isFinite(value), `${method.name}: ${name} is ${value}`);
          }
        } else {
          assert.ok(Number.isFinite(trainLoss));
          assert.deepEqual(lost, []);
        }
        previous = event.state;
        bits = now;
        seen.push(`round ${round}`);
      }
      if (event.type === "client-lost") seen.push(`lost ${event.lost.client.id}`);
      if (event.type === "finished") disposeOwn(event.model, pretrained);
    }
    assert.deepEqual(seen, ["round 1", "lost 0", "lost 1", "lost 3", "lost 5", "round 2", "round 3"]);
    assert.equal(gpu.stats().liveBytes, before, method.name);
  }
});

test("federate() gives the same bits whatever the order of arrival and the grouping", async () => {
  const reversed: Meddle = async function* (outcomes) {
    const all: Outcome[] = [];
    for await (const each of outcomes) all.push(each);
    yield* all.reverse();
  };
  for (const name of ["fedit", "federa-exact", "fedsa-lora"]) {
    const wanted = outcome(await run({ method: make(name) }));
    for (const blockSize of [1, 3]) {
      const found = outcome(await run({ method: make(name), meddle: reversed, blockSize }));
      assert.deepEqual(found, wanted, `${name} in blocks of ${blockSize}`);
    }
  }
});

/** Participants that break a rule, and what is said of it. */
const faults: Readonly<
  Record<string, { readonly meddle: Meddle; readonly error: { name: string; message: RegExp } }>
> = {
  "throw half-way": {
    async *meddle(outcomes) {
      let count = 0;
      for await (const each of outcomes) {
        if (count++ === 2) {
          dropOutcome(each as Finished);
          throw new Error("the line broke");
        }
        yield each;
      }
    },
    error: { name: "Error", message: /the line broke/ },
  },
  "throw while others wait": {
    async *meddle(outcomes) {
      const all: Finished[] = [];
      for await (const each of outcomes) all.push(each as Finished);
      yield all.pop()!;
      all.forEach(dropOutcome);
      throw new Error("the line broke");
    },
    error: { name: "Error", message: /the line broke/ },
  },
  "send twice": {
    async *meddle(outcomes, work) {
      for await (const each of outcomes) {
        yield each;
        yield await participants().train({ ...work, clients: work.clients.slice(0, 1) }).next().then((
          { value },
        ) => value!);
      }
    },
    error: { name: "RangeError", message: /client 0.*: it has sent something or was lost before/ },
  },
  "are lost after they sent something": {
    async *meddle(outcomes, { clients }) {
      yield* outcomes;
      yield { client: clients[1]!, phase: "upload", reason: "late" };
    },
    error: { name: "RangeError", message: /client 1.*: it has sent something or was lost before/ },
  },
  "send something after they were lost": {
    async *meddle(outcomes, { clients }) {
      yield { client: clients[3]!, phase: "upload", reason: "early" };
      yield* outcomes;
    },
    error: { name: "RangeError", message: /client 5.*: it has sent something or was lost before/ },
  },
  "send what wasn't asked for": {
    meddle: changed(({ clients, ...rest }) => ({
      ...rest,
      clients: clients.map((each) => ({ ...each, id: 2 })),
    })),
    error: { name: "RangeError", message: /client 2.*: it isn't in this round/ },
  },
  "send fewer losses than clients": {
    meddle: changed((each) => ({ ...each, losses: [] })),
    error: { name: "TypeError", message: /what clients 3 sent: expected losses of 1 clients, got 0/ },
  },
};

test("federate() fails by name where participants break the rules, and leaves nothing on the GPU", async () => {
  for (const name of ["fedit", "federa-exact"]) {
    for (const [fault, { meddle, error }] of Object.entries(faults)) {
      const before = gpu.stats().liveBytes;
      // The first round is fine; what it ended in survives the failure of the second.
      const onlySecond: Meddle = (outcomes, work) => work.round === 2 ? meddle(outcomes, work) : outcomes;
      let bits: unknown;
      const seen: string[] = [];
      await assert.rejects(
        async () => {
          for await (
            const event of start({
              method: make(name),
              meddle: onlySecond,
              all: { measures: [...measures.values()] },
            })
          ) {
            if (event.type !== "progress") seen.push(event.type);
            if (event.type === "round") bits = await bitsIn(event.model);
          }
        },
        error,
        `${name}: ${fault}`,
      );
      assert.deepEqual(seen, ["initialized", "round"]);
      assert.ok(bits);
      assert.equal(gpu.stats().liveBytes, before, `${name}: ${fault}`);
    }
  }
});

/** What a client may send that is of no use, and why it is lost. */
const useless: Readonly<Record<string, { readonly meddle: Meddle; readonly reason: RegExp }>> = {
  "lacks a parameter": {
    meddle: changed(({ values, ...rest }) => {
      const [name, first] = [...values][0]!;
      first.dispose();
      return { ...rest, values: new Map([...values].filter(([each]) => each !== name)) };
    }),
    reason: /^it sent no .+/,
  },
  "has a parameter too many": {
    meddle: changed(({ values, ...rest }) => ({
      ...rest,
      values: new Map([...values, ["stranger", ones(gpu, [1, 2])]]),
    })),
    reason: /^it sent stranger, which it wasn't asked for$/,
  },
  "is misshapen": {
    meddle: changedFirst((first) => ones(gpu, [1, first.size])),
    reason: /must have shape \[.+\], got \[\d+\]$/,
  },
  "is of two clients": {
    meddle: changedFirst(({ shape }) => ones(gpu, [2, ...shape.slice(1)])),
    reason: /must have shape \[.+\], got \[2, .+\]$/,
  },
  "is of whole numbers": {
    meddle: changedFirst(({ shape, size }) => tensor(gpu, new Uint32Array(size), { shape })),
    reason: /must be f32, got u32$/,
  },
  ...Object.fromEntries([NaN, Infinity, -Infinity].map((bad) => [`holds ${bad}`, {
    meddle: changedFirst(({ shape, size }) => {
      const values = new Float32Array(size);
      values[4] = bad;
      return tensor(gpu, values, { shape });
    }),
    reason: new RegExp(`^its .+ holds ${bad} at element 4$`),
  }])),
  "has a loss that isn't finite": {
    meddle: changed((each) => ({ ...each, losses: [NaN] })),
    reason: /^its training loss is NaN$/,
  },
};

test("federate() loses a client by name whose upload is misshapen or not finite, and goes on as without it", async () => {
  for (const name of ["fedit", "federa-exact"]) {
    const before = gpu.stats().liveBytes;
    const wanted = outcome(await run({ method: make(name), meddle: losing([3], "during") }));
    for (const [what, { meddle, reason }] of Object.entries(useless)) {
      const found = await run({ method: make(name), meddle });
      assert.deepEqual(outcome(found), wanted, `${name}: an upload that ${what}`);
      assert.deepEqual(found.reports.map(({ lost }) => lost), [[3], [3]], what);
      for (const { id, reason: told } of found.losses) {
        assert.equal(id, 3);
        assert.match(told, reason);
      }
      assert.equal(gpu.stats().liveBytes, before, `${name}: ${what}`);
    }
  }
});

test("federate() goes on without a client that diverged in a block, and ends once nobody came through", async () => {
  const diverging = (ids: readonly number[]): Stage => ({
    name: "diverging",
    client: (values, { clients }) =>
      new Map([...values].map(([name, each]) => {
        const factors = tensor(gpu, clients.map(({ id }) => ids.includes(id) ? Infinity : 1));
        return [name, mul(each, reshape(factors, [-1, ...new Array<number>(each.ndim - 1).fill(1)]))];
      })),
  });
  for (const blockSize of [1, 2, 4]) {
    const before = gpu.stats().liveBytes;
    const wanted = outcome(await run({ meddle: losing([1, 3], "during") }));
    const found = await run({ blockSize, stages: [diverging([1, 3])] });
    assert.deepEqual(outcome(found), wanted, `blocks of ${blockSize}`);
    assert.deepEqual(found.losses.map(({ round, id, phase }) => [round, id, phase]), [
      [1, 1, "training"],
      [1, 3, "training"],
      [2, 1, "training"],
      [2, 3, "training"],
    ]);
    assert.match(
      found.losses[0]!.reason,
      /^its .+ holds (NaN|-?Infinity) at element \d+; lower the learning rate/,
    );
    await assert.rejects(run({ blockSize, stages: [diverging([0, 1, 3, 5])] }), {
      name: "NonFiniteError",
      message: /round 1, in which no client came through: client 0 was lost in its training, as its .+ holds/,
    });
    assert.equal(gpu.stats().liveBytes, before);
  }
});

/** Changes the first tensor of client 3. */
function changedFirst(change: (first: Tensor) => Tensor): Meddle {
  return changed(({ values, ...rest }) => {
    const [name, first] = [...values][0]!;
    const other = change(first);
    first.dispose();
    return { ...rest, values: new Map([...values, [name, other]]) };
  });
}

/** Changes what client 3 sends. */
function changed(change: (outcome: Finished) => Finished): Meddle {
  return async function* (outcomes) {
    for await (const each of outcomes) {
      yield "clients" in each && each.clients[0]!.id === 3 ? change({ ...each, isFinite: false }) : each;
    }
  };
}

test("federate() runs the server's part of the stages in reverse, and frees all when it or the method fails", async () => {
  const order: string[] = [];
  const stage = (name: string, fails = false): Stage => ({
    name,
    server(aggregate) {
      order.push(name);
      return fails ? Promise.reject(new Error(`${name} broke`)) : Promise.resolve(aggregate);
    },
  });
  const wanted = await run({ rounds: 1 });
  const found = await run({ rounds: 1, all: { stages: [stage("first"), stage("second")] } });
  assert.deepEqual(order, ["second", "first"]);
  assert.deepEqual(outcome(found), outcome(wanted));
  const before = gpu.stats().liveBytes;
  for (const name of ["fedit", "federa-exact"]) {
    const method = make(name);
    const broken = { ...method, apply: () => Promise.reject(new Error("the method broke")) };
    await assert.rejects(run({ method: broken }), { message: "the method broke" });
    await assert.rejects(run({ method, all: { stages: [stage("third", true)] } }), {
      message: "third broke",
    });
    const measure: MeasureFactory = () => ({
      name: "broken",
      begin() {},
      add() {},
      end: () => Promise.reject(new Error("the measure broke")),
      dispose() {},
    });
    await assert.rejects(run({ method, all: { measures: [measure] } }), { message: "the measure broke" });
    assert.equal(gpu.stats().liveBytes, before, name);
  }
});

test("federate() tells the method the number of each round, from 1", async () => {
  const method = make("fedit");
  const told: number[] = [];
  const apply: Method["apply"] = (state, aggregate, round) => {
    told.push(round);
    return method.apply(state, aggregate, round);
  };
  const { lastRounds } = await run({ method: { ...method, apply }, rounds: 3 });
  assert.deepEqual([told, lastRounds], [[1, 2, 3], [3, 3, 0, 3, 0, 3]]);
});

test("federate() keeps the global model where a robust rule has too few uploads, and says why", async () => {
  const meddle: Meddle = (outcomes, work) => losing(work.round === 2 ? [0, 3] : [], "during")(outcomes, work);
  const states: RunState[] = [];
  const reports: RoundReport[] = [];
  const bits: unknown[] = [];
  const before = gpu.stats().liveBytes;
  for await (const event of start({ meddle, rounds: 3, all: { aggregator: median() } })) {
    if (event.type === "round") {
      reports.push(event.report);
      states.push(event.state);
      bits.push(await bitsIn(event.model));
    }
    if (event.type === "finished") disposeOwn(event.model, pretrained);
  }
  assert.deepEqual(reports.map(({ refused }) => refused), [
    undefined,
    "to outvote one median needs at least 3 uploads, and 2 came",
    undefined,
  ]);
  assert.deepEqual(reports[1]!.participants, [1, 5]);
  assert.equal(states[1]!.method, states[0]!.method);
  assert.deepEqual(bits[1], bits[0]);
  assert.notDeepEqual(bits[2], bits[1]);
  assert.equal(gpu.stats().liveBytes, before);
});

test("federate() refuses robust rules beside methods they say nothing of, by name", async () => {
  const refused: readonly (readonly [Method, RegExp])[] = [
    [make("flexlora"), /flexlora with median: it combines the uploads of each client/],
    [make("slora"), /slora with median: rules compare changes of parameters/],
    [scaffold(make("fedit")), /scaffold\(fedit\) with median: its control variate must stay the mean/],
    [fedNova(make("fedit")), /fednova\(fedit\) with median: clients send their numbers of steps/],
  ];
  for (const [method, message] of refused) {
    await assert.rejects(run({ method, all: { aggregator: median() } }), { name: "TypeError", message });
  }
});
