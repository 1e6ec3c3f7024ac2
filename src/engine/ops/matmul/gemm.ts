import registerSource from "../../../shaders/matmul/matmul_register.wgsl";
import sumSource from "../../../shaders/matmul/matmul_sum.wgsl";
import workgroupSource from "../../../shaders/matmul/matmul_workgroup.wgsl";
import { f32Bits } from "../../gpu/device.ts";
import { type BindingAccess, Kernel } from "../../gpu/kernel.ts";
import { type MatmulProblem, precisionConstants } from "./matmul_plan.ts";
import { empty, int8Layout, isStorageOnly, type Precision, type Tensor } from "../../tensor.ts";
import { type Bindable, launch } from "../launch.ts";
import { pack, type TexelMatrix } from "./_pack.ts";
import { padRows } from "./_pad_rows.ts";
import { tuningOf } from "./tuning.ts";

/** A batch of matrices inside a tensor: strides and offset in elements. */
export interface MatrixView {
  readonly tensor: Tensor;
  /** Of the first element; 0 by default. */
  readonly offset?: number;
  /** Between rows as they are stored. */
  readonly row: number;
  /** Between outer and inner entries of the batch; 0 where the batch shares one matrix. */
  readonly outer?: number;
  readonly inner?: number;
  /** Each stored row is padded to a multiple of four with values that change no sum; see {@linkcode padRows}. */
  readonly padded?: boolean;
}

/** What happens to the sums of a product before they are stored. */
export interface Epilogue {
  /** n values that are added to every row, with strides for the outer and inner batch entries. */
  readonly bias?: { readonly tensor: Tensor; readonly outer?: number; readonly inner?: number } | undefined;
  /** Added last; has the layout of C. */
  readonly residual?: Tensor | undefined;
  /** Applied to the sums with their bias; not together with `residual`. */
  readonly activation?: Activation | undefined;
  /** The activation's derivative is written here; has the layout of C. */
  readonly slope?: Tensor | undefined;
}

/** A function between two linear layers. */
export type Activation = "gelu" | "relu";

/** One batched product C = alpha·op(A)·op(B), with its epilogue. */
export interface GemmOptions extends Epilogue {
  readonly a: MatrixView;
  /** May be in any {@linkcode Precision}; with `int8` there are neither `transposeA` nor `accumulate`. */
  readonly b: MatrixView;
  /** Written; may be a strided part of a tensor. */
  readonly c: MatrixView;
  readonly m: number;
  readonly n: number;
  readonly k: number;
  /** Outer and inner batch extents. */
  readonly batch?: readonly [number, number];
  /** A is stored [k, m]. */
  readonly transposeA?: boolean;
  /** B is stored [n, k]. */
  readonly transposeB?: boolean;
  /** A second product of the same layout, whose terms continue each sum; alpha is 1. */
  readonly second?: { readonly a: MatrixView; readonly b: MatrixView; readonly k: number } | undefined;
  /** One number, or f32 with one for each outer entry of the batch; then there is no bias. */
  readonly alpha?: number | Tensor;
  /** Sums start from C, so that a sum over k in two launches has the bits of a single one; alpha is 1. */
  readonly accumulate?: boolean;
  /** Keeps each sum one chain on every adapter; for products without a weight, where m and n change with padding. */
  readonly whole?: boolean;
}

const sources = { register: registerSource, workgroup: workgroupSource, sum: sumSource };

/**
 * Records one batched matrix product. Each element is one chain of fused multiply-adds in the order of k, whichever tile is
 * chosen, so all tiles give the same bits; see `planMatmul` for the one exception.
 */
export function gemm(options: GemmOptions): void {
  const texels = packOperands(options);
  if (texels !== undefined) {
    runGemm(options, texels);
    texels.a.dispose();
    texels.b.dispose();
    return;
  }
  const padded = padOperands(options);
  runGemm({ ...options, ...padded });
  for (const { tensor } of Object.values(padded)) tensor.dispose();
}

/** The operands of a product in texels. */
interface TexelOperands {
  readonly a: TexelMatrix;
  readonly b: TexelMatrix;
}

/**
 * Copies both operands into texels, where the adapter reads these faster, if each element is read often enough to pay for it.
 * The layout of a product then no longer matters, nor do odd sizes. No bit depends on the copy.
 */
function packOperands(options: GemmOptions): TexelOperands | undefined {
  const { a, b, c, m, n, k, batch = [1, 1], transposeA = false, transposeB = false } = options;
  const { adapter } = c.tensor.gpu;
  const count = batch[0] * batch[1];
  const readsOf = ({ outer = 0, inner = 0 }: MatrixView, each: number) =>
    outer === 0 && inner === 0 ? count * each : each;
  if (
    adapter.class !== "cpu" || !adapter.readsTexels || adapter.subgroupSize === undefined || k === 0 ||
    m < fewestRows ||
    1 / readsOf(a, n) + 1 / readsOf(b, m) > 1 / readsWorthTexels
  ) return undefined;
  const scaled = b.tensor.dtype === "int8" && !transposeB ? { ...b, scalesAt: scalesAt(b) } : undefined;
  const packedA = pack(a, {
    rows: m,
    k,
    batch,
    transposed: transposeA,
    vec: isVectorizable(a, transposeA ? m : k),
    fill: 0,
    scaled,
  });
  const packedB = pack(b, {
    rows: n,
    k,
    batch,
    transposed: !transposeB,
    vec: isVectorizable(b, transposeB ? k : n),
    fill: -0,
  });
  if (packedA && packedB) return { a: packedA, b: packedB };
  packedA?.dispose();
  packedB?.dispose();
  return undefined;
}

/** Fewer rows than these leave a tile of the texels' kernel half empty. */
const fewestRows = 16;
/** As many reads of an element, in the mean of both operands, pay for its copy (measured on Mesa's llvmpipe). */
const readsWorthTexels = 64;

/**
 * Copies operands whose rows aren't multiples of four, if they are read so often that reading four elements at a time pays
 * for the copy: on CPUs, where loads dominate the cost. The padding after the last k changes no sum, so no bit depends on
 * the copy.
 */
function padOperands({ a, b, c, m, n, k, batch = [1, 1], ...options }: GemmOptions) {
  const { transposeA = false, transposeB = false } = options;
  const padded: { a?: MatrixView; b?: MatrixView } = {};
  const { class: adapterClass, subgroupSize } = c.tensor.gpu.adapter;
  if (adapterClass !== "cpu" || subgroupSize === undefined || batch[0] * batch[1] !== 1 || k === 0) {
    return padded;
  }
  const [widthA, widthB] = [transposeA ? m : k, transposeB ? k : n];
  if (n >= readsWorthCopy && m >= readsWorthCopy && k >= readsWorthCopy) {
    if (!isVectorizable(a, widthA)) {
      padded.a = padRows(a, { rows: transposeA ? k : m, width: widthA, value: 0 });
    }
    if (!isVectorizable(b, widthB) && !isStorageOnly(b.tensor.dtype)) {
      padded.b = padRows(b, { rows: transposeB ? n : k, width: widthB, value: -0 });
    }
  }
  return padded;
}

/** The smallest side of a product whose operands are worth a copy. */
const readsWorthCopy = 64;

function runGemm(options: GemmOptions, texels?: TexelOperands): void {
  const { a, b, c, m, n, k, batch = [1, 1], second, accumulate = false, whole = false } = options;
  const { transposeA = false, transposeB = false } = options;
  const count = batch[0] * batch[1];
  if (m * n * count === 0) return;
  if (b.tensor.dtype === "int8" && (transposeA || accumulate)) {
    throw new TypeError(
      "Cannot multiply by a matrix in 8 bits with transposeA or accumulate: convert it by toFloat",
    );
  }
  const { gpu } = c.tensor;
  const { class: adapterClass, subgroupSize } = gpu.adapter;
  const terms = second ? [{ a, b, k }, second] : [{ a, b, k }];
  const problem: MatmulProblem = {
    m,
    n,
    k: Math.max(k, 1), // an empty sum is 0, where the kernels start
    ...(second && { k1: second.k }),
    batch: count,
    transposeA,
    transposeB,
    texels: texels !== undefined,
    vecA: isVectorizable(a, transposeA ? m : k),
    vecB: isVectorizable(b, transposeB ? k : n),
    precisionB: b.tensor.dtype as Precision,
    accumulate,
    whole,
    adapterClass,
    ...(subgroupSize !== undefined && { subgroupSize }),
  };
  const plan = tuningOf(gpu).plan(problem);
  const termParams = [
    ...termWords({ a: texels?.a ?? a, b: texels?.b ?? b, k, scales: scalesAt(b) }),
    ...(second ? termWords(second) : []),
  ];
  const params = [...shared(options, plan.splits), ...termParams];
  const operands: Bindable[][] = terms.map((term) => [term.a.tensor, term.b.tensor]);
  if (texels) operands[0] = [texels.a, texels.b];
  const scales = texels && b.tensor.dtype === "int8" && transposeB ? b.tensor : undefined;
  const flops = 2 * count * m * n * (k + (second?.k ?? 0));
  if (plan.splits === 1) {
    run(plan.shader, options, { params, operands, texels: texels !== undefined, scales, flops, ...plan });
    return;
  }
  // The parts, dense and without an epilogue; then their sum with it.
  const parts = empty(gpu, [plan.splits, count, m, n]);
  const dense = { tensor: parts, row: n, outer: batch[1] * m * n, inner: m * n };
  const unfinished = { ...options, ...noEpilogue, alpha: 1, c: dense };
  run(plan.shader, unfinished, {
    params: [...shared(unfinished, plan.splits), ...termParams],
    operands,
    flops,
    ...plan,
  });
  run("sum", options, {
    params,
    operands: [[parts]],
    flops: count * m * n * plan.splits,
    constants: { SECOND: false, TEXELS: false, ...precisionConstants({}) },
  });
  parts.dispose();
}

const noEpilogue = { bias: undefined, residual: undefined, activation: undefined, slope: undefined };

interface Run {
  readonly params: readonly number[];
  /** A and B of each product. */
  readonly operands: readonly (readonly Bindable[])[];
  /** A and B of the first are in texels. */
  readonly texels?: boolean;
  /** Holds the scales of a B that was in 8 bits before it was put into texels. */
  readonly scales?: Bindable | undefined;
  readonly flops: number;
  readonly constants: Readonly<Record<string, number | boolean | string>>;
  /** By default one thread for each element of C. */
  readonly workgroups?: readonly [number, number, number];
}

function run(shader: keyof typeof sources, options: GemmOptions, settings: Run): void {
  const { bias, residual, activation, slope, c, m, n, batch = [1, 1], alpha = 1 } = options;
  const { params, operands, texels = false, scales, flops, constants, workgroups } = settings;
  const [[a, b = a!], ...rest] = operands as [Bindable[], ...Bindable[][]];
  launch(kernelFor(shader, { terms: operands.length, texels, residual, slope, scales }), {
    tensors: [
      a!,
      b,
      c.tensor,
      typeof alpha === "number" ? bias?.tensor ?? options.a.tensor : alpha,
      ...rest.flat(),
      ...(residual ? [residual] : []),
      ...(slope ? [slope] : []),
      ...(scales ? [scales] : []),
    ],
    params,
    flops,
    detail: detailOf(options),
    ...(workgroups ? { workgroups } : { threads: batch[0] * batch[1] * m * n }),
    constants: {
      ...constants,
      SCALED: typeof alpha !== "number",
      RESIDUAL: residual !== undefined,
      ACTIVATION: activation !== undefined,
      GELU: activation === "gelu",
      SLOPE: slope !== undefined,
    },
  });
}

/** Layout and size, for a profile. */
function detailOf({ m, n, k, batch = [1, 1], transposeA, transposeB }: GemmOptions): string {
  const count = batch[0] * batch[1];
  return `${transposeA ? "T" : "N"}${transposeB ? "T" : "N"} ${count > 1 ? `${count}×` : ""}${m}×${n}×${k}`;
}

const kernels = new Map<string, Kernel>();

/** The kernel with as many bindings as the launch has tensors. */
function kernelFor(
  shader: keyof typeof sources,
  { terms, texels, residual, slope, scales }:
    & { terms: number; texels: boolean; scales: Bindable | undefined }
    & Pick<Epilogue, "residual" | "slope">,
): Kernel {
  const operand = texels ? "read texels" : "read";
  const extra: BindingAccess[] = [
    ...(terms === 2 ? ["read", "read"] as const : []),
    ...(residual ? ["read"] as const : []),
    ...(slope ? ["write"] as const : []),
    ...(scales ? ["read"] as const : []),
  ];
  const key = `${shader} ${operand} ${extra.join()}`;
  let kernel = kernels.get(key);
  if (kernel === undefined) {
    kernel = new Kernel({
      name: `matmul_${shader}`,
      source: sources[shader],
      bindings: [operand, operand, "write", "read", ...extra],
    });
    kernels.set(key, kernel);
  }
  return kernel;
}

/** The uniform words that all products of a launch share. */
function shared({ m, n, c, bias, batch = [1, 1], alpha = 1 }: GemmOptions, splits: number): number[] {
  return [
    m,
    n,
    batch[0] * batch[1],
    batch[1],
    ...placement(c),
    bias?.outer ?? 0,
    bias?.inner ?? 0,
    f32Bits(typeof alpha === "number" ? alpha : 1),
    splits,
    bias ? 1 : 0,
    0,
    0,
    0,
  ];
}

type Placement = Omit<MatrixView, "tensor">;

function termWords(
  { a, b, k, scales = 0 }: { a: Placement; b: Placement; k: number; scales?: number },
): number[] {
  return [k, ...placement(a), ...placement(b), scales, 0, 0];
}

/** The word of an `int8` tensor at which its scales begin. */
function scalesAt({ tensor: { dtype, shape } }: MatrixView): number {
  if (dtype !== "int8") return 0;
  const { rows, words } = int8Layout(shape);
  return rows * words;
}

/** The matrix of a tensor with rows of `width` elements, wherever its precision puts them. */
export function storedRows(tensor: Tensor, width: number): MatrixView {
  return tensor.dtype === "int8"
    ? { tensor, row: 4 * Math.ceil(width / 4), padded: true }
    : { tensor, row: width };
}

function placement({ offset = 0, row, outer = 0, inner = 0 }: Placement): number[] {
  return [offset, row, outer, inner];
}

function isVectorizable(
  { offset = 0, row, outer = 0, inner = 0, padded = false }: MatrixView,
  extent: number,
): boolean {
  return [offset, row, outer, inner, padded ? 0 : extent].every((value) => value % 4 === 0);
}
