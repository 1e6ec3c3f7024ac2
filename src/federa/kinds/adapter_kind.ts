import type { z } from "zod";
import type { Module, Shape, Tensor } from "../../engine/mod.ts";

/** What a file says of an adapted module beside its tensors: plain values by name. */
export type AdapterSettings = Readonly<Record<string, number | string | boolean>>;

/** What is known of a stored module before its tensors are on the device. */
export interface StoredShapes<Settings extends AdapterSettings = AdapterSettings> {
  /** Of the module in the model. */
  readonly name: string;
  readonly settings: Settings;
  /** Shapes of its stored tensors, by their names within the module, such as `loraA` or `down.weight`. */
  readonly shapes: ReadonlyMap<string, Shape>;
}

/** What {@linkcode AdapterKind.create} makes a module of. */
export interface StoredModule<Settings extends AdapterSettings = AdapterSettings> {
  readonly name: string;
  readonly settings: Settings;
  /** Its stored tensors, by their names within the module. The module takes over those that it holds. */
  readonly tensors: ReadonlyMap<string, Tensor>;
}

/**
 * A kind of adapted module: one that stands in the place of a module of the pretrained model and holds what is trained. It says what a
 * file needs beside the module's parameters, and how the module is made again.
 *
 * Every parameter of the module that isn't the pretrained model's own tensor is stored by itself.
 */
export interface AdapterKind<M extends Module = Module, Settings extends AdapterSettings = AdapterSettings> {
  /** Names the kind in files and messages. */
  readonly name: string;
  /** The class of its modules; a class that extends it is another kind. */
  // deno-lint-ignore no-explicit-any -- constructors of all kinds differ.
  readonly type: abstract new (...parts: any[]) => M;
  /** Checks the settings of a file. */
  readonly settings: z.ZodType<Settings>;
  /**
   * The settings of a module.
   *
   * @throws {TypeError} when it can't be saved, as when each client of a block has its own.
   */
  settingsOf(module: M): Settings;
  /** Tensors that are stored beside the parameters, by names within the module that no parameter has. */
  extras?(module: M): ReadonlyMap<string, Tensor>;
  /** Names within the module of parameters that follow, bit for bit, from what is stored and the pretrained module. */
  derived?(module: M, pretrained: Module): Promise<readonly string[]>;
  /** What is wrong with a stored module whatever the model, as a clause such as `it lacks x.loraA`; undefined if nothing is. */
  check?(stored: StoredShapes<Settings>): string | undefined;
  /**
   * Why a stored module doesn't go in the place of a module of the pretrained model, undefined where there is none of its name; as a
   * clause such as `it has no linear layer x`, it being the model. Undefined if it does.
   */
  fit(pretrained: Module | undefined, stored: StoredShapes<Settings>): string | undefined;
  /** Makes the module again, in the place of the pretrained one, whose tensors it shares. */
  create(pretrained: Module, stored: StoredModule<Settings>): M | Promise<M>;
  /** Identifies the pretrained module, so that another is refused; {@linkcode moduleFingerprint} by default. */
  fingerprint?(pretrained: Module): Promise<string>;
  /** The same function as a module that needs no adapter; without it, only an `AdaptedLinear` can be merged. */
  merged?(module: M): Module;
}

/** A kind of any module, as the registry holds it. */
// deno-lint-ignore no-explicit-any -- each kind's functions take its own modules and settings.
export type AnyAdapterKind = AdapterKind<any, any>;

/** Checks the types of a kind of adapted modules, and returns it. */
export function defineKind<M extends Module, Settings extends AdapterSettings>(
  kind: AdapterKind<M, Settings>,
): AdapterKind<M, Settings> {
  return kind;
}
