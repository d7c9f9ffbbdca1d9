/** `doctor`: its flags, its lines, and that the self-test spends nothing without a yes. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { costOf, findingLines } from "../../../lib/cli/doctor.ts";
import { note, ok, problem } from "../../../lib/doctor/finding.ts";
import { call, checkRows, refused } from "./harness.ts";

Deno.test("doctor's flags", async (t) => {
  await checkRows(
    t,
    refused([
      [["doctor", "--fix", "--selftest"], "Use only one of --fix, --selftest"],
      [["doctor", "--yes"], "--yes belongs to --selftest"],
      [["doctor", "fizz-top"], "error: too many arguments for 'doctor'. Expected 0 arguments but got 1."],
    ]),
  );
});

Deno.test("a finding is one line, with what follows from it and its fix below", () => {
  deepStrictEqual(
    findingLines(problem("claude-sign-in", "Claude Code is not\nsigned in", {
      why: "there is no key",
      fix: ["Sign in (/login)", "claude"],
    })),
    [
      "problem  Claude Code is not signed in",
      "         there is no key",
      "         Fix: Sign in (/login): claude",
    ],
  );
  deepStrictEqual(findingLines(ok("tmux", "tmux 3.3a")), ["ok       tmux 3.3a"]);
  deepStrictEqual(findingLines(note("nested", "inside", { fix: "Unset it" })), [
    "note     inside",
    "         Fix: Unset it",
  ]);
});

Deno.test("the cost names the agents that will run, and who pays", () => {
  match(
    costOf(["claude"]),
    /^The self-test runs one short turn of Claude Code, paid from your own plan or API key/,
  );
  match(
    costOf(["claude", "codex"]),
    /one short turn of Claude Code and Codex each, paid from your own plan or API key/,
  );
});

Deno.test("the self-test starts nothing where no agent is installed", async () => {
  const { code, stderr, stdout, opened } = await call(["doctor", "--selftest", "--yes"], {
    env: { PATH: "/nowhere" },
  });
  deepStrictEqual([code, stdout, opened], [1, "", 0]);
  strictEqual(
    stderr,
    "Cannot run the self-test: neither Claude Code nor Codex is installed. See: dev-sessions doctor\n",
  );
});
