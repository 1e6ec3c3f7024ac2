import {
  broadcastTo,
  type Embedding,
  type Gpu,
  LayerNorm,
  type Linear,
  Module,
  relativeAttention,
  RelativePositions,
  reshape,
  type Tensor,
} from "../../engine/mod.ts";
import type { Backbone } from "../backbone.ts";
import { AttentionPoint, LayerPoint } from "../points/mod.ts";
import type { Texts } from "../texts.ts";
import { floatTable, Intermediate, type Parts, ResidualOutput } from "../transformer/parts.ts";
import type { DebertaV2Config } from "./config.ts";
import { ConvolutionLayer } from "./convolution.ts";
import { distanceRows } from "./distances.ts";

/** The states of distances that scores depend on, [R, D] or [C, R, D], and which row is for which distance. */
interface Distances {
  readonly table: Tensor;
  readonly positions: RelativePositions;
}

/** Attention by contents, and by how far a query stands from a key. */
class DisentangledSelfAttention extends Module {
  readonly query_proj: Linear;
  readonly key_proj: Linear;
  readonly value_proj: Linear;
  readonly pos_key_proj: Linear | undefined;
  readonly pos_query_proj: Linear | undefined;
  readonly point: AttentionPoint;
  readonly scale: number;
  readonly config: DebertaV2Config;

  constructor(parts: Parts, name: string, config: DebertaV2Config) {
    super();
    const own = (each: string) =>
      parts.has(`${name}.${each}.weight`) ? parts.linear(`${name}.${each}`) : undefined;
    this.query_proj = parts.linear(`${name}.query_proj`);
    this.key_proj = parts.linear(`${name}.key_proj`);
    this.value_proj = parts.linear(`${name}.value_proj`);
    this.pos_key_proj = own("pos_key_proj");
    this.pos_query_proj = own("pos_query_proj");
    const { hiddenSize: width, numAttentionHeads: heads } = config;
    this.point = new AttentionPoint({ width, heads, takesPrefix: false });
    const headSize = width / heads;
    this.scale = 1 / Math.sqrt(headSize * (1 + config.posAttType.length));
    this.config = config;
  }

  /** What makes keys and queries of distances, as far as there are terms of them. */
  get projections(): { readonly keys: Linear | undefined; readonly queries: Linear | undefined } {
    const { posAttType, shareAttKey } = this.config;
    return {
      keys: posAttType.includes("c2p") ? shareAttKey ? this.key_proj : this.pos_key_proj : undefined,
      queries: posAttType.includes("p2c") ? shareAttKey ? this.query_proj : this.pos_query_proj : undefined,
    };
  }

  forward(x: Tensor, texts: Texts, { table, positions }: Distances): Tensor {
    const { projections: { keys, queries }, point } = this;
    const [q, k, v] = [
      point.queries(this.query_proj.forward(x)),
      this.key_proj.forward(x),
      this.value_proj.forward(x),
    ].map((each) => texts.unpack(each)) as [Tensor, Tensor, Tensor];
    const mixed = relativeAttention(q, k, {
      v,
      heads: point.heads,
      scale: this.scale,
      mask: texts.keyMask,
      positions,
      positionKeys: keys?.forward(table),
      positionQueries: queries && point.queries(queries.forward(table)),
    });
    return point.mixed(texts.pack(mixed));
  }
}

class Attention extends Module {
  readonly self: DisentangledSelfAttention;
  readonly output: ResidualOutput;

  constructor(parts: Parts, name: string, config: DebertaV2Config) {
    super();
    this.self = new DisentangledSelfAttention(parts, `${name}.self`, config);
    this.output = new ResidualOutput(parts, `${name}.output`);
  }

  forward(x: Tensor, texts: Texts, distances: Distances): Tensor {
    return this.output.forward(this.self.forward(x, texts, distances), x);
  }
}

class DebertaLayer extends Module {
  readonly attention: Attention;
  readonly intermediate: Intermediate;
  readonly output: ResidualOutput;
  readonly point: LayerPoint;

  constructor(parts: Parts, name: string, config: DebertaV2Config) {
    super();
    this.attention = new Attention(parts, `${name}.attention`, config);
    this.intermediate = new Intermediate(parts, `${name}.intermediate`, config);
    this.output = new ResidualOutput(parts, `${name}.output`);
    this.point = new LayerPoint({ width: config.hiddenSize });
  }

  forward(x: Tensor, texts: Texts, distances: Distances): Tensor {
    const attended = this.attention.forward(x, texts, distances);
    return this.output.forward(this.intermediate.forward(attended), attended);
  }
}

/** The transformer layers, with the embeddings of distances that they share. */
export class DebertaStack extends Module {
  readonly layer: readonly DebertaLayer[];
  /** [R, D], or [C, R, D]. */
  readonly rel_embeddings: Embedding;
  readonly LayerNorm: LayerNorm | undefined;
  readonly conv: ConvolutionLayer | undefined;
  readonly positions: RelativePositions;

  constructor(gpu: Gpu, parts: Parts, config: DebertaV2Config) {
    super();
    this.layer = Array.from(
      { length: config.numHiddenLayers },
      (_, i) => new DebertaLayer(parts, `encoder.layer.${i}`, config),
    );
    this.rel_embeddings = parts.table("encoder.rel_embeddings");
    this.LayerNorm = config.normRelEbd ? parts.norm("encoder.LayerNorm") : undefined;
    this.conv = config.convolution
      ? new ConvolutionLayer(parts, "encoder.conv", config.convolution)
      : undefined;
    this.positions = new RelativePositions(gpu, distanceRows(config, config.maxPositionEmbeddings));
  }

  /** Rows of token states [..., R, hiddenSize], of embeddings that are 0 where there's padding; `run` applies each layer. */
  forward(x: Tensor, texts: Texts, run: Backbone["through"] = (layer, states) => layer(states)): Tensor {
    const table = distanceStates(this);
    return this.layer.reduce((states, layer, i) =>
      run((input) => {
        // A handle of its own: so a layer's shares of the gradient add up first, with or without checkpointing.
        const distances = { table: reshape(table, table.shape), positions: this.positions };
        const output = layer.forward(input, texts, distances);
        return layer.point.forward(i === 0 && this.conv ? this.conv.forward(input, output, texts) : output);
      }, states), x);
  }
}

/**
 * Embeddings of distances, normalised; a copy for each member where what they go through differs between members.
 */
function distanceStates({ layer, rel_embeddings, LayerNorm: norm }: DebertaStack): Tensor {
  const table = floatTable(rel_embeddings);
  const normalised = norm ? norm.forward(spread(table, [norm])) : table;
  const projections = layer.flatMap(({ attention }) => Object.values(attention.self.projections));
  return spread(normalised, projections.filter((each) => each !== undefined));
}

/** A table [R, D] that layers with parameters of several members go over: [C, R, D]. */
function spread(table: Tensor, layers: readonly (Linear | LayerNorm)[]): Tensor {
  const members = table.ndim === 2 ? layers.map(membersOf).find((each) => each !== undefined) : undefined;
  return members === undefined ? table : broadcastTo(table, [members, ...table.shape]);
}

/** The number of members that a layer has parameters for, in front of the axes of a vector or a matrix. */
function membersOf(layer: Linear | LayerNorm): number | undefined {
  for (const [name, { shape }] of layer.namedParameters()) {
    const isVector = name === "bias" || layer instanceof LayerNorm;
    if (shape.length > (isVector ? 1 : 2)) return shape[0];
  }
  return undefined;
}
