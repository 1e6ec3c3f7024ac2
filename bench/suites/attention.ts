import {
  backward,
  type Gpu,
  mul,
  selfAttention,
  sum,
  type Tensor,
  tensor,
  tidy,
} from "../../src/engine/mod.ts";
import { record } from "../../src/engine/autograd.ts";
import { plainAttention } from "../../src/engine/ops/attention/_attention_plain.ts";
import { empty } from "../../src/engine/tensor.ts";
import type { BenchContext, Contender, Row, Suite } from "../contender.ts";
import { randomValues } from "../inputs.ts";
import { measure } from "../measure.ts";
import type { Jax } from "../peers/mod.ts";
import { settle } from "../settle.ts";

const heads = 12;
const headSize = 32;
const width = heads * headSize;
const tokens = 1024;
const lengths = [64, 128, 256, 512, 1024];
const tolerance = 1e-4;

/** Self-attention of a fused projection with its gradient, as the engine chooses to do it. */
export const attentionSuite: Suite = {
  name: "attention",
  title: `self-attention of ${tokens} tokens, ${heads} heads of ${headSize}, forward and backward`,
  subject: "federa",
  comparesPeers: true,
  goal: {
    what: "no slower than the plain path, bytes linear in T",
    check: ({ rows }) => {
      const worst = Math.min(...rows.map(({ ratios }) => ratios["plain"]!));
      const kept = rows.map(({ figures }) => figures!["keptBytesPerToken"]!);
      const spread = Math.max(...kept) / Math.min(...kept);
      return {
        measured: `${worst.toFixed(2)}×, bytes a token within ${((spread - 1) * 100).toFixed(0)} %`,
        // The pool's size classes round up by an eighth at most.
        holds: worst >= 1 && spread <= 1.125,
      };
    },
  },
  async *rows(context) {
    for (const length of lengths) yield await measureAttention(length, context);
  },
};

interface Program extends Contender {
  /** The gradient by the projection. */
  gradient(): Promise<ArrayLike<number>>;
  dispose(): void;
}

async function measureAttention(length: number, { gpu, jax, complain }: BenchContext): Promise<Row> {
  const batch = tokens / length;
  const name = `B ${batch}, T ${length}`;
  const values = { qkv: randomValues([batch, length, 3 * width]), dy: randomValues([batch, length, width]) };
  const attend = { federa: (x: Tensor) => selfAttention(x, { heads }), plain: plainSelfAttention };
  const kept = Object.values(attend).map((each) => keptBytes(gpu, [batch, length, 3 * width], each));
  const programs = Object.entries(attend).map(([contender, f]) => ours(gpu, contender, { values, batch, f }));
  if (jax) programs.push(jaxProgram(jax, values, [batch, length]));
  try {
    const [subject, ...others] = programs;
    const expected = await subject!.gradient();
    const right = [subject!];
    for (const other of others) {
      try {
        assertEqual(await other.gradient(), expected);
        right.push(other);
      } catch (error) {
        complain(`${other.name} has no time for ${name}: ${error instanceof Error ? error.message : error}`);
      }
    }
    return {
      name,
      samples: await measure(right),
      // Two products of T×T×D in the forward pass and four in the backward pass; the fused one repeats some.
      flops: 12 * batch * length * length * width,
      figures: { keptBytesPerToken: kept[0]! / tokens, plainKeptBytesPerToken: kept[1]! / tokens },
      note: `keeps ${(kept[0]! / 1e6).toFixed(1)} MB for the backward pass, plain ${
        (kept[1]! / 1e6).toFixed(1)
      } MB`,
    };
  } finally {
    for (const each of programs) each.dispose();
  }
}

/** As `selfAttention`, by matrix products and a softmax. */
function plainSelfAttention(qkv: Tensor): Tensor {
  const [sequences, queries] = qkv.shape as [number, number, number];
  const views = (tensor: Tensor) => {
    const part = (i: number) => ({ tensor, offset: i * width, row: 3 * width });
    return { q: part(0), k: part(1), v: part(2) };
  };
  const attention = {
    ...views(qkv),
    ...{
      sequences,
      queries,
      heads,
      headSize,
      keys: queries,
      mask: undefined,
      scale: 1 / Math.sqrt(headSize),
    },
    output: empty(qkv.gpu, [sequences, queries, width]),
  };
  const saved = plainAttention.forward(attention);
  return record(attention.output, [qkv], [(dy, dqkv = empty(qkv.gpu, qkv.shape)) => {
    plainAttention.gradient(attention, { saved, dy, gradients: views(dqkv) });
    return dqkv;
  }]);
}

/** Bytes alive between the forward and the backward pass, those of the projection left out. */
function keptBytes(gpu: Gpu, shape: readonly number[], attend: (x: Tensor) => Tensor): number {
  return tidy(() => {
    const qkv = empty(gpu, shape).requireGrad();
    const before = gpu.stats().liveBytes;
    attend(qkv);
    return gpu.stats().liveBytes - before;
  });
}

interface OursOptions {
  readonly values: { readonly qkv: Float32Array; readonly dy: Float32Array };
  readonly batch: number;
  readonly f: (qkv: Tensor) => Tensor;
}

function ours(gpu: Gpu, name: string, { values, batch, f }: OursOptions): Program {
  const qkv = tensor(gpu, values.qkv, { shape: [batch, tokens / batch, 3 * width] }).requireGrad();
  const dy = tensor(gpu, values.dy, { shape: [batch, tokens / batch, width] });
  const step = () => tidy(() => backward(sum(mul(f(qkv), dy)), [qkv])[0]!);
  return {
    name,
    run: async () => {
      using _gradient = step();
      await settle(gpu);
    },
    gradient: async () => {
      using gradient = step();
      return await gradient.floats();
    },
    dispose: () => [qkv, dy].forEach((each) => each.dispose()),
  };
}

function jaxProgram(jax: Jax, values: OursOptions["values"], [batch, length]: [number, number]): Program {
  const { numpy: np, nn } = jax;
  const qkv = np.array(values.qkv, { shape: [batch, length, 3 * width] });
  const dy = np.array(values.dy, { shape: [batch, length, width] });
  const gradient = jax.jit(jax.grad((x: typeof qkv, weight: typeof qkv) => {
    const parts = x.reshape([batch, length, 3, heads, headSize]).transpose([2, 0, 3, 1, 4]);
    const [q, k, v] = [parts.ref.slice(0), parts.ref.slice(1), parts.slice(2)];
    const scores = np.matmul(q!, np.swapaxes(k!, -1, -2)).mul(1 / Math.sqrt(headSize));
    const y = np.matmul(nn.softmax(scores, -1), v!).transpose([0, 2, 1, 3]).reshape([batch, length, width]);
    return y.mul(weight).sum();
  }));
  return {
    name: "jax-js",
    run: async () => {
      const result = gradient(qkv.ref, dy.ref);
      await result.blockUntilReady();
      result.dispose();
    },
    gradient: () => gradient(qkv.ref, dy.ref).data(),
    dispose: () => [qkv, dy].forEach((each) => each.dispose()),
  };
}

/** @throws {RangeError} when a gradient differs by more than a ten-thousandth of the largest. */
function assertEqual(actual: ArrayLike<number>, expected: ArrayLike<number>): void {
  const largest = Array.from(expected).reduce((most, value) => Math.max(most, Math.abs(value)), 0);
  for (let i = 0; i < expected.length; i++) {
    if (!(Math.abs(actual[i]! - expected[i]!) <= tolerance * largest)) {
      throw new RangeError(`wrong gradient at ${i}: expected ${expected[i]}, got ${actual[i]}`);
    }
  }
}
