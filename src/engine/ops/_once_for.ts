/** Computes once for one argument, so that several gradient rules share a result. */
export function onceFor<A, R>(compute: (argument: A) => R): (argument: A) => R {
  let last: { argument: A; result: R } | undefined;
  return (argument) => {
    if (last?.argument !== argument) last = { argument, result: compute(argument) };
    return last!.result;
  };
}
