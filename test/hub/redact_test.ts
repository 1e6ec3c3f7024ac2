import assert from "node:assert/strict";
import { test } from "node:test";
import { redact } from "../../src/hub/redact.ts";

test("redact() leaves out passwords, queries, fragments and tokens, and keeps the rest", () => {
  const cases: [text: string, shown: string][] = [
    ["https://ada:s3cret@hub.example/a/b?sig=s3cret#s3cret", "https://…@hub.example/a/b?…"],
    ["https://s3cret@hub.example", "https://…@hub.example"],
    ["https://ada:p@s3cret@hub.example/x", "https://…@hub.example/x"],
    ["https://ada:pa/s3cret@hub.example", "https://…"],
    ["http://hub.example/x#s3cret", "http://hub.example/x#…"],
    ["ftp://[::1]:21/x and http://h:80/@scope/x", "ftp://[::1]:21/x and http://h:80/@scope/x"],
    ["npm error 401 https://u:s3cret@registry/x - GET", "npm error 401 https://…@registry/x - GET"],
    ["//registry/:_authToken=s3cret", "//registry/:_authToken=…"],
    ['{"password": "s3cret", "a": 1}', '{"password": "…", "a": 1}'],
    ["Authorization: Bearer s3cret", "Authorization: Bearer …"],
    ["hf_abcdefghs3cret and npm_abcdefghs3cret", "… and …"],
    ["Invalid username or password.", "Invalid username or password."],
    ["no address: C:\\a, a:b, x://", "no address: C:\\a, a:b, x://"],
  ];
  for (const [text, shown] of cases) assert.equal(redact(text), shown);
});

test("redact() takes linear time", { timeout: 20_000 }, () => {
  for (
    const piece of ["a", "a://", "@", "token ", "bearer ", "token=", "hf_", "a.", "https://a:b@c?d ", " "]
  ) {
    redact(piece.repeat(Math.ceil(1e6 / piece.length)));
    redact(`bearer${piece.repeat(1e5)}`);
  }
});
