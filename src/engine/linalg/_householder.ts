import qrSource from "../../shaders/linalg/qr.wgsl";
import reflectorsSource from "../../shaders/linalg/reflectors.wgsl";
import { Kernel } from "../gpu/kernel.ts";
import { launch } from "../ops/launch.ts";
import { fill } from "../ops/create.ts";
import { empty, type Tensor } from "../tensor.ts";
import { extentsOf, identityRows, laneConstants, type Rows } from "./_rows.ts";

const factorBindings = ["write", "write", "write", "write"] as const;
const factorKernel = (entry: string) =>
  new Kernel({ name: `qr_${entry}`, source: qrSource, entry, bindings: factorBindings });
const startKernel = factorKernel("start");
const reflectKernel = factorKernel("reflect");
const applyKernel = new Kernel({
  name: "reflectors",
  source: reflectorsSource,
  bindings: ["read", "read", "read", "write"],
});

/** Reflectors that one launch applies. It bounds the launch's time, as display drivers kill launches that take seconds. */
const reflectorsALaunch = 128;

/** Q of a QR decomposition, as a product of reflectors. */
export interface Reflectors {
  /** The pivot columns from their pivot on: [N, n, stride]. */
  readonly columns: Rows;
  /** R's diagonal, of either sign: [N, k]. */
  readonly diagonal: Tensor;
  /** Pivots; see qr.wgsl. */
  readonly state: Tensor;
  readonly pivoted: boolean;
}

/** Options of {@linkcode householder}. */
export interface HouseholderOptions {
  /** Length of the columns, m. */
  readonly length: number;
  /** Zeros of [N, at least k, at least n]; R is written there, its columns in the order of `columns`. */
  readonly r: Rows;
  /** Takes the longest remaining column at each step instead of the next one. */
  readonly pivoted?: boolean;
}

/** QR of the matrices whose columns are the rows of `columns`, which it overwrites. */
export function householder(columns: Rows, { length, r, pivoted = false }: HouseholderOptions): Reflectors {
  const [batch, n, stride] = extentsOf(columns);
  const k = Math.min(length, n);
  if (n > 65535) throw new RangeError(`Cannot factor a matrix of ${n} columns: pivots are counted to 65535`);
  const diagonal = empty(columns.gpu, [batch, k]);
  const state = empty(columns.gpu, [batch, k + 1 + n], "u32");
  fill(state, 0);
  const lanes = laneConstants[columns.gpu.adapter.class];
  const constants = { ...lanes, PIVOTED: pivoted };
  const tensors = [columns, r, diagonal, state];
  const run = (kernel: Kernel, jobs: number, step: number) =>
    launch(kernel, {
      tensors,
      params: [n, stride / 4, k, ...r.shape.slice(1), step],
      workgroups: [Math.ceil(jobs / lanes.GROUPS), 1, batch],
      constants,
    });
  if (pivoted) run(startKernel, n, 0);
  for (let j = 0; j < k; j++) run(reflectKernel, pivoted ? n : n - j, j);
  return { columns, diagonal, state, pivoted };
}

/** Overwrites each row y of `targets` by Q·y. */
export function applyReflectors(reflectors: Reflectors, targets: Rows): void {
  apply(reflectors, targets, false);
}

/** The first `count` columns of Q, as rows. */
export function basisOf(reflectors: Reflectors, count: number): Rows {
  const { columns } = reflectors;
  const [batch, , stride] = extentsOf(columns);
  const basis = identityRows(empty(columns.gpu, [batch, count, stride]));
  apply(reflectors, basis, true);
  return basis;
}

function apply({ columns, diagonal, state, pivoted }: Reflectors, targets: Rows, ofIdentity: boolean): void {
  const [batch, count, stride] = extentsOf(targets);
  const [k, n] = [diagonal.shape[1]!, columns.shape[1]!];
  const lanes = laneConstants[columns.gpu.adapter.class];
  for (let last = k; last > 0; last -= reflectorsALaunch) {
    launch(applyKernel, {
      tensors: [columns, diagonal, state, targets],
      params: [n, stride / 4, k, Math.max(0, last - reflectorsALaunch), last, count],
      workgroups: [Math.ceil(count / lanes.GROUPS), 1, batch],
      constants: { ...lanes, PIVOTED: pivoted, OF_IDENTITY: ofIdentity },
    });
  }
}
