/** What goes into an element: attributes by name, and what it holds. */
type Content = string | number | Node | undefined;

/** An element with attributes and contents; attributes that are undefined or false are left out. */
export function element<Name extends keyof HTMLElementTagNameMap>(
  name: Name,
  attributes: Readonly<Record<string, string | number | boolean | undefined>> = {},
  ...contents: readonly Content[]
): HTMLElementTagNameMap[Name] {
  const made = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) {
    if (value === true) made.setAttribute(key, "");
    else if (value !== undefined && value !== false) made.setAttribute(key, String(value));
  }
  made.append(
    ...contents.flatMap((each) => each === undefined ? [] : [each instanceof Node ? each : String(each)]),
  );
  return made;
}

/** The element of the page with an id, which the page is known to have. */
export function byId<Kind extends HTMLElement = HTMLElement>(id: string): Kind {
  const found = document.getElementById(id);
  if (found === null) throw new Error(`Cannot find the element ${id} in this page`);
  return found as Kind;
}

/** Text for those who can't see the page. */
export function unseen(text: string): HTMLElement {
  return element("span", { class: "visually-hidden" }, text);
}

/** Puts the items into a list, in place of those that were there. */
export function fillList(list: HTMLElement, items: readonly Content[]): void {
  list.replaceChildren(...items.map((item) => element("li", {}, item)));
}

/** Puts named facts into a list of descriptions. */
export function fillFacts(list: HTMLElement, facts: Readonly<Record<string, string>>): void {
  list.replaceChildren(
    ...Object.entries(facts).map(([name, value]) =>
      element("div", {}, element("dt", {}, name), element("dd", {}, value))
    ),
  );
  list.hidden = false;
}

/** Fills a table of texts and figures; columns of figures are aligned to the right. */
export function fillTable(
  table: HTMLTableElement,
  { caption, columns, rows, figures = [] }: {
    readonly caption: string;
    readonly columns: readonly Content[];
    readonly rows: readonly (readonly Content[])[];
    /** Indices of the columns that hold figures. */
    readonly figures?: readonly number[];
  },
): void {
  const kind = (column: number) => ({ class: figures.includes(column) && "figure" });
  table.replaceChildren(
    element("caption", { class: "visually-hidden" }, caption),
    element(
      "thead",
      {},
      element("tr", {}, ...columns.map((name, i) => element("th", { scope: "col", ...kind(i) }, name))),
    ),
    element(
      "tbody",
      {},
      ...rows.map((row) => element("tr", {}, ...row.map((cell, i) => element("td", kind(i), cell)))),
    ),
  );
}
