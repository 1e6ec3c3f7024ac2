import source from "../../../shaders/attention/relative.wgsl";
import { Kernel } from "../../gpu/kernel.ts";
import { empty, type Tensor } from "../../tensor.ts";
import type { Attention, PositionTables, Projections, Rows } from "./_attention.ts";
import { fill } from "../create.ts";
import { gemm, type MatrixView } from "../matmul/gemm.ts";
import { gridOf, launch } from "../launch.ts";

const forwardKernel = new Kernel({
  name: "relative_scores",
  source,
  entry: "forward",
  bindings: ["read", "read", "read", "write"],
});
const gradientKernel = new Kernel({
  name: "relative_scores_gradient",
  source,
  entry: "gradient",
  bindings: ["read", "read", "write"],
});

/**
 * Adds q_i·keys[row(i − j)] + k_j·queries[row(i − j)] to the scores [sequences, heads, queries, keys], in place. Each row is
 * multiplied by each query or key once, and only rows for distances within the length are used.
 */
export function addRelativeScores(attention: Attention, scores: Tensor): void {
  const { q, k, queries: length, relative } = attention;
  const { keys, queries, positions } = relative!;
  const a = keys && products(attention, { rows: q, table: keys });
  const b = queries && products(attention, { rows: k, table: queries });
  launch(forwardKernel, {
    tensors: [positions.rows, a ?? positions.rows, b ?? positions.rows, scores],
    params: params(attention),
    workgroups: squares(attention, length),
    constants: { BY_QUERIES: a !== undefined, BY_KEYS: b !== undefined, OF_KEYS: false },
  });
  a?.dispose();
  b?.dispose();
}

/** What {@linkcode relativeGradients} needs. */
export interface RelativeGradientOptions {
  /** Gradient of the scores. */
  readonly dScores: Tensor;
  /** The gradients' shares are added to these. */
  readonly gradients: Projections;
  /** Written, if they are wanted. */
  readonly tables?: PositionTables;
}

/** Gradients of {@linkcode addRelativeScores}. */
export function relativeGradients(attention: Attention, options: RelativeGradientOptions): void {
  const { q, k, relative } = attention;
  const { keys, queries } = relative!;
  const { dScores, gradients, tables = {} } = options;
  if (keys) share({ rows: q, table: keys, dRows: gradients.q, dTable: tables.keys, OF_KEYS: false });
  if (queries) share({ rows: k, table: queries, dRows: gradients.k, dTable: tables.queries, OF_KEYS: true });

  function share({ rows, table, dRows, dTable, OF_KEYS }: Factors & Shares): void {
    const { sequences, queries: length, heads, headSize } = attention;
    const { count } = relative!.positions.span(length);
    const dProducts = empty(dScores.gpu, [sequences, length, heads, count]);
    launch(gradientKernel, {
      tensors: [relative!.positions.starts, dScores, dProducts],
      params: params(attention),
      workgroups: squares(attention, count),
      constants: { BY_QUERIES: false, BY_KEYS: false, OF_KEYS },
    });
    const { batch, m, view, tableView } = views(attention, table);
    const a = view({ tensor: dProducts, offset: 0, row: heads * count }, count);
    gemm({
      a,
      b: tableView(table),
      c: view(dRows, headSize),
      m,
      n: headSize,
      k: count,
      batch,
      accumulate: true,
      whole: true,
    });
    if (dTable) {
      if (count < dTable.shape.at(-2)!) fill(dTable, 0);
      gemm({
        a,
        b: view(rows, headSize),
        c: tableView(dTable),
        m: count,
        n: headSize,
        k: m,
        batch,
        transposeA: true,
        whole: true,
      });
    }
    dProducts.dispose();
  }
}

interface Factors {
  readonly rows: Rows;
  readonly table: Tensor;
}

interface Shares {
  readonly dRows: Rows;
  readonly dTable: Tensor | undefined;
  readonly OF_KEYS: boolean;
}

/** The products of queries or keys with rows of a table, [sequences, length, heads, count]. */
function products(attention: Attention, { rows, table }: Factors): Tensor {
  const { sequences, queries: length, heads, headSize } = attention;
  const { count } = attention.relative!.positions.span(length);
  const result = empty(table.gpu, [sequences, length, heads, count]);
  const { batch, m, view, tableView } = views(attention, table);
  gemm({
    a: view(rows, headSize),
    b: tableView(table),
    c: view({ tensor: result, offset: 0, row: heads * count }, count),
    m,
    n: count,
    k: headSize,
    batch,
    transposeB: true,
    whole: true,
  });
  return result;
}

/**
 * A head is an inner entry of a batch, a member with a table of its own an outer one, whose m rows are those of all its
 * sequences.
 */
function views({ sequences, queries: length, heads, headSize, relative }: Attention, table: Tensor) {
  const [height, width] = table.shape.slice(-2) as [number, number];
  const members = table.ndim === 3 ? table.shape[0]! : 1;
  const m = sequences / members * length;
  const { first } = relative!.positions.span(length);
  const view = ({ tensor, offset, row }: Rows, inner: number): MatrixView => ({
    tensor,
    offset,
    row,
    outer: m * row,
    inner,
  });
  const tableView = (tensor: Tensor): MatrixView => ({
    tensor,
    offset: first * width,
    row: width,
    outer: height * width,
    inner: headSize,
  });
  return { batch: [members, heads] as const, m, view, tableView };
}

function params({ sequences, heads, queries: length, relative }: Attention): number[] {
  const { positions } = relative!;
  const { first, count } = positions.span(length);
  return [sequences, heads, length, first, count, positions.reach];
}

/** The workgroups of a square of rows and columns for each head of each sequence. */
function squares({ sequences, heads, queries: length }: Attention, columns: number) {
  return gridOf(sequences * heads * Math.ceil(length / 8) * Math.ceil(columns / 8));
}
