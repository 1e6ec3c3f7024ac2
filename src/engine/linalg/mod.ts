export * from "./errors.ts";
export { jacobiSvd, type JacobiSvdOptions, type Svd } from "./jacobi_svd.ts";
