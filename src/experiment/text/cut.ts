/** Text cut to a number of characters, with an ellipsis where something is missing. */
export function cut(text: string, length: number): string {
  const points = [...text];
  return points.length > length ? `${points.slice(0, length - 1).join("")}…` : text;
}
