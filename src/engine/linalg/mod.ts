export * from "./errors.ts";
export { jacobiSvd, type JacobiSvdOptions, type Svd } from "./jacobi_svd.ts";
export { type Qr, qr } from "./qr.ts";
export { randomizedSvd, type RandomizedSvdOptions } from "./randomized_svd.ts";
