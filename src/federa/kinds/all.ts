// Every kind of adapted modules: a line each.
export { bottleneckKind } from "./bottleneck.ts";
export { doraKind } from "./dora.ts";
export { lowRankKind } from "./low_rank.ts";
export {
  layerOffsetKind,
  prefixKind,
  scaledAttentionKind,
  takenPositionsKind,
  virtualTokensKind,
} from "./points.ts";
export { pstKind } from "./pst.ts";
export { sparseBlockKind } from "./sparse_block.ts";
