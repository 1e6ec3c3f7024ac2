import {
  classification,
  decodeAdapter,
  disposeOwn,
  encodeAdapter,
  encodeSafetensors,
  exportLora,
  exportPeft,
  f32Codec,
  feDeRa,
  importPeft,
  loadTokenizer,
  memoryModelFiles,
  type ModelFiles,
  modelOutputs,
  openGpu,
  openPeftAdapter,
  openPretrained,
  readOutputs,
  simulate,
  TaskModel,
  trainClient,
} from "../../src/mod.ts";

/** What {@linkcode runFederation} found, as a page can hand it on. */
export interface FederationOutcome {
  /** Logits [N, 2] of the test texts before training, after it, and of the two adapters that were loaded back. */
  readonly logits: Readonly<Record<"before" | "trained" | "ownAdapter" | "peftAdapter", readonly number[]>>;
  readonly predictions: readonly string[];
  /** Training and test loss of each round. */
  readonly losses: readonly (readonly [number, number])[];
  /** Tensors of {@linkcode exportLora}. */
  readonly loraNames: readonly string[];
  /** What a client of two of the texts sends after a round, from payload to payload. */
  readonly payload: readonly number[];
  /** The two files that Python's PEFT loads. */
  readonly peft: { readonly config: string; readonly weights: readonly number[] };
}

const texts = (label: string, ...texts: readonly string[]) => texts.map((text) => ({ text, label }));
const train = [
  ...texts(
    "spam",
    "win a free prize",
    "a free prize number",
    "win free 9 8 7",
    "free number free",
    "who win 5",
  ),
  ...texts(
    "ham",
    "minutes of meeting",
    "ada lives in paris",
    "meeting in london",
    "where lives paul ?",
    "of ada",
  ),
];
const test = [
  ...texts("spam", "win free prize", "a number 7"),
  ...texts("ham", "paul in london", "meeting ?"),
];

/** Opens a classifier on a model's files, with a head that nobody has trained. */
export async function openClassifier(files: ModelFiles) {
  const gpu = await openGpu();
  const { encoder, family } = await openPretrained(gpu, files);
  const tokenizer = await loadTokenizer(files);
  const task = classification({ labels: ["ham", "spam"] });
  const pretrained = TaskModel.create(gpu, encoder, { task, seed: 1 });
  const prepare = (examples: typeof train) => task.prepare(examples, tokenizer, { maxLength: 12 });
  return { gpu, family, task, pretrained, train: prepare(train), test: prepare(test) };
}

/** A round of one client, as a page has it: nothing but a payload comes in, nothing but a payload goes out. */
async function runClient(
  { pretrained, train }: Awaited<ReturnType<typeof openClassifier>>,
): Promise<number[]> {
  const method = feDeRa({ rank: 2, alpha: 2, svd: "exact" });
  const { model, state } = await method.init(pretrained, { seed: 1, numClients: 1 });
  const values = [...method.parameters(state)].map(async ([name, each]) =>
    [name, { shape: each.shape, data: await each.floats() }] as const
  );
  const { payload } = await trainClient(model, method.plan(state, 1), {
    client: { id: 0, numExamples: train.numExamples, lastRound: 0 },
    round: 1,
    seed: 1,
    payload: f32Codec.encode(new Map(await Promise.all(values))),
    data: train,
    kept: undefined,
    work: { epochs: 2 },
    batchSize: 4,
    optimizer: { name: "sgd" },
    learningRate: 0.2,
    codec: f32Codec,
  });
  disposeOwn(model, pretrained);
  return [...payload];
}

/** A model from bytes, two rounds of FeDeRA on it, its adapter exported and loaded back: all that a page would do. */
export async function runFederation(
  model: Readonly<Record<string, Blob | BufferSource>>,
): Promise<FederationOutcome> {
  const opened = await openClassifier(memoryModelFiles(model));
  const { gpu, family, task, pretrained, train, test } = opened;
  const logitsOf = async (of: TaskModel) => [...(await modelOutputs(of, test)).outputs];
  const before = await logitsOf(pretrained);
  let trained: TaskModel | undefined;
  const losses: [number, number][] = [];
  const run = simulate(pretrained, {
    method: feDeRa({ rank: 2, alpha: 2, svd: "exact" }),
    train,
    test,
    clients: [[0, 1, 5], [2, 3, 6, 7], [4, 8, 9]],
    rounds: 2,
    blockSize: 2,
    work: { epochs: 5 },
    batchSize: 2,
    optimizer: { name: "sgd" },
    learningRate: 0.2,
    seed: 1,
  });
  for await (const event of run) {
    if (event.type === "round") losses.push([event.report.trainLoss!, event.report.test!.loss]);
    if (event.type === "finished") trained = event.model;
  }
  const { tensors: lora } = await exportLora(trained!, { pretrained });
  const peft = await exportPeft(trained!, { pretrained, family, base: { name: "tiny" }, form: "original" });
  const config = JSON.stringify(peft.config);
  const weights = encodeSafetensors(peft.tensors, { format: "pt" });
  const adapter = await openPeftAdapter(
    memoryModelFiles({ "adapter_config.json": config, "adapter_model.safetensors": weights }),
  );
  const own = await decodeAdapter(pretrained, await encodeAdapter(trained!, { pretrained }));
  const { model: imported } = await importPeft(pretrained, adapter, { family });
  const logits = {
    before,
    trained: await logitsOf(trained!),
    ownAdapter: await logitsOf(own),
    peftAdapter: await logitsOf(imported),
  };
  const outcome = {
    logits,
    predictions: readOutputs(task.predictor(test), test, Float32Array.from(logits.ownAdapter)).map((
      { label },
    ) => label),
    losses,
    loraNames: [...lora.keys()].sort(),
    payload: await runClient(opened),
    peft: { config, weights: [...weights] },
  };
  gpu.close();
  return outcome;
}
