import { attachAdapters, checkAdapters, type Initialization, matchLinears } from "../../federa/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import { isHead, type MethodOptions, withOwnParameters } from "../method.ts";

/**
 * Checks the options of {@linkcode adaptEncoder} by shapes alone.
 *
 * @throws {RangeError} when a pattern matches the head, or the rank doesn't fit a layer.
 * @throws {PatternError} when a pattern matches nothing.
 */
export function checkEncoderAdapters(pretrained: TaskModel, options: MethodOptions): void {
  const { targets } = options;
  if (matchLinears(pretrained, targets).some((name) => isHead(`${name}.`))) {
    throw new RangeError(
      `Cannot adapt the head by "${
        targets.join('", "')
      }": it is trained whole; expected layers of the encoder, such as "encoder.**"`,
    );
  }
  checkAdapters(pretrained, options);
}

/**
 * A pretrained model with adapters on its encoder and a head of its own, which is trained whole.
 *
 * @throws as {@linkcode checkEncoderAdapters}.
 */
export function adaptEncoder(
  pretrained: TaskModel,
  options: MethodOptions & { readonly initialization: Initialization },
): Promise<TaskModel> {
  checkEncoderAdapters(pretrained, options);
  return attachAdapters(withOwnParameters(pretrained, isHead), options);
}
