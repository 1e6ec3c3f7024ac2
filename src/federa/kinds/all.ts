// Every kind of adapted modules: a line each.
export { lowRankKind } from "./low_rank.ts";
