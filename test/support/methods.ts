import { type Method, methods } from "../../src/fl/mod.ts";

/** Names of all methods. */
export const methodNames: readonly string[] = [...methods.keys()];

/** Options for models of a few dimensions. */
const tiny = { blockSize: 2, share: 0.4, heads: 2 };

/** A method with those of the options that it has. */
export function methodOn(name: string, options: Readonly<Record<string, unknown>>): Method {
  const factory = methods.get(name)!;
  const { shape } = factory.definition.options;
  return factory(Object.fromEntries(Object.entries({ ...tiny, ...options }).filter(([key]) => key in shape)));
}

const factors = /^head\.|\.lora[AB]$/;

/** The parameters that clients of a method train. */
export const trainedNames: Readonly<Record<string, RegExp>> = {
  fedit: factors,
  federa: factors,
  "federa-exact": factors,
  "ffa-lora": /^head\.|\.loraB$/,
  full: /./,
  fedbf: /^head\.|\.bias$/,
};

/** Whether clients of a method train a parameter. */
export function trainedBy(method: string): (name: string) => boolean {
  return (name) => trainedNames[method]!.test(name);
}
