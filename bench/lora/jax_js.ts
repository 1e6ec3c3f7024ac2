import type { Jax, JaxArray, JaxTree } from "../peers/mod.ts";
import { type HostArray, type LoraProblem, type LoraStep } from "./problem.ts";

const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];

/** Arrays by name. */
type Named = { readonly [name: string]: JaxArray };

/** What a step moves, and its means of gradients and of their squares; `decay` holds β₁ᵗ and β₂ᵗ. */
type State = {
  readonly trainable: Named;
  readonly first: Named;
  readonly second: Named;
  readonly decay: { readonly first: JaxArray; readonly second: JaxArray };
};

/** What a step only reads. */
type Frozen = {
  readonly weights: Named;
  readonly ids: JaxArray;
  readonly positions: JaxArray;
  readonly mask: JaxArray;
  readonly labels: JaxArray;
};

/** The step in jax-js: value, gradients and AdamW in one compiled function, the frozen base its argument. */
export function prepareJaxStep(jax: Jax, problem: LoraProblem): LoraStep {
  const { numpy: np, tree } = jax;
  const { batch, length, trainable } = problem;
  const array = ({ data, shape }: HostArray) => np.array(data, { shape });
  const named = (entries: Iterable<readonly [string, HostArray]>): Named =>
    Object.fromEntries([...entries].map(([name, each]) => [name, array(each)]));
  const zeros = () =>
    named([...trainable].map(([name, { shape, data }]) => [name, { shape, data: data.map(() => 0) }]));
  const scalar = () => array({ shape: [], data: Float32Array.of(1) });
  const frozen: Frozen = {
    // The pooler is not used, and types are all 0.
    weights: named(problem.parameters),
    ids: np.array(Int32Array.from(problem.ids), { shape: [batch * length], dtype: "int32" }),
    positions: np.array(Int32Array.from({ length: batch * length }, (_, i) => i % length), {
      shape: [batch * length],
      dtype: "int32",
    }),
    mask: np.array(problem.mask, { shape: [batch, length] }),
    labels: np.array(oneHot(problem.labels), { shape: [batch, 2] }),
  };
  let state: State = {
    trainable: named(trainable),
    first: zeros(),
    second: zeros(),
    decay: { first: scalar(), second: scalar() },
  };
  const lossOf = createLoss(jax, problem);
  const step = jax.jit((state: State, frozen: Frozen) => {
    const [loss, gradients] = jax.valueAndGrad(lossOf)(tree.ref(state.trainable), frozen);
    return { loss, gradients: tree.ref(gradients), state: adamW(np, problem, state, gradients) };
  });
  const advance = () => {
    const result = step(state, tree.ref(frozen)) as { loss: JaxArray; gradients: Named; state: State };
    state = result.state;
    return result;
  };
  return {
    run: async () => {
      const { loss, gradients } = advance();
      await jax.blockUntilReady(state as JaxTree);
      tree.dispose([loss, gradients as JaxTree]);
    },
    inspect: async () => {
      const { loss, gradients } = advance();
      const found = new Map<string, Float32Array>();
      for (const [name, each] of Object.entries(gradients)) {
        found.set(name, await each.data() as Float32Array);
      }
      return { loss: (await loss.data())[0]!, gradients: found };
    },
    dispose: () => tree.dispose([state, frozen] as JaxTree),
  };
}

function oneHot(labels: Int32Array): Float32Array {
  return Float32Array.from({ length: 2 * labels.length }, (_, i) => labels[i >> 1] === i % 2 ? 1 : 0);
}

/** Mean cross-entropy of the classifier by what is trained. */
function createLoss(jax: Jax, problem: LoraProblem): (trainable: Named, frozen: Frozen) => JaxArray {
  const { numpy: np, nn } = jax;
  const { batch, length, scaling, config: { hiddenSize, numHiddenLayers, numAttentionHeads, layerNormEps } } =
    problem;
  const headSize = hiddenSize / numAttentionHeads;
  return (trainable, { weights, ids, positions, mask, labels }) => {
    const parameter = (name: string) => (trainable[name] ?? weights[name])!.ref;
    const product = (x: JaxArray, name: string) => np.matmul(x, parameter(name).transpose());
    const dense = (x: JaxArray, name: string) => {
      if (trainable[`${name}.loraA`] === undefined) {
        return product(x, `${name}.weight`).add(parameter(`${name}.bias`));
      }
      const update = product(product(x.ref, `${name}.loraA`), `${name}.loraB`).mul(scaling);
      return product(x, `${name}.weight`).add(parameter(`${name}.bias`)).add(update);
    };
    const norm = (x: JaxArray, name: string) =>
      nn.standardize(x, -1, { epsilon: layerNormEps })
        .mul(parameter(`${name}.LayerNorm.weight`)).add(parameter(`${name}.LayerNorm.bias`));
    // A border that the compiler respects in both directions: else it puts gelu's derivative into the product that follows it
    // in the backward pass, and computes it once for every column of the weight.
    const border = (x: JaxArray) => np.pad(x, [[0, 1], [0, 0]]).slice([0, batch * length]);
    const split = (x: JaxArray) =>
      x.reshape([batch, length, numAttentionHeads, headSize]).transpose([0, 2, 1, 3]);
    // By hand: nn.dotProductAttention() is by einsum(), which needs a newer Node than this project.
    const attend = (q: JaxArray, k: JaxArray, v: JaxArray, bias: JaxArray) => {
      const scores = np.matmul(q, np.swapaxes(k, -1, -2)).mul(1 / Math.sqrt(headSize)).add(bias);
      return np.matmul(nn.softmax(scores, -1), v).transpose([0, 2, 1, 3]);
    };
    const hidden = mask.ref.sub(1).mul(1e30).reshape([batch, 1, 1, length]);
    const table = (name: string) => parameter(`embeddings.${name}_embeddings.weight`);
    let x = norm(
      np.take(table("word"), ids, 0).add(np.take(table("position"), positions, 0)).add(
        table("token_type").slice(0),
      ),
      "embeddings",
    );
    for (let i = 0; i < numHiddenLayers; i++) {
      const layer = `encoder.layer.${i}`;
      const [q, k, v] = ["query", "key", "value"].map((each) =>
        split(dense(x.ref, `${layer}.attention.self.${each}`))
      );
      const mixed = attend(q!, k!, v!, hidden.ref).reshape([batch * length, hiddenSize]);
      x = norm(dense(mixed, `${layer}.attention.output.dense`).add(x), `${layer}.attention.output`);
      const inner = nn.gelu(border(dense(x.ref, `${layer}.intermediate.dense`)), { approximate: false });
      x = norm(dense(inner, `${layer}.output.dense`).add(x), `${layer}.output`);
    }
    const counts = mask.ref.sum(1, { keepdims: true });
    const pooled = x.reshape([batch, length, hiddenSize]).mul(mask.reshape([batch, length, 1])).sum(1).div(
      counts,
    );
    const logits = product(pooled, "head.output.weight").add(parameter("head.output.bias"));
    return nn.logSoftmax(logits, -1).mul(labels).sum().mul(-1 / batch);
  };
}

/** Adam with decoupled weight decay of 0, its corrections on the device. */
function adamW(np: Jax["numpy"], { learningRate }: LoraProblem, state: State, gradients: Named): State {
  const decay = { first: state.decay.first.mul(beta1), second: state.decay.second.mul(beta2) };
  const result: Record<"trainable" | "first" | "second", Record<string, JaxArray>> = {
    trainable: {},
    first: {},
    second: {},
  };
  const corrected = (moment: JaxArray, power: JaxArray) => moment.div(power.ref.mul(-1).add(1));
  for (const [name, gradient] of Object.entries(gradients)) {
    const first = state.first[name]!.mul(beta1).add(gradient.ref.mul(1 - beta1));
    const second = state.second[name]!.mul(beta2).add(np.square(gradient).mul(1 - beta2));
    const denominator = np.sqrt(corrected(second.ref, decay.second)).add(epsilon);
    const move = corrected(first.ref, decay.first).div(denominator).mul(learningRate);
    result.trainable[name] = state.trainable[name]!.sub(move);
    result.first[name] = first;
    result.second[name] = second;
  }
  return { ...result, decay };
}
