import registerSource from "../../../shaders/matmul/matmul_register.wgsl";
import sumSource from "../../../shaders/matmul/matmul_sum.wgsl";
import workgroupSource from "../../../shaders/matmul/matmul_workgroup.wgsl";
import { f32Bits } from "../../gpu/device.ts";
import { type BindingAccess, Kernel } from "../../gpu/kernel.ts";
import { type MatmulProblem, precisionConstants } from "./matmul_plan.ts";
import { empty, type Precision, type Tensor } from "../../tensor.ts";
import { type Bindable, launch } from "../launch.ts";
import {
  isVectorizable,
  packOperands,
  padOperands,
  scalesAt,
  type TexelOperands,
} from "./_copied_operands.ts";
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
  /** Each stored row is padded to a multiple of four with values that change no sum; see `_pad_rows.ts`. */
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
  const { b, m, n, batch = [1, 1], transposeA = false, accumulate = false } = options;
  if (m * n * batch[0] * batch[1] === 0) return;
  if (b.tensor.dtype === "int8" && (transposeA || accumulate)) {
    throw new TypeError(
      "Cannot multiply by a matrix in 8 bits with transposeA or accumulate: convert it by toFloat",
    );
  }
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

function runGemm(options: GemmOptions, texels?: TexelOperands): void {
  const { a, b, c, m, n, k, batch = [1, 1], second, accumulate = false, whole = false } = options;
  const { transposeA = false, transposeB = false } = options;
  const count = batch[0] * batch[1];
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

/** The matrix of a tensor with rows of `width` elements, wherever its precision puts them. */
export function storedRows(tensor: Tensor, width: number): MatrixView {
  return tensor.dtype === "int8"
    ? { tensor, row: 4 * Math.ceil(width / 4), padded: true }
    : { tensor, row: width };
}

function placement({ offset = 0, row, outer = 0, inner = 0 }: Placement): number[] {
  return [offset, row, outer, inner];
}
