import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { backportsEntry, parseAptSources } from "../../scripts/apt_sources.ts";

// The layout of the file in Debian's own container images.
const DEB822 = `Types: deb
# a remark
URIs: http://mirror.example/debian
Suites: bookworm bookworm-updates
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg

Types: deb-src
URIs: http://mirror.example/sources
Suites: bookworm
Components: main

Enabled: no
Types: deb
URIs: http://mirror.example/disabled
Suites: bookworm-backports
Components: main
`;

test("parseAptSources() reads enabled binary stanzas of a deb822 file", () => {
  assert.deepEqual(parseAptSources("debian.sources", DEB822), [{
    uris: ["http://mirror.example/debian"],
    suites: ["bookworm", "bookworm-updates"],
    components: ["main"],
    options: { "Signed-By": "/usr/share/keyrings/debian-archive-keyring.gpg" },
  }]);
});

test("parseAptSources() keeps a key block that continues over several lines", () => {
  const key = "\n -----BEGIN PGP PUBLIC KEY BLOCK-----\n .\n mQ==\n -----END PGP PUBLIC KEY BLOCK-----";
  const text = `Types: deb\nURIs: http://m.example/\nSuites: bookworm\nComponents: main\nSigned-By:${key}\n`;
  assert.equal(parseAptSources("a.sources", text)[0]?.options["Signed-By"], key);
});

test("parseAptSources() reads the one-line format with options, remarks and tabs", () => {
  const text = `# deb http://off.example bookworm main
deb-src http://src.example bookworm main
deb [arch=amd64,arm64 signed-by=/k.gpg lang=de] http://m.example/debian/ bookworm main contrib # remark
\tdeb\thttp://n.example\tbookworm-security\tmain\n`;
  assert.deepEqual(parseAptSources("/etc/apt/sources.list", text), [
    {
      uris: ["http://m.example/debian/"],
      suites: ["bookworm"],
      components: ["main", "contrib"],
      options: { "Architectures": "amd64 arm64", "Signed-By": "/k.gpg" },
    },
    { uris: ["http://n.example"], suites: ["bookworm-security"], components: ["main"], options: {} },
  ]);
});

test("backportsEntry() names the mirror and the key that serve the release", () => {
  assert.equal(
    backportsEntry(parseAptSources("debian.sources", DEB822), "bookworm"),
    `Types: deb
URIs: http://mirror.example/debian
Suites: bookworm-backports
Components: main
Signed-By: /usr/share/keyrings/debian-archive-keyring.gpg
`,
  );
});

test("backportsEntry() throws where no source serves the release", () => {
  const sources = parseAptSources("sources.list", "deb http://m.example trixie main\n");
  assert.throws(() => backportsEntry(sources, "bookworm"), RangeError);
});

test("backportsEntry() reads back as the same mirror, and is not written twice", () => {
  const word = fc.stringMatching(/^[a-z][a-z0-9/.-]{0,20}$/);
  fc.assert(fc.property(fc.uniqueArray(word, { minLength: 1, maxLength: 3 }), word, (uris, keyPath) => {
    const base = {
      uris,
      suites: ["bookworm"],
      components: ["main"],
      options: { "Signed-By": `/${keyPath}` },
    };
    const entry = backportsEntry([base], "bookworm");
    assert.ok(entry !== null);
    const [added] = parseAptSources("added.sources", entry);
    assert.deepEqual(added, { ...base, suites: ["bookworm-backports"] });
    assert.equal(backportsEntry([base, added], "bookworm"), null);
  }));
});
