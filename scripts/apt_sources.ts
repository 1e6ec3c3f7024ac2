/** One archive that apt installs from: a `deb` line of a `.list` file or a `deb` stanza of a `.sources` file. */
export interface AptSource {
  uris: string[];
  suites: string[];
  components: string[];
  /** The other deb822 fields of the entry, such as `Signed-By` or `Trusted`, values verbatim. */
  options: Record<string, string>;
}

/** deb822 names of the bracketed options of the one-line format that matter for a copy of the entry. */
const DEB822_NAMES: Record<string, string> = {
  "allow-insecure": "Allow-Insecure",
  "arch": "Architectures",
  "check-valid-until": "Check-Valid-Until",
  "signed-by": "Signed-By",
  "trusted": "Trusted",
};

/**
 * Reads the enabled binary archives of one apt sources file, in either format of sources.list(5): deb822 for a
 * `.sources` file, one line an entry otherwise.
 */
export function parseAptSources(fileName: string, text: string): AptSource[] {
  return fileName.endsWith(".sources") ? parseDeb822(text) : parseOneLine(text);
}

/**
 * Writes the deb822 entry for the backports suite of the mirror that already serves `codename`, with that entry's
 * own key and options. Gives `null` when the suite is configured already.
 *
 * @throws {RangeError} No source serves the main component of `codename`.
 */
export function backportsEntry(sources: readonly AptSource[], codename: string): string | null {
  const suite = `${codename}-backports`;
  const serves = (source: AptSource, name: string) =>
    source.suites.includes(name) && source.components.includes("main");
  if (sources.some((source) => serves(source, suite))) return null;
  const base = sources.find((source) => serves(source, codename));
  if (base === undefined) {
    throw new RangeError(`Cannot add ${suite}: no apt source serves the main component of ${codename}`);
  }
  const fields = {
    Types: "deb",
    URIs: base.uris.join(" "),
    Suites: suite,
    Components: "main",
    ...base.options,
  };
  return Object.entries(fields).map(([name, value]) => `${name}: ${value}\n`).join("");
}

function parseOneLine(text: string): AptSource[] {
  const sources: AptSource[] = [];
  for (const line of text.split("\n")) {
    const match = /^\s*deb\s+(?:\[([^\]]*)\]\s+)?(\S+)\s+(\S+)([^#]*)/.exec(line);
    if (match === null) continue;
    const [, bracketed = "", uri = "", suite = "", components = ""] = match;
    const options: Record<string, string> = {};
    for (const [, key = "", value = ""] of bracketed.matchAll(/([\w-]+)=(\S+)/g)) {
      const name = DEB822_NAMES[key.toLowerCase()];
      if (name !== undefined) options[name] = value.replaceAll(",", " ");
    }
    sources.push({ uris: [uri], suites: [suite], components: words(components), options });
  }
  return sources;
}

function parseDeb822(text: string): AptSource[] {
  const sources: AptSource[] = [];
  const uncommented = text.split("\n").filter((line) => !line.startsWith("#")).join("\n");
  for (const stanza of uncommented.split(/\n\s*\n/)) {
    const fields = new Map<string, string>();
    // A line that starts with a space or a tab continues the field above it.
    for (const [, name = "", value = ""] of stanza.matchAll(/^([\w-]+):[ \t]*(.*(?:\n[ \t].*)*)/gm)) {
      fields.set(name.toLowerCase(), value.trimEnd());
    }
    const enabled = !["no", "false", "0", "off"].includes(fields.get("enabled")?.toLowerCase() ?? "yes");
    if (!enabled || !words(fields.get("types") ?? "").includes("deb")) continue;
    const options: Record<string, string> = {};
    for (const name of Object.values(DEB822_NAMES)) {
      const value = fields.get(name.toLowerCase());
      if (value !== undefined) options[name] = value;
    }
    sources.push({
      uris: words(fields.get("uris") ?? ""),
      suites: words(fields.get("suites") ?? ""),
      components: words(fields.get("components") ?? ""),
      options,
    });
  }
  return sources;
}

function words(text: string): string[] {
  return text.split(/\s+/).filter((word) => word !== "");
}
