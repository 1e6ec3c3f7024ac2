import type { Tfjs, TfTensor } from "../peers/mod.ts";
import type { HostArray, LoraProblem, LoraStep } from "./problem.ts";

const [beta1, beta2, epsilon] = [0.9, 0.999, 1e-8];

/** Gives a parameter by its name. */
type Get = (name: string) => TfTensor;

/** The step in TensorFlow.js, which has no compiler: every operation is one of its kernels. */
export function prepareTfjsStep({ tf, settle }: Tfjs, problem: LoraProblem): LoraStep {
  const { learningRate, parameters, trainable } = problem;
  const upload = ({ data, shape }: HostArray) => tf.tensor(data, shape);
  const frozen = new Map([...parameters].map(([name, each]) => [name, upload(each)]));
  const names = [...trainable.keys()];
  let values = names.map((name) => upload(trainable.get(name)!));
  const zeros = () => values.map(({ shape }) => tf.zeros(shape));
  let moments = { first: zeros(), second: zeros() };
  const inputs = uploadInputs(tf, problem);
  const lossOf = createLoss(tf, problem, inputs);
  const evaluate = tf.valueAndGrads((...args) => {
    const own = new Map(names.map((name, i) => [name, args[i]!]));
    return lossOf((name) => own.get(name) ?? frozen.get(name)!);
  });
  let steps = 0;
  const step = () => {
    steps++;
    const { value, grads } = tf.tidy(() => evaluate(values));
    const old = [...values, ...moments.first, ...moments.second];
    const mix = (before: TfTensor, now: TfTensor, beta: number) =>
      tf.tidy(() => tf.add(tf.mul(before, beta), tf.mul(now, 1 - beta)));
    moments = {
      first: grads.map((gradient, i) => mix(moments.first[i]!, gradient, beta1)),
      second: grads.map((gradient, i) => tf.tidy(() => mix(moments.second[i]!, tf.square(gradient), beta2))),
    };
    values = values.map((before, i) =>
      tf.tidy(() => {
        const first = tf.div(moments.first[i]!, 1 - beta1 ** steps);
        const denominator = tf.add(tf.sqrt(tf.div(moments.second[i]!, 1 - beta2 ** steps)), epsilon);
        return tf.sub(before, tf.mul(tf.div(first, denominator), learningRate));
      })
    );
    tf.dispose(old);
    return { value, grads };
  };
  return {
    run: async () => {
      const { value, grads } = step();
      await settle();
      tf.dispose([value, ...grads]);
    },
    inspect: async () => {
      const { value, grads } = step();
      const found = await Promise.all(grads.map((each) => each.data() as Promise<Float32Array>));
      const loss = (await value.data())[0]!;
      tf.dispose([value, ...grads]);
      return { loss, gradients: new Map(names.map((name, i) => [name, found[i]!])) };
    },
    dispose: () =>
      tf.dispose([
        ...values,
        ...moments.first,
        ...moments.second,
        ...frozen.values(),
        ...Object.values(inputs),
      ]),
  };
}

function uploadInputs(tf: Tfjs["tf"], { batch, length, ids, mask, labels }: LoraProblem) {
  const positions = Int32Array.from({ length: batch * length }, (_, i) => i % length);
  const counts = Float32Array.from(
    { length: batch },
    (_, i) => mask.subarray(i * length, (i + 1) * length).reduce((total, value) => total + value, 0),
  );
  return {
    ids: tf.tensor(Int32Array.from(ids), [batch * length], "int32"),
    positions: tf.tensor(positions, [batch * length], "int32"),
    /** Added to the scores of keys. */
    hidden: tf.tensor(mask.map((kept) => kept === 1 ? 0 : -1e30), [batch, 1, 1, length]),
    /** Each token's share in the mean of its text. */
    shares: tf.tensor(mask.map((kept, i) => kept / counts[Math.floor(i / length)]!), [batch, 1, length]),
    labels: tf.tensor(
      Float32Array.from({ length: 2 * batch }, (_, i) => labels[i >> 1] === i % 2 ? 1 : 0),
      [batch, 2],
    ),
  };
}

/** Mean cross-entropy of the classifier. */
function createLoss(
  tf: Tfjs["tf"],
  problem: LoraProblem,
  inputs: ReturnType<typeof uploadInputs>,
): (get: Get) => TfTensor {
  const { batch, length, scaling, trainable } = problem;
  const { hiddenSize, numHiddenLayers, numAttentionHeads, layerNormEps } = problem.config;
  const headSize = hiddenSize / numAttentionHeads;
  return (get) => {
    const dense = (x: TfTensor, name: string) => {
      const y = tf.fused.matMul({
        a: x,
        b: get(`${name}.weight`),
        transposeB: true,
        bias: get(`${name}.bias`),
      });
      if (!trainable.has(`${name}.loraA`)) return y;
      const inner = tf.matMul(x, get(`${name}.loraA`), false, true);
      return tf.add(y, tf.mul(tf.matMul(inner, get(`${name}.loraB`), false, true), scaling));
    };
    const norm = (x: TfTensor, name: string) => {
      const centred = tf.sub(x, tf.mean(x, -1, true));
      const variance = tf.mean(tf.square(centred), -1, true);
      const scaled = tf.mul(centred, tf.rsqrt(tf.add(variance, layerNormEps)));
      return tf.add(tf.mul(scaled, get(`${name}.LayerNorm.weight`)), get(`${name}.LayerNorm.bias`));
    };
    const gelu = (x: TfTensor) => tf.mul(tf.mul(x, 0.5), tf.add(tf.erf(tf.mul(x, Math.SQRT1_2)), 1));
    const split = (x: TfTensor) =>
      tf.transpose(tf.reshape(x, [batch, length, numAttentionHeads, headSize]), [0, 2, 1, 3]);
    const table = (name: string) => get(`embeddings.${name}_embeddings.weight`);
    const words = tf.gather(table("word"), inputs.ids);
    const positions = tf.gather(table("position"), inputs.positions);
    const type = tf.slice(table("token_type"), [0, 0], [1, hiddenSize]);
    let x = norm(tf.add(tf.add(words, type), positions), "embeddings");
    for (let i = 0; i < numHiddenLayers; i++) {
      const layer = `encoder.layer.${i}`;
      const [q, k, v] = ["query", "key", "value"].map((each) =>
        split(dense(x, `${layer}.attention.self.${each}`))
      );
      const scores = tf.add(tf.mul(tf.matMul(q!, k!, false, true), 1 / Math.sqrt(headSize)), inputs.hidden);
      const heads = tf.transpose(tf.matMul(tf.softmax(scores), v!), [0, 2, 1, 3]);
      const mixed = tf.reshape(heads, [batch * length, hiddenSize]);
      x = norm(tf.add(dense(mixed, `${layer}.attention.output.dense`), x), `${layer}.attention.output`);
      const inner = gelu(dense(x, `${layer}.intermediate.dense`));
      x = norm(tf.add(dense(inner, `${layer}.output.dense`), x), `${layer}.output`);
    }
    const pooled = tf.reshape(tf.matMul(inputs.shares, tf.reshape(x, [batch, length, hiddenSize])), [
      batch,
      hiddenSize,
    ]);
    const logits = tf.add(tf.matMul(pooled, get("head.output.weight"), false, true), get("head.output.bias"));
    return tf.mul(tf.sum(tf.mul(tf.logSoftmax(logits), inputs.labels)), -1 / batch);
  };
}
