import {
  disposeAll,
  Layer,
  Linear,
  sqrt,
  square,
  sum,
  type Svd,
  type Tensor,
  tensor,
  tidy,
} from "../../../src/engine/mod.ts";
import { jacobiSvd, randomizedSvd } from "../../../src/engine/linalg/mod.ts";
import { adaptersOf, attachAdapters, federa } from "../../../src/federa/mod.ts";
import { checkFactors, downloadFactors } from "../../factors.ts";
import { randomValues } from "../../inputs.ts";
import type { Check, GpuRow } from "../row.ts";
import { type StageContext, uniformValues } from "../stage.ts";
import type { PeerArray } from "../torch.ts";
import { ours, time, torchContenders } from "../timing.ts";

const rank = 16;
const oversampling = 10;
const iterations = 4;
/** An exact decomposition is one to this error, which is relative in the Frobenius norm. */
const exactTolerance = 1e-5;
/** The error of a truncated one over the best possible. */
const overBest = 1.01;

/** Decompositions of Gaussian matrices, exact and of low rank, and the start of adapters in all matrices of an encoder. */
export async function* svdStage(context: StageContext): AsyncIterable<GpuRow> {
  const shapes = context.quick ? [[96, 64]] : [[384, 384], [768, 768], [3072, 768]];
  yield await measureStart(context);
  for (const shape of shapes as [number, number][]) {
    yield await measureSvd(shape, rank, context);
    yield await measureSvd(shape, null, context);
  }
}

async function measureSvd(
  shape: readonly [number, number],
  wanted: number | null,
  { gpu, torch, isCuda }: StageContext,
): Promise<GpuRow> {
  const data = randomValues(shape);
  using a = tensor(gpu, data, { shape });
  const decompose = (): Promise<Svd> =>
    wanted === null
      ? jacobiSvd(a)
      : randomizedSvd(a, { rank: wanted, oversampling, powerIterations: iterations });
  const { sweeps, ...own } = await decompose();
  const factors = await downloadFactors(own);
  const program = await torch?.prepare("svd", { a: { shape, data } }, {
    rank: wanted,
    oversampling,
    iterations,
  });
  const checks = await checksOf({ shape, data }, factors, { torch, wanted });
  const timed = await time([
    ours(gpu, async () => {
      const { u, s, vt } = await decompose();
      disposeAll([u, s, vt]);
    }),
    ...torchContenders(program, isCuda),
  ], { seconds: 2.5, sampleMilliseconds: 10 });
  await program?.release();
  return {
    name: `${shape.join("×")} ${wanted === null ? "exact" : `rank ${wanted}`}`,
    ...timed,
    checks,
    notes: [`${sweeps} sweeps`],
  };
}

/** Errors in float64, by PyTorch where it is there. */
async function checksOf(
  a: PeerArray & { readonly data: Float32Array; readonly shape: readonly [number, number] },
  factors: Awaited<ReturnType<typeof downloadFactors>>,
  { torch, wanted }: { torch: StageContext["torch"]; wanted: number | null },
): Promise<Check[]> {
  const [m, n] = a.shape;
  const k = factors.s.length;
  const floats = (x: ArrayLike<number>) => Float32Array.from(x);
  if (torch === undefined) {
    const { error, orthogonality } = checkFactors(a.data, [m, n], factors);
    return [
      { what: "|UᵀU − I|", found: orthogonality, allowed: exactTolerance },
      ...wanted === null ? [{ what: "‖A − USVᵀ‖/‖A‖", found: error, allowed: exactTolerance }] : [],
    ];
  }
  const program = await torch.prepare("svd_check", {
    a,
    u: { shape: [m, k], data: floats(factors.u) },
    s: { shape: [k], data: floats(factors.s) },
    vt: { shape: [k, n], data: floats(factors.vt) },
  });
  const errors = await program.result();
  await program.release();
  const [residual, best, orthogonality, values] = ["residual", "best", "orthogonality", "values"]
    .map((name) => errors.get(name)![0]!) as [number, number, number, number];
  return [
    { what: "|UᵀU − I|", found: orthogonality, allowed: exactTolerance },
    ...wanted === null
      ? [
        { what: "‖A − USVᵀ‖/‖A‖", found: residual, allowed: exactTolerance },
        { what: "singular values against float64, over the largest", found: values, allowed: exactTolerance },
      ]
      : [{ what: "error over the best of its rank", found: residual / best, allowed: overBest }],
  ];
}

/** Linear layers side by side. */
class Matrices extends Layer {
  readonly linears: readonly Linear[];

  constructor(linears: readonly Linear[]) {
    super();
    this.linears = linears;
  }

  override forward(): Tensor {
    throw new TypeError("Cannot run matrices that stand side by side: they are there to be decomposed");
  }
}

const adapterRank = 8;
/** The sketch and the power iterations that `federa()` takes at this rank, so that PyTorch does equal work. */
const sketch = { oversampling: 8, iterations: 2 };

/** FeDeRA's start: of one layer of BERT-base, as many times as it has layers. */
async function measureStart({ gpu, torch, isCuda, quick }: StageContext): Promise<GpuRow> {
  const shapes = quick
    ? [[64, 96]]
    : [[768, 768], [768, 768], [768, 768], [768, 768], [3072, 768], [768, 3072]];
  const layers = quick ? 2 : 12;
  const arrays = shapes.map((shape, i) => ({ shape, data: decaying(shape as [number, number], i) }));
  const model = new Matrices(
    Array.from({ length: layers }, () => arrays).flat()
      .map(({ shape, data }) => new Linear(tensor(gpu, data, { shape }))),
  );
  const start = () =>
    attachAdapters(model, {
      targets: ["**"],
      rank: adapterRank,
      alpha: adapterRank,
      initialization: federa({ svd: "randomized" }),
    });
  const first = await start();
  const norms = await residualNorms([...adaptersOf(first).values()].slice(0, shapes.length));
  free(first);
  const program = await torch?.prepare(
    "start",
    Object.fromEntries(arrays.map((each, i) => [`${i}`, each])),
    { rank: adapterRank, ...sketch, repeats: layers },
  );
  const expected = (await program?.result())?.get("residualNorms");
  const timed = await time([
    ours(gpu, async () => free(await start())),
    ...torchContenders(program, isCuda),
  ], { seconds: 5, sampleMilliseconds: 10 });
  await program?.release();
  disposeAll(model.linears.map(({ weight }) => weight));
  return {
    name: `FeDeRA's start of ${layers * shapes.length} matrices${quick ? "" : " of BERT-base"}`,
    ...timed,
    checks: expected === undefined ? [] : [{
      what: "residual over PyTorch's, largest of a matrix",
      found: norms.reduce((largest, norm, i) => Math.max(largest, norm / expected[i]!), 0),
      allowed: overBest,
    }],
  };
}

async function residualNorms(layers: readonly { readonly weight: Tensor }[]): Promise<number[]> {
  const norms: number[] = [];
  for (const { weight } of layers) {
    using norm = tidy(() => sqrt(sum(square(weight))));
    norms.push(await norm.item());
  }
  return norms;
}

function free(model: Matrices): void {
  for (const { weight, loraA, loraB, initial } of adaptersOf(model).values()) {
    disposeAll([weight, loraA, loraB, initial!.loraA, initial!.loraB]);
  }
}

/** Weights whose singular values fall like 1/√j for 64 of them and end in noise. */
function decaying([m, n]: readonly [number, number], seed: number): Float32Array<ArrayBuffer> {
  const components = Math.min(64, m, n);
  const centred = (count: number, stream: number) =>
    uniformValues(count, 3 * seed + stream).map((value) => 2 * value - 1);
  const [left, right, noise] = [centred(m * components, 0), centred(components * n, 1), centred(m * n, 2)];
  const values = new Float32Array(m * n);
  for (let i = 0; i < m; i++) {
    const row = new Float64Array(n);
    for (let j = 0; j < components; j++) {
      const weight = left[i * components + j]! / Math.sqrt(j + 1);
      for (let c = 0; c < n; c++) row[c]! += weight * right[j * n + c]!;
    }
    for (let c = 0; c < n; c++) values[i * n + c] = 0.02 * (row[c]! - noise[i * n + c]!);
  }
  return values;
}
