import source from "../../shaders/token_positions.wgsl";
import { Kernel } from "../gpu/kernel.ts";
import { empty, type Tensor } from "../tensor.ts";
import { checkOperands, launch } from "./launch.ts";

const positionsKernel = new Kernel({ name: "token_positions", source, bindings: ["read", "write"] });

/** Options of {@linkcode tokenPositions}. */
export interface TokenPositionsOptions {
  /** The id of padding tokens. */
  readonly padding: number;
}

/**
 * The positions of tokens in their texts, given ids u32 [..., T], as fairseq counts them (Ott et al., arXiv 1904.01038):
 * the first token that isn't padding has `padding` + 1, the next `padding` + 2 and so on; padding has `padding`. No gradient.
 *
 * @throws {TypeError} when the ids are of another element type or have no axis.
 */
export function tokenPositions(ids: Tensor, { padding }: TokenPositionsOptions): Tensor {
  checkOperands("count the tokens of", [ids], "u32");
  const length = ids.shape.at(-1);
  if (length === undefined) throw new TypeError("Cannot count the tokens of a scalar: expected ids [..., T]");
  const rows = length === 0 ? 0 : ids.size / length;
  const y = empty(ids.gpu, ids.shape, "u32");
  launch(positionsKernel, { tensors: [ids, y], params: [rows, length, padding], threads: rows });
  return y;
}
