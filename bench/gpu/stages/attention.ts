import { backward, mul, selfAttention, sum, tensor, tidy } from "../../../src/engine/mod.ts";
import { randomValues } from "../../inputs.ts";
import { type GpuRow, relativeDifference } from "../row.ts";
import { flopShares, type StageContext } from "../stage.ts";
import { ours, time, torchContenders } from "../timing.ts";

const heads = 12;
const headSize = 32;
const width = heads * headSize;
/** Both sides take sums of at most T terms with rounding errors of f32; a gradient's largest terms cancel in part. */
const tolerance = 1e-4;

/** Self-attention of a fused projection with its gradient. */
export async function* attentionStage(context: StageContext): AsyncIterable<GpuRow> {
  const [tokens, lengths] = context.quick ? [256, [64]] : [16384, [64, 128, 512]];
  for (const length of lengths) yield await measureAttention(tokens / length, length, context);
}

async function measureAttention(
  batch: number,
  length: number,
  { gpu, torch, isCuda, ceilings }: StageContext,
): Promise<GpuRow> {
  const shapes = { qkv: [batch, length, 3 * width], dy: [batch, length, width] };
  const values = { qkv: randomValues(shapes.qkv), dy: randomValues(shapes.dy) };
  const qkv = tensor(gpu, values.qkv, { shape: shapes.qkv }).requireGrad();
  using dy = tensor(gpu, values.dy, { shape: shapes.dy });
  try {
    const step = () => tidy(() => backward(sum(mul(selfAttention(qkv, { heads }), dy)), [qkv])[0]!);
    const program = await torch?.prepare("attention", {
      qkv: { shape: shapes.qkv, data: values.qkv },
      dy: { shape: shapes.dy, data: values.dy },
    }, { heads });
    using gradient = step();
    const found = await gradient.floats();
    const checks = program === undefined ? [] : [{
      what: "relative difference of the gradient from PyTorch's",
      found: relativeDifference(found, (await program.result()).get("gradient")!),
      allowed: tolerance,
    }];
    const timed = await time([
      ours(gpu, () => step().dispose()),
      ...torchContenders(program, isCuda),
    ], { seconds: 3 });
    await program?.release();
    // Two products of T×T×D in the forward pass and four in the backward pass.
    const flops = 12 * batch * length * length * width;
    return {
      name: `B ${batch}, T ${length}, ${heads} heads of ${headSize}`,
      ...timed,
      flops,
      shares: flopShares(timed.milliseconds, flops, ceilings),
      checks,
      notes: ["of multiply-adds"],
    };
  } finally {
    qkv.dispose();
  }
}
