import { z } from "zod";

/** A whole number above 0. */
export const countOption = z.int().min(1);

/** Clients that share the examples; more than any run needs. */
export const clientsOption = countOption.max(1e7);

/** A concentration of a Dirichlet distribution. */
export const alphaOption = z.number().gt(0).max(1e6);

/** One concentration for all, or one for each. */
export const alphasOption = z.union([alphaOption, z.array(alphaOption).min(1)]);
