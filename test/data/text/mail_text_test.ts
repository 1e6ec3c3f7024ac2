import assert from "node:assert/strict";
import { test } from "node:test";
import { htmlToText, readMailText } from "../../../src/data/text/mail_text.ts";

function mail(...lines: string[]): Uint8Array {
  return Buffer.from(lines.join("\r\n"), "latin1");
}

test("readMailText() reads subject and body and no other header", async () => {
  const raw = mail(
    "From: a@b.example",
    "X-Spam: yes",
    "Subject: Hello",
    " again",
    "",
    "One",
    "",
    "  two\t three",
    "",
  );
  assert.deepEqual(await readMailText(raw), { subject: "Hello again", body: "One two three" });
});

test(
  "readMailText() takes hostile mails of 1 MB in seconds, or refuses them",
  { timeout: 60_000 },
  async () => {
    const many = (piece: string) => piece.repeat(Math.ceil(1e6 / piece.length));
    const html = "Content-Type: text/html\n\n";
    for (
      const text of [
        `Subject: ${many("=?utf-8?q?a?= ")}\n\nx`,
        `Subject: a${many("\n     ")}\n\nx`,
        `From: ${many("a <b> ")}\n\nx`,
        `Content-Type: text/plain; ${many("name*0=b; ")}\n\nx`,
        `Content-Transfer-Encoding: quoted-printable\n\n${many(" ")}x`,
        `Content-Type: text/plain; format=flowed\n\n${many(" ")}x`,
        html + many("&a"),
        html + many("<!--"),
        html + many("</b>"),
        html + many('<a b="'),
        html + many("<script>"),
        html + many("<i>x</i><p>"),
      ]
    ) {
      await readMailText(new TextEncoder().encode(text));
    }
    for (const text of [many("\n"), `${html}${many("<b>")}`, `${html}${many("<p><li><td>")}`]) {
      await assert.rejects(readMailText(new TextEncoder().encode(text)), { name: "DataLimitError" });
    }
  },
);

test("readMailText() decodes words, transfer encodings and character sets", async () => {
  const raw = mail(
    "Subject: =?iso-8859-1?Q?Caf=E9?=",
    "Content-Type: text/plain; charset=iso-8859-1",
    "Content-Transfer-Encoding: quoted-printable",
    "",
    "na=EFve soft=",
    "break",
  );
  assert.deepEqual(await readMailText(raw), { subject: "Café", body: "naïve softbreak" });
});

test("readMailText() prefers the plain part, leaves attachments out and falls back on HTML", async () => {
  const parts = (plain: string) =>
    mail(
      'Content-Type: multipart/alternative; boundary="x"',
      "",
      "--x",
      "Content-Type: text/plain",
      "",
      plain,
      "--x",
      "Content-Type: text/html",
      "",
      "<p>rich</p>",
      "--x",
      "Content-Type: application/octet-stream",
      "Content-Disposition: attachment",
      "Content-Transfer-Encoding: base64",
      "",
      "c2VjcmV0",
      "--x--",
    );
  assert.deepEqual(await readMailText(parts("plain")), { subject: "", body: "plain" });
  assert.deepEqual(await readMailText(parts("   ")), { subject: "", body: "rich" });
});

test("readMailText() reads a broken or empty mail as far as it goes", async () => {
  assert.deepEqual(await readMailText(mail()), { subject: "", body: "" });
  assert.deepEqual(await readMailText(mail("Subject: only a header")), {
    subject: "only a header",
    body: "",
  });
});

test("htmlToText() shows what a reader sees", () => {
  const collapsed = (html: string) => htmlToText(html).replace(/\s+/g, " ").trim();
  const cases: [html: string, text: string][] = [
    ["a<br>b", "a b"],
    ["<td>a</td><td>b</td>", "a b"],
    ["v<b>i</b>a<font size=1>g</font>ra<!-- x -->!", "viagra!"],
    ["1 &lt; 2 &amp;&nbsp;3 &#65;&#x42;&eacute;&trade;", "1 < 2 & 3 ABé™"],
    ["<script>if (a < b) x()</script><style>p{}</style><title>t</title>seen", "seen"],
    ['<a title="a > b" href=x>link</a>', "link"],
    ["<p>unclosed <b>tags<p>and <table>more", "unclosed tags and more"],
    ["<script>never closed", ""],
    ["plain", "plain"],
  ];
  for (const [html, text] of cases) assert.equal(collapsed(html), text, html);
});
