import type { TaskModel } from "../../tasks/mod.ts";
import type { InitContext, Method } from "../method.ts";
import type { Tensors } from "../tensors.ts";
import type { Tree } from "../tree.ts";

/** The state of a method over another: that of the inner one, and what it keeps beside it. */
export type OverState = { readonly inner: Tree };

/** What an inner method begins with. */
export interface InnerStart {
  readonly model: TaskModel;
  /** Values of its parameters. */
  readonly parameters: Tensors;
}

/**
 * A method over another that keeps something beside its state, and leaves all else to it.
 *
 * @param prepare called before the inner method begins, and what it gives after: it makes what is kept.
 */
export function withOwnState<State extends OverState>(
  inner: Method,
  prepare: (context: InitContext) => (start: InnerStart) => Omit<State, "inner">,
): Method<State> {
  return {
    ...inner,
    async init(pretrained, context) {
      this.check(pretrained);
      const begin = prepare(context);
      const { model, state } = await inner.init(pretrained, context);
      const own = begin({ model, parameters: inner.parameters(state) });
      return { model, state: { inner: state, ...own } as State };
    },
    parameters: (state) => inner.parameters(state.inner),
    plan: (state, round) => inner.plan(state.inner, round),
  };
}
