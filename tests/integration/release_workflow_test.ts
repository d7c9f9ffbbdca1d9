/** What the release workflow does last, run as GitHub runs it, with a `gh` that only tells what it was asked. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { workflow } from "../support/workflow.ts";

Deno.test("a release tells its version, and one of a pre-release is marked as such", async () => {
  const { runs } = await workflow("release.yml");
  const step = (part: string) => runs.find((run) => run.includes(part)) ?? "";
  const script = [
    `gh() { printf '%s\\n' "$@"; }`,
    step(">release/VERSION"),
    step("gh release create"),
  ].join("\n");
  const folder = await Deno.makeTempDir();
  try {
    await Deno.mkdir(join(folder, "release"));
    for (
      const [tag, version, marks] of [
        ["v0.5.0", "0.5.0", []],
        ["v0.6.0-rc.1", "0.6.0-rc.1", ["--prerelease"]],
      ] as const
    ) {
      // As GitHub runs a step.
      const { success, stdout } = await new Deno.Command("bash", {
        args: ["-e", "-c", script],
        cwd: folder,
        env: { GITHUB_REF_NAME: tag },
      }).output();
      ok(success);
      strictEqual(await Deno.readTextFile(join(folder, "release", "VERSION")), `${version}\n`);
      deepStrictEqual(new TextDecoder().decode(stdout).trimEnd().split("\n"), [
        ...["release", "create", tag, ...marks, "--verify-tag", "--title", tag, "--generate-notes"],
        "release/VERSION",
      ]);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
