import type { Shape } from "../engine/mod.ts";
import type { Backbone } from "./backbone.ts";
import { checkParameters, type EncoderParameters } from "./parameters.ts";
import type { Pooling } from "./pooling.ts";
import type { TransformerConfig } from "./transformer/config.ts";

/** How a task model of the Python package `transformers` is called and names the layers of its head. */
export interface TaskArchitecture {
  /** Its class, as in `architectures` of a `config.json`. */
  readonly architecture: string;
  /** Name of the last layer. */
  readonly output: string;
  /** Name of the layer before it, where the head has two. */
  readonly dense?: string;
}

/** The task models of a family. */
export interface TaskArchitectures {
  readonly sequenceClassification: TaskArchitecture;
  readonly tokenClassification: TaskArchitecture;
  readonly questionAnswering: TaskArchitecture;
}

/** Options of {@linkcode EncoderFamily.parameterShapes}. */
export interface ParameterShapesOptions {
  /** Whether to have the dense layer for the first token's state, in families that know one. */
  readonly pooler?: boolean;
}

/** Options of {@linkcode EncoderFamily.create}. */
export interface EncoderOptions {
  /**
   * How `pool` makes one vector of a text's token states; by default `pooler` where the parameters have one, else `mean`.
   * If it is given, a classification head is one layer on that vector, instead of the family's own head.
   */
  readonly pooling?: Pooling | undefined;
}

/** A kind of encoder: what its checkpoints hold, and how one is built. */
export interface EncoderFamily<Config extends TransformerConfig = TransformerConfig> {
  /** `model_type` of its `config.json`. */
  readonly modelType: string;
  /** Its name, for messages. */
  readonly title: string;
  /** The class of `transformers` that is the encoder alone, as in `architectures` of a `config.json`. */
  readonly architecture: string;
  /** What a checkpoint of a task model puts before the names of the encoder's parameters, with its dot. */
  readonly prefix: string;
  /** The task models that `transformers` has of it. */
  readonly architectures: TaskArchitectures;
  /**
   * Reads the JSON of a `config.json`.
   *
   * @throws {ModelConfigError} listing every field that is missing, wrong, or asks for what isn't supported.
   */
  parseConfig(value: unknown): Config;
  /** Names and shapes of the encoder's parameters, in its order. */
  parameterShapes(config: Config, options?: ParameterShapesOptions): Map<string, Shape>;
  /**
   * Builds an encoder on parameters, which it takes over.
   *
   * @throws {ParameterMismatchError} listing all that are missing, too many or of another shape.
   * @throws {TypeError} when it should pool by a dense layer that the parameters don't have.
   */
  create(parameters: EncoderParameters, config: Config, options?: EncoderOptions): Backbone;
}

/** What {@linkcode checkEncoderParameters} needs of a family. */
type FamilyShapes<Config extends TransformerConfig> = Pick<
  EncoderFamily<Config>,
  "title" | "parameterShapes"
>;

/** Options of {@linkcode checkEncoderParameters}. */
export interface CheckEncoderParametersOptions<Config extends TransformerConfig> {
  readonly config: Config;
  /** What else is wrong, to be listed with the rest. */
  readonly problems?: readonly string[];
}

/**
 * Compares parameters with what a family's configuration calls for, and gives that. A pooler may be there or not.
 *
 * @throws {ParameterMismatchError} listing every parameter that is missing, too many, or of another shape.
 */
export function checkEncoderParameters<Config extends TransformerConfig>(
  found: ReadonlyMap<string, { readonly shape: Shape }>,
  family: FamilyShapes<Config>,
  { config, problems = [] }: CheckEncoderParametersOptions<Config>,
): Map<string, Shape> {
  const pooler = [...found.keys()].some((name) => name.startsWith("pooler."));
  const expected = family.parameterShapes(config, { pooler });
  checkParameters(found, expected, { model: `the ${family.title} encoder`, problems });
  return expected;
}
