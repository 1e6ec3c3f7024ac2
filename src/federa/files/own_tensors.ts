import { formatShape, type Module, sameShape, type Tensor } from "../../engine/mod.ts";
import { adaptedModules, adapterKinds } from "../kinds/mod.ts";

/** The parameters of a trained model that aren't the pretrained model's own tensors, by name. */
export function ownTensors(model: Module, pretrained: Module): Map<string, Tensor> {
  const shared = new Set([...pretrained.namedParameters()].map(([, parameter]) => parameter));
  return new Map([...model.namedParameters()].filter(([, parameter]) => !shared.has(parameter)));
}

/**
 * Checks that {@linkcode ownTensors} and the adapted modules are all that a model has beyond the pretrained one.
 *
 * @throws {TypeError} naming what a file would leave out: a module that took the place of a pretrained one and that no kind of
 *   adapter makes again, a parameter that the pretrained model has in another shape, a constant that differs.
 */
export function checkNothingLeftOut(model: Module, pretrained: Module): void {
  const adapted = [...adaptedModules(model).keys()];
  const isAdapted = (name: string) => adapted.some((each) => name === each || name.startsWith(`${each}.`));
  const originals = new Map(pretrained.namedModules());
  for (const [name, module] of model.namedModules()) {
    if (!isAdapted(name)) checkModule(name, module, originals.get(name));
  }
  const known = new Map(pretrained.namedParameters());
  for (const [name, { shape }] of ownTensors(model, pretrained)) {
    if (isAdapted(name)) continue;
    const expected = known.get(name)?.shape;
    if (expected === undefined || !sameShape(expected, shape)) {
      throw new TypeError(
        `Cannot save ${name} ${formatShape(shape)}: the pretrained model has ${
          expected === undefined ? "no such parameter" : `it as ${formatShape(expected)}`
        }`,
      );
    }
  }
}

function checkModule(name: string, module: Module, original: Module | undefined): void {
  const type = module.constructor.name;
  if (original === undefined || Object.getPrototypeOf(original) !== Object.getPrototypeOf(module)) {
    throw new TypeError(
      `Cannot save ${name || "the model"}: it's a ${type}, which ${
        original === undefined
          ? "the pretrained model lacks"
          : `took the place of a ${original.constructor.name}`
      }, and loading would not make it again; expected an adapter of a kind that is known, ${
        [...adapterKinds.keys()].join(", ")
      }`,
    );
  }
  const before: Readonly<Record<string, unknown>> = { ...original };
  for (const [key, value] of Object.entries(module)) {
    if (isConstant(value) && value !== before[key]) {
      throw new TypeError(
        `Cannot save ${name || "the model"}: its ${key} is ${value}, and the pretrained model's is ${
          before[key]
        }; a file holds ` +
          "tensors alone",
      );
    }
  }
}

function isConstant(value: unknown): value is number | string | boolean {
  return typeof value === "number" || typeof value === "string" || typeof value === "boolean";
}
