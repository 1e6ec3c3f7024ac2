import {
  abs,
  concat,
  disposeAll,
  div,
  formatShape,
  keep,
  max,
  ones,
  reshape,
  type Tensor,
  tidy,
  transpose,
  triangularize,
  where,
} from "../../engine/mod.ts";
import { loraLayers } from "../../federa/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import { type Columns, principalAngles } from "./_principal_angles.ts";
import type { Figures, Measure, MeasureContext } from "./measure.ts";

const degrees = 180 / Math.PI;

/**
 * How far the spans of the factors have turned since the start of the run: the principal angles between the rows of A now and
 * then, and between the columns of B, in degrees. `largestAngleA` and `largestAngleB` are the largest of any layer,
 * `meanAngleA` and `meanAngleB` are means over angles and layers. Null for a factor that is, or began as, zero, as LoRA's B.
 *
 * With [X₀ X] = Q·R for the factors X₀ and X then and now, the angles are those between the parts of R, 2r × 2r, which is read
 * back and worked on in float64. A copy of the initial factors is held for the run.
 */
export function subspaceAngles({ initial }: MeasureContext): Measure {
  return new SubspaceAngles(initial);
}

/** One factor of one layer, its vectors as columns [length, r]. */
interface Factor {
  readonly kind: "A" | "B";
  readonly columns: Tensor;
}

class SubspaceAngles implements Measure {
  readonly name = "subspace-angles";
  readonly #initial: ReadonlyMap<string, Factor>;

  constructor(initial: TaskModel) {
    this.#initial = tidy(() => factorsOf(initial));
    for (const { columns } of this.#initial.values()) keep(columns);
  }

  begin(): void {}

  add(): void {}

  async end(model: TaskModel): Promise<Figures> {
    const groups = keepAll(tidy(() => triangles(this.#initial, factorsOf(model))));
    try {
      const found = await Promise.all(groups.map(async ({ kinds, split, r }) => {
        const [, height, width] = r.shape as [number, number, number];
        const values = await r.floats();
        return kinds.map((kind, i) => {
          const both = columnsOf(values.subarray(i * height * width, (i + 1) * height * width), width);
          return { kind, angles: principalAngles(both.slice(0, split), both.slice(split)) };
        });
      }));
      const anglesOf = (wanted: "A" | "B") =>
        found.flat().filter(({ kind }) => kind === wanted).flatMap(({ angles }) => angles);
      const largest = (angles: number[]) =>
        angles.length > 0 ? angles.reduce((a, b) => Math.max(a, b)) * degrees : null;
      const mean = (angles: number[]) =>
        angles.length > 0 ? angles.reduce((a, b) => a + b) / angles.length * degrees : null;
      const [a, b] = [anglesOf("A"), anglesOf("B")];
      return {
        largestAngleA: largest(a),
        meanAngleA: mean(a),
        largestAngleB: largest(b),
        meanAngleB: mean(b),
      };
    } finally {
      disposeAll(groups.map(({ r }) => r));
    }
  }

  dispose(): void {}

  close(): void {
    disposeAll([...this.#initial.values()].map(({ columns }) => columns));
  }
}

/** Copies of the factors of all adapters, the longest element of each vector scaled to 1, which leaves spans as they are. */
function factorsOf(model: TaskModel): Map<string, Factor> {
  return new Map(
    [...loraLayers(model)].flatMap(([name, { lora: { loraA, loraB } }]): [string, Factor][] => [
      [`${name}.loraA`, { kind: "A", columns: transpose(scaled(loraA, 1)) }],
      [`${name}.loraB`, { kind: "B", columns: scaled(loraB, 0) }],
    ]),
  );
}

function scaled(x: Tensor, axis: number): Tensor {
  const largest = max(abs(x.detach()), { axes: [axis], keepDims: true });
  return div(x.detach(), where(largest, { then: largest, otherwise: ones(x.gpu, [1]) }));
}

/** The triangular factors of some [then now] of one shape. */
interface Triangles {
  readonly kinds: readonly ("A" | "B")[];
  /** Columns of then, r₀. */
  readonly split: number;
  /** [N, min(length, r₀ + r), r₀ + r]. */
  readonly r: Tensor;
}

function triangles(then: ReadonlyMap<string, Factor>, now: ReadonlyMap<string, Factor>): Triangles[] {
  const groups = new Map<string, { kinds: ("A" | "B")[]; split: number; both: Tensor[] }>();
  for (const [name, { kind, columns }] of now) {
    const initial = then.get(name)?.columns;
    if (initial === undefined) continue;
    const key = `${formatShape(initial.shape)} ${formatShape(columns.shape)}`;
    let group = groups.get(key);
    if (group === undefined) groups.set(key, group = { kinds: [], split: initial.shape[1]!, both: [] });
    const both = concat([initial, columns], { axis: 1 });
    group.kinds.push(kind);
    group.both.push(reshape(both, [1, ...both.shape]));
  }
  return [...groups.values()].map(({ kinds, split, both }) => ({
    kinds,
    split,
    r: triangularize(concat(both)),
  }));
}

function keepAll(groups: Triangles[]): Triangles[] {
  for (const { r } of groups) keep(r);
  return groups;
}

/** The columns of a matrix with rows of `width`. */
function columnsOf(values: Float32Array, width: number): Columns {
  return Array.from(
    { length: width },
    (_, j) => Float64Array.from({ length: values.length / width }, (_, i) => values[i * width + j]!),
  );
}
