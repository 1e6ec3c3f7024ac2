import type { BenchContext, Contender, Row, Suite } from "../contender.ts";
import { prepareOwnStep } from "../lora/federa.ts";
import { prepareJaxStep } from "../lora/jax_js.ts";
import { createProblem, type LoraStep, miniLm } from "../lora/problem.ts";
import { prepareTfjsStep } from "../lora/tfjs.ts";
import { measure } from "../measure.ts";

const batch = 16;
const length = 64;
const rank = 8;
const tolerance = 1e-3;
/** A peer so much slower than the quickest one keeps the one sample that showed it: seven would take minutes. */
const hopeless = 1.5;

type Inspection = Awaited<ReturnType<LoraStep["inspect"]>>;

/** One step of training adapters in a frozen encoder: forward, backward and AdamW, everything on the device. */
export const loraStepSuite: Suite = {
  name: "lora_step",
  title: `one LoRA step of a MiniLM-shaped encoder, rank ${rank} on Q, K, V and output, AdamW`,
  subject: "federa",
  comparesPeers: true,
  goal: {
    what: "1.5× the better peer, loss and gradients equal",
    check: ({ geomeanOverBestPeer }) => ({
      measured: geomeanOverBestPeer === null ? "no peer ran" : `${geomeanOverBestPeer.toFixed(2)}×`,
      holds: geomeanOverBestPeer !== null && geomeanOverBestPeer >= 1.5,
    }),
  },
  async *rows(context) {
    yield await measureStep(context);
  },
};

async function measureStep({ gpu, jax, tfjs, complain }: BenchContext): Promise<Row> {
  const problem = createProblem(miniLm, { batch, length, rank });
  const own = prepareOwnStep(gpu, problem);
  const expected = [await own.inspect(), await own.inspect()] as const;
  const steps: LoraStep[] = [own];
  const peers: (Contender & { readonly milliseconds: number })[] = [];
  const prepare = {
    ...(jax && { "jax-js": () => prepareJaxStep(jax, problem) }),
    ...(tfjs && { tfjs: () => prepareTfjsStep(tfjs, problem) }),
  };
  let difference = 0;
  try {
    for (const [name, create] of Object.entries(prepare)) {
      try {
        const step = create();
        steps.push(step);
        // The second step's numbers depend on what the optimiser made of the first.
        for (const each of expected) difference = Math.max(difference, compare(await step.inspect(), each));
        const start = performance.now();
        await step.run();
        peers.push({ name, run: () => step.run(), milliseconds: performance.now() - start });
      } catch (error) {
        complain(`${name} has no time for the step: ${error instanceof Error ? error.message : error}`);
      }
    }
    const quickest = Math.min(...peers.map(({ milliseconds }) => milliseconds));
    const [far, near] = [true, false].map((isFar) =>
      peers.filter(({ milliseconds }) => milliseconds > hopeless * quickest === isFar)
    ) as [typeof peers, typeof peers];
    const samples = await measure([{ name: "federa", run: () => own.run() }, ...near], { warmUps: 0 });
    return {
      name: `B ${batch}, T ${length}`,
      samples: {
        ...samples,
        ...Object.fromEntries(far.map(({ name, milliseconds }) => [name, [milliseconds]])),
      },
      note: `${far.map(({ name }) => `${name} sampled once; `).join("")}loss ${
        expected[0].loss.toFixed(5)
      }; largest relative difference of a gradient ${difference.toExponential(1)}`,
    };
  } finally {
    for (const each of steps) each.dispose();
  }
}

/**
 * The largest relative difference of the loss or of an adapter's gradient, in the Euclidean norm.
 *
 * @throws {RangeError} when it exceeds the tolerance.
 */
function compare(found: Inspection, expected: Inspection): number {
  let largest = 0;
  const take = (name: string, difference: number) => {
    if (!(difference <= tolerance)) {
      throw new RangeError(`${name} differs by ${difference}, expected at most ${tolerance}`);
    }
    largest = Math.max(largest, difference);
  };
  take("the loss", Math.abs(found.loss - expected.loss) / Math.abs(expected.loss));
  for (const [name, gradient] of expected.gradients) {
    const other = found.gradients.get(name)!;
    const norm = (at: (i: number) => number) =>
      Math.sqrt(gradient.reduce((sum, _, i) => sum + at(i) ** 2, 0));
    const relative = norm((i) => other[i]! - gradient[i]!) / norm((i) => gradient[i]!);
    take(`the gradient of ${name}`, relative);
  }
  return largest;
}
