import assert from "node:assert/strict";
import { test } from "node:test";
import { type Machine, planGpuSetup } from "../../scripts/gpu_plan.ts";

const DEBIAN_12: Machine = {
  platform: "linux",
  arch: "x64",
  os: { id: "debian", codename: "bookworm" },
  privilege: "root",
  apt: true,
  sources: [{ uris: ["http://m.example/debian"], suites: ["bookworm"], components: ["main"], options: {} }],
};
const UBUNTU: Machine = {
  ...DEBIAN_12,
  os: { id: "ubuntu", idLike: "debian", codename: "noble" },
  sources: [],
};

function kinds(machine: Machine): string[] {
  return planGpuSetup(machine).map(({ kind }) => kind);
}

function refusal(machine: Machine): string {
  const last = planGpuSetup(machine).at(-1);
  assert.ok(last?.kind === "refuse");
  return last.message;
}

test("planGpuSetup() takes Mesa from the backports on Debian 12, whose own is refused", () => {
  assert.deepEqual(planGpuSetup(DEBIAN_12)[0], {
    kind: "apt",
    packages: ["libvulkan1", "mesa-vulkan-drivers"],
    release: "bookworm-backports",
    backports: "Types: deb\nURIs: http://m.example/debian\nSuites: bookworm-backports\nComponents: main\n",
  });
});

test("planGpuSetup() adds no source where the backports are configured already", () => {
  const sources = DEBIAN_12.sources.map((source) => ({
    ...source,
    suites: ["bookworm", "bookworm-backports"],
  }));
  const [plan] = planGpuSetup({ ...DEBIAN_12, sources });
  assert.ok(plan?.kind === "apt");
  assert.equal(plan.backports, null);
  assert.equal(plan.release, "bookworm-backports");
});

test("planGpuSetup() takes the release's own Mesa on Ubuntu and newer Debian", () => {
  for (const machine of [UBUNTU, { ...DEBIAN_12, os: { id: "debian", codename: "trixie" } }]) {
    const [plan] = planGpuSetup(machine);
    assert.ok(plan?.kind === "apt");
    assert.equal(plan.release, null);
    assert.equal(plan.backports, null);
  }
});

test("planGpuSetup() falls back on SwiftShader on x64 Linux, whatever the distribution", () => {
  assert.deepEqual(kinds(UBUNTU), ["apt", "swiftshader", "refuse"]);
  assert.deepEqual(kinds({ ...UBUNTU, privilege: "sudo" }), ["apt", "swiftshader", "refuse"]);
  assert.deepEqual(kinds({ ...UBUNTU, privilege: "none" }), ["swiftshader", "refuse"]);
  assert.deepEqual(kinds({ ...UBUNTU, os: { id: "fedora" }, apt: false }), ["swiftshader", "refuse"]);
  assert.deepEqual(kinds({ ...DEBIAN_12, sources: [] }), ["swiftshader", "refuse"]);
});

test("planGpuSetup() refuses with the command to run where it can do nothing", () => {
  assert.deepEqual(kinds({ ...UBUNTU, arch: "arm64", privilege: "none" }), ["refuse"]);
  assert.match(refusal({ ...UBUNTU, arch: "arm64" }), /apt-get install libvulkan1 mesa-vulkan-drivers$/);
  assert.match(refusal(DEBIAN_12), /bookworm-backports/);
  assert.match(
    refusal({ ...UBUNTU, os: { id: "fedora" }, apt: false }),
    /Fedora: vulkan-loader mesa-vulkan-drivers/,
  );
});

test("planGpuSetup() installs nothing on other systems and says what they need", () => {
  for (
    const [platform, word] of [["darwin", /Metal/], ["win32", /driver/], [
      "freebsd",
      /not on freebsd/,
    ]] as const
  ) {
    const machine: Machine = { ...UBUNTU, platform };
    assert.deepEqual(kinds(machine), ["refuse"]);
    assert.match(refusal(machine), word);
  }
});
