export * from "./errors.ts";
export { jacobiSvd, type JacobiSvdOptions, type Svd } from "./jacobi_svd.ts";
export { addProducts, innerProduct, type LowRankProduct, productNorm, sumBatch } from "./low_rank.ts";
export { lowRankSvd, type LowRankSvdOptions } from "./low_rank_svd.ts";
export { type Qr, qr, triangularize } from "./qr.ts";
export { randomizedSvd, type RandomizedSvdOptions } from "./randomized_svd.ts";
