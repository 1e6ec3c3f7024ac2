import { type Gpu, type Svd, tensor } from "../../src/engine/mod.ts";
import { jacobiSvd, randomizedSvd } from "../../src/engine/linalg/mod.ts";
import type { BenchContext, Contender, Row, Suite } from "../contender.ts";
import { checkFactors, downloadFactors, type FactorErrors, type Factors } from "../factors.ts";
import { randomValues } from "../inputs.ts";
import { median } from "../measure.ts";
import { numpySvd } from "../numpy_svd.ts";
import type { Jax } from "../peers/mod.ts";
import { settle } from "../settle.ts";

const rank = 16;
const shapes = [[384, 384], [768, 768], [3072, 768]] as const;
const lowRank = `rank ${rank}`;

const mostOfLapack = 4;

const wantedSamples = 7;
/** A contender whose first run takes longer isn't run again: seven of them would take more than a row may. */
const longestRepeated = 12_000;
/** jax-js isn't run where the row before and the cube of the smaller side predict more than this. */
const longestJax = 90_000;
/** No further turn of a row's contenders begins after this. */
const rowMilliseconds = 90_000;
/** An exact decomposition is one to this error, which is relative in the Frobenius norm. */
const tolerance = 1e-5;

/** Singular value decompositions of Gaussian matrices: all of it, and its leading part. */
export const svdSuite: Suite = {
  name: "svd",
  title: `thin SVD of Gaussian matrices: exact by Jacobi rotations, and randomized of rank ${rank}`,
  subject: "exact",
  comparesPeers: true,
  goal: {
    what:
      `${lowRank} 5× faster than exact, exact faster than jax-js and at most ${mostOfLapack}× LAPACK's time at ${
        shapes[0].join("×")
      }`,
    check: ({ rows }) => {
      const lapack = rows[0]!.ratios["numpy"];
      const worst = (contender: string, f: (ratio: number) => number) =>
        Math.min(...rows.flatMap(({ ratios }) => contender in ratios ? [f(ratios[contender]!)] : []));
      const [gain, overJax] = [worst(lowRank, (ratio) => 1 / ratio), worst("jax-js", (ratio) => ratio)];
      return {
        measured: `${gain.toFixed(1)}×, ${overJax.toFixed(1)}×, ${
          lapack === undefined ? "no LAPACK" : `${(1 / lapack).toFixed(1)}×`
        }`,
        holds: gain >= 5 && overJax >= 1 && lapack !== undefined && 1 / lapack <= mostOfLapack,
      };
    },
  },
  async *rows(context) {
    let { jax } = context;
    for (const [i, shape] of shapes.entries()) {
      const row = await measureSvd(shape, { ...context, jax });
      yield row;
      const next = shapes[i + 1];
      const times = row.samples["jax-js"];
      if (next === undefined || times === undefined) continue;
      const predicted = median(times) * (Math.min(...next) / Math.min(...shape)) ** 3;
      if (predicted > longestJax) {
        context.complain(
          `jax-js was not run on ${next.join("×")}: it would take ${Math.round(predicted / 1000)} s`,
        );
        jax = undefined;
      }
    }
  },
};

async function measureSvd(
  shape: readonly [number, number],
  { gpu, jax, complain }: BenchContext,
): Promise<Row> {
  const name = shape.join("×");
  const values = randomValues(shape);
  const numpy = async (count: number) => {
    try {
      return await numpySvd(values, shape, count);
    } catch (error) {
      const reason = error instanceof Error ? error.message.trim().split("\n").at(-1) : String(error);
      complain(`numpy did not decompose ${name}: ${reason}`);
      return undefined;
    }
  };
  using a = tensor(gpu, values, { shape });
  const contenders = [
    ours(gpu, "exact", () => jacobiSvd(a)),
    ours(gpu, lowRank, () => randomizedSvd(a, { rank })),
  ];
  if (jax) contenders.push(jaxSvd(jax, values, shape));
  const before = await numpy(4);
  const { samples, factors } = await measureWithin(contenders);
  const after = before && await numpy(4);
  const errors = Object.fromEntries(
    Object.entries(factors).map(([contender, each]) => [contender, checkFactors(values, shape, each)]),
  );
  const best = Math.sqrt(tailOf(factors["exact"]!.s, rank) / tailOf(factors["exact"]!.s, 0));
  const wrong = errors["exact"]!;
  if (wrong.error > tolerance || wrong.orthogonality > tolerance) {
    complain(`exact SVD of ${name} is off: ${describe(wrong)}`);
  }
  return {
    name,
    samples: { ...samples, ...(before && after && { numpy: [...before.samples, ...after.samples] }) },
    note: [
      `${lowRank}: ${
        (median(samples["exact"]!) / median(samples[lowRank]!)).toFixed(1)
      }× faster than exact, ` +
      `error ${(errors[lowRank]!.error / best).toFixed(3)} of the best`,
      ...Object.entries(errors).flatMap(([contender, each]) =>
        contender === lowRank
          ? []
          : [`${contender}: ${describe(each)}, ${samples[contender]!.length} samples`]
      ),
      ...(before ? [`numpy ${before.version}: error ${before.error.toExponential(1)}`] : []),
    ].join("; "),
  };
}

function describe({ error, orthogonality }: FactorErrors): string {
  return `‖A − USVᵀ‖/‖A‖ ${error.toExponential(1)}, |UᵀU − I| ${orthogonality.toExponential(1)}`;
}

/** Σ_{j ≥ from} σⱼ². */
function tailOf(s: ArrayLike<number>, from: number): number {
  return Array.from(s).slice(from).reduce((sum, value) => sum + value * value, 0);
}

/** A contender whose first result is checked. */
interface Decomposer extends Contender {
  factors(): Promise<Factors>;
}

function ours(gpu: Gpu, name: string, decompose: () => Promise<Svd>): Decomposer {
  return {
    name,
    run: async () => {
      const { u, s, vt } = await decompose();
      await settle(gpu);
      for (const each of [u, s, vt]) each.dispose();
    },
    factors: async () => downloadFactors(await decompose()),
  };
}

function jaxSvd(jax: Jax, values: Float32Array, shape: readonly number[]): Decomposer {
  const a = jax.numpy.array(values, { shape });
  return {
    name: "jax-js",
    run: async () => {
      const factors = jax.numpy.linalg.svd(a.ref, { fullMatrices: false });
      for (const each of factors) {
        await each.blockUntilReady();
        each.dispose();
      }
    },
    factors: async () => {
      const [u, s, vt] = jax.numpy.linalg.svd(a.ref, { fullMatrices: false });
      return { u: await u.data(), s: await s.data(), vt: await vt.data() };
    },
  };
}

/**
 * Samples of several contenders in turn, after a first run of each whose result is given back. That run is the only sample
 * of one that takes too long.
 */
async function measureWithin(contenders: readonly Decomposer[]) {
  const start = performance.now();
  const samples: Record<string, number[]> = {};
  const factors: Record<string, Factors> = {};
  const time = async <T>(f: () => Promise<T>): Promise<[number, T]> => {
    const begin = performance.now();
    const result = await f();
    return [performance.now() - begin, result];
  };
  const repeated: Decomposer[] = [];
  for (const each of contenders) {
    const [milliseconds, result] = await time(() => each.factors());
    factors[each.name] = result;
    if (milliseconds > longestRepeated) samples[each.name] = [milliseconds];
    else {
      samples[each.name] = [];
      repeated.push(each);
    }
  }
  for (let i = 0; i < wantedSamples && (i === 0 || performance.now() - start < rowMilliseconds); i++) {
    for (const { name, run } of repeated) samples[name]!.push((await time(run))[0]);
  }
  return { samples, factors };
}
