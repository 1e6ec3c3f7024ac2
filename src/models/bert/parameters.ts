import { formatShape, randomKey, RandomStream, sameShape, type Shape, sizeOf } from "../../engine/mod.ts";
import { ParameterMismatchError } from "../errors.ts";
import type { BertConfig } from "./config.ts";

/** Every parameter of a BERT encoder by the name it has in a checkpoint, row-major float32. */
export type BertParameters = ReadonlyMap<string, { readonly shape: Shape; readonly data: Float32Array }>;

/** Deviation of new weights, as in BERT's own `initializer_range`. */
const deviation = 0.02;

/**
 * Names and shapes of the parameters that a configuration calls for, in the order of the model. The pooler is a dense layer
 * that only some checkpoints have.
 */
export function bertParameterShapes(
  config: BertConfig,
  options: { readonly pooler: boolean },
): Map<string, readonly number[]> {
  const { hiddenSize, intermediateSize } = config;
  const shapes = new Map<string, readonly number[]>();
  const dense = (name: string, out: number, width: number) => {
    shapes.set(`${name}.weight`, [out, width]);
    shapes.set(`${name}.bias`, [out]);
  };
  const norm = (name: string) => {
    shapes.set(`${name}.LayerNorm.weight`, [hiddenSize]);
    shapes.set(`${name}.LayerNorm.bias`, [hiddenSize]);
  };
  shapes.set("embeddings.word_embeddings.weight", [config.vocabSize, hiddenSize]);
  shapes.set("embeddings.position_embeddings.weight", [config.maxPositionEmbeddings, hiddenSize]);
  shapes.set("embeddings.token_type_embeddings.weight", [config.typeVocabSize, hiddenSize]);
  norm("embeddings");
  for (let i = 0; i < config.numHiddenLayers; i++) {
    const layer = `encoder.layer.${i}`;
    for (const each of ["query", "key", "value"]) {
      dense(`${layer}.attention.self.${each}`, hiddenSize, hiddenSize);
    }
    dense(`${layer}.attention.output.dense`, hiddenSize, hiddenSize);
    norm(`${layer}.attention.output`);
    dense(`${layer}.intermediate.dense`, intermediateSize, hiddenSize);
    dense(`${layer}.output.dense`, hiddenSize, intermediateSize);
    norm(`${layer}.output`);
  }
  if (options.pooler) dense("pooler.dense", hiddenSize, hiddenSize);
  return shapes;
}

/**
 * Compares parameters with what a configuration calls for. The pooler may be there or not.
 *
 * @throws {ParameterMismatchError} listing every parameter that is missing, unknown, or of another shape.
 */
export function checkBertParameters(parameters: BertParameters, config: BertConfig): void {
  const hasPooler = [...parameters.keys()].some((name) => name.startsWith("pooler."));
  const shapes = bertParameterShapes(config, { pooler: hasPooler });
  const problems: string[] = [];
  for (const [name, shape] of shapes) {
    const found = parameters.get(name);
    if (found === undefined) problems.push(`${name} ${formatShape(shape)} is missing`);
    else if (!sameShape(found.shape, shape)) {
      problems.push(`${name} must be ${formatShape(shape)}, got ${formatShape(found.shape)}`);
    } else if (found.data.length !== sizeOf(shape)) {
      problems.push(`${name} must hold ${sizeOf(shape)} values, got ${found.data.length}`);
    }
  }
  for (const [name, { shape }] of parameters) {
    if (!shapes.has(name)) problems.push(`${name} ${formatShape(shape)} is not a part of it`);
  }
  if (problems.length > 0) {
    throw new ParameterMismatchError(`Cannot build a BERT encoder:\n  ${problems.join("\n  ")}`);
  }
}

/** Parameters of an untrained encoder: normal weights of deviation 0.02, biases 0, layer normalisation the identity. */
export function randomBertParameters(
  config: BertConfig,
  options: { readonly seed: number; readonly pooler?: boolean },
): BertParameters {
  const { seed, pooler = false } = options;
  return new Map(
    [...bertParameterShapes(config, { pooler })].map(([name, shape]) => {
      const data = new Float32Array(sizeOf(shape));
      if (name.endsWith("LayerNorm.weight")) data.fill(1);
      else if (name.endsWith(".weight")) {
        const stream = new RandomStream(randomKey(seed, "bert", name));
        for (let i = 0; i < data.length; i++) data[i] = deviation * stream.normal();
      }
      return [name, { shape, data }];
    }),
  );
}
