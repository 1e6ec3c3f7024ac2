/** Attributes of an element; numbers get at most two decimals, undefined ones are left out. */
export type SvgAttributes = Readonly<Record<string, string | number | undefined>>;

/** Characters that XML 1.0 doesn't allow, and those that markup is made of. */
// deno-lint-ignore no-control-regex -- controls are what is looked for
const SPECIAL = /[&<>"\u0000-\u001f\u007f-\u009f\ufffe\uffff\p{Cs}]/gu;
const NAMES: Readonly<Record<string, string>> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" };

/**
 * An element of an SVG drawing as text.
 *
 * @param content elements, or text made by {@linkcode escapeXml}.
 *
 * @example
 * ```ts no-run
 * svgElement("circle", { cx: 1, cy: 2, r: 0.333 }); // '<circle cx="1" cy="2" r="0.33"/>'
 * ```
 */
export function svgElement(
  name: string,
  attributes: SvgAttributes,
  content: string | readonly string[] = [],
): string {
  const given = Object.entries(attributes).filter(([, value]) => value !== undefined).map(([key, value]) =>
    ` ${key}="${typeof value === "number" ? decimal(value) : escapeXml(value!)}"`
  ).join("");
  const inner = typeof content === "string" ? content : content.join("\n");
  return inner === "" ? `<${name}${given}/>` : `<${name}${given}>${inner}</${name}>`;
}

/** Text for an SVG drawing: markup is escaped, and what XML doesn't allow becomes a replacement character. */
export function escapeXml(text: string): string {
  return text.replace(SPECIAL, (character) => NAMES[character] ?? "\ufffd");
}

function decimal(value: number): string {
  return String(Math.round(value * 100) / 100);
}
