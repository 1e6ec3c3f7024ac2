import { isRecording, record } from "../../autograd.ts";
import { formatShape, sameShape, sizeOf } from "../../shape.ts";
import { empty, type Tensor } from "../../tensor.ts";
import { type Attention, type AttentionOptions, type Projections, settle } from "./_attention.ts";
import { plainAttention } from "./_attention_plain.ts";
import { checkOperands } from "../launch.ts";
import type { RelativePositions } from "./relative_positions.ts";

/** Options of {@linkcode relativeAttention}. */
export interface RelativeAttentionOptions extends AttentionOptions {
  /** Values [..., T, H·D]. */
  readonly v: Tensor;
  /** Maps the distance of a query from a key to a row of the tables. */
  readonly positions: RelativePositions;
  /**
   * Table of key positions, which multiplies the queries: [R, H·D], or [C, R, H·D] with a table for each entry of the first
   * axis of q. No such term by default.
   */
  readonly positionKeys?: Tensor | undefined;
  /** Table of query positions, which multiplies the keys; shaped like `positionKeys`. No such term by default. */
  readonly positionQueries?: Tensor | undefined;
}

/**
 * Multi-head self-attention whose scores depend on the distance of a query from a key (He et al., "DeBERTa", arXiv
 * 2006.03654, eq. 4): the score of query i and key j is scale·(q_i·k_j + q_i·pk_r + k_j·pq_r) + mask, with the tables' row r that
 * `positions` gives for the distance i − j. q, k and v are [..., T, H·D], as is the result. All scores are in memory.
 *
 * @throws {TypeError} when the shapes don't agree, or the heads don't divide the width.
 * @throws {RangeError} when there are no tokens, or more than the positions reach.
 * @example
 * ```ts no-run
 * const y = relativeAttention(q, k, { v, heads: 12, mask, positions, positionKeys, positionQueries });
 * ```
 */
export function relativeAttention(q: Tensor, k: Tensor, options: RelativeAttentionOptions): Tensor {
  const { v, mask, positions, positionKeys, positionQueries } = options;
  const operands = { q, k, v, keys: positionKeys, queries: positionQueries };
  const roles = (Object.keys(operands) as (keyof typeof operands)[]).filter((role) => operands[role]);
  const inputs = roles.map((role) => operands[role]!);
  checkOperands("attend over", mask ? [...inputs, mask] : inputs);
  checkOperands("map distances by", [positions.rows], "u32");
  if (q.ndim < 2 || !sameShape(q.shape, k.shape) || !sameShape(q.shape, v.shape)) {
    throw new TypeError(
      `Cannot attend by distance with q ${formatShape(q.shape)}, k ${formatShape(k.shape)}, v ${
        formatShape(v.shape)
      }: expected [..., T, D] three times`,
    );
  }
  const [length, width] = q.shape.slice(-2) as [number, number];
  for (const table of [positionKeys, positionQueries]) if (table) assertTableFits(table, q, positions);
  const lengths = { sequences: sizeOf(q.shape.slice(0, -2)), queries: length, keys: length };
  const settings = settle(q.shape, lengths, options);
  if (length > positions.reach) {
    throw new RangeError(
      `Cannot attend over ${length} tokens by distance: positions reach ${positions.reach}`,
    );
  }
  const attention: Attention = {
    ...views(q, k, v),
    ...settings,
    relative: { positions, keys: positionKeys, queries: positionQueries },
    output: empty(q.gpu, q.shape),
  };
  const saved = plainAttention.forward(attention);
  const isKept = isRecording(...inputs);
  if (!isKept) saved.dispose();
  return record(attention.output, inputs, (dy, wanted, into) => {
    const target = (role: keyof typeof operands) => {
      const at = wanted.indexOf(roles.indexOf(role));
      return into[at] ?? empty(q.gpu, operands[role]!.shape);
    };
    const wants = wanted.map((i) => roles[i]!);
    const targets = new Map(
      roles.filter((role) => role.length === 1 || wants.includes(role)).map((role) => [role, target(role)]),
    );
    plainAttention.gradient(attention, {
      saved,
      dy,
      gradients: views(targets.get("q")!, targets.get("k")!, targets.get("v")!),
      tables: { keys: targets.get("keys"), queries: targets.get("queries") },
    });
    return wants.map((role) => targets.get(role)!);
  });

  function views(q: Tensor, k: Tensor, v: Tensor): Projections {
    const rows = (tensor: Tensor) => ({ tensor, offset: 0, row: width });
    return { q: rows(q), k: rows(k), v: rows(v) };
  }
}

function assertTableFits(table: Tensor, q: Tensor, positions: RelativePositions): void {
  const width = q.shape.at(-1)!;
  const [height = 0] = table.shape.slice(-2);
  const fits = table.shape.at(-1) === width && height >= positions.size &&
    (table.ndim === 2 || (table.ndim === 3 && q.ndim > 2 && table.shape[0] === q.shape[0]));
  if (fits) return;
  throw new TypeError(
    `Cannot attend with q ${formatShape(q.shape)} by a table of positions ${
      formatShape(table.shape)
    }: expected at least ${positions.size} rows, [R, ${width}], or [${q.shape[0]}, R, ${width}]`,
  );
}
