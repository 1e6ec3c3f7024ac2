/** Shows what went wrong in a place of the page that is read out; undefined takes it away. */
export function showProblem(place: HTMLElement, error: unknown): void {
  const message = error === undefined ? "" : error instanceof Error ? error.message : String(error);
  place.textContent = message === "" || /[.!?]$/.test(message) ? message : `${message}.`;
}

/** Whether an error only says that a person has cancelled. */
export function isCancelled(error: unknown): boolean {
  return error instanceof Error && error.name === "AbortError";
}
