// Stands in for npm in tests: `node fake_npm.mjs MODE TARBALL LOG pack SPEC --cache=… --pack-destination=…`.
// Appends the arguments that it was called with to LOG, then behaves or misbehaves as MODE says.
import { createHash } from "node:crypto";
import { appendFileSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";

const [mode, tarball, log, ...args] = process.argv.slice(2);
appendFileSync(log, `${args.join(" ")}\n`);
const option = (name) => args.find((argument) => argument.startsWith(`--${name}=`)).slice(name.length + 3);
const target = join(option("pack-destination"), "some-package-1.0.0.tgz");

/** Prints what `npm pack --json` prints of the tarball at `path`. */
function report(path) {
  const bytes = readFileSync(path);
  const integrity = `sha512-${createHash("sha512").update(bytes).digest("base64")}`;
  console.log(JSON.stringify([{ id: "@some/package@1.0.0", size: bytes.length, integrity }], null, 2));
}

function fail(code) {
  process.stderr.write(`npm error code ${code}\nnpm error something about ${code}\n`);
  process.exit(1);
}

switch (mode) {
  case "truncate":
    writeFileSync(target, readFileSync(tarball).subarray(0, 100));
    break;
  case "alter": {
    const bytes = readFileSync(tarball);
    bytes[bytes.length >> 1] ^= 1;
    writeFileSync(target, bytes);
    report(tarball);
    break;
  }
  case "nothing":
    break;
  case "die":
    writeFileSync(target, readFileSync(tarball).subarray(0, 100));
    process.kill(process.pid, "SIGKILL");
    await delay(10_000);
    break;
  case "hang":
    writeFileSync(target, readFileSync(tarball).subarray(0, 100));
    await delay(60_000);
    break;
  case "crash":
    process.stderr.write("TypeError: something inside npm\n");
    process.exit(7);
    break;
  case "slow": {
    const bytes = readFileSync(tarball);
    mkdirSync(join(option("cache"), "tmp"), { recursive: true });
    for (let part = 1; part <= 4; part++) {
      writeFileSync(join(option("cache"), "tmp", "part"), bytes.subarray(0, (bytes.length * part) >> 2));
      await delay(250);
    }
    writeFileSync(target, bytes);
    report(tarball);
    break;
  }
  case "mute":
    writeFileSync(target, readFileSync(tarball));
    break;
  case "work":
    writeFileSync(target, readFileSync(tarball));
    report(tarball);
    break;
  default:
    fail(mode);
}
