import { attachAdapters, type Initialization, matchLinears } from "../../federa/mod.ts";
import type { TaskModel } from "../../tasks/mod.ts";
import { isHead, type MethodOptions, withOwnParameters } from "../method.ts";

/**
 * A pretrained model with adapters on its encoder and a head of its own, which is trained whole.
 *
 * @throws {RangeError} when a pattern takes in the head.
 */
export function adaptEncoder(
  pretrained: TaskModel,
  options: MethodOptions & { readonly initialization: Initialization },
): Promise<TaskModel> {
  const { targets } = options;
  if (matchLinears(pretrained, targets).some((name) => isHead(`${name}.`))) {
    throw new RangeError(
      `Cannot adapt the head by "${
        targets.join('", "')
      }": it is trained whole; expected layers of the encoder, such as "encoder.**"`,
    );
  }
  return attachAdapters(withOwnParameters(pretrained, isHead), options);
}
