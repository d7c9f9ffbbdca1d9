/** `doctor` of the real Claude Code and the real Codex, and its self-test with scripted models. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { createCodexSandbox } from "../support/codex_sandbox.ts";
import { rows, sessionFolders } from "../support/sandbox_state.ts";

/** Of the machine that runs the tests. */
const ELSEWHERE = new Set(["container", "command", "file-system", "disk", "skills"]);

Deno.test("both real agents pass the examination and the self-test, and nothing is left of it", async () => {
  await using codex = await createCodexSandbox("claude");
  const { sandbox } = codex;
  const examined = await sandbox.run(["doctor", "--json"]);
  strictEqual(examined.code, 0, examined.stdout);
  const findings: { check: string; level: string; what: string }[] = JSON.parse(examined.stdout).findings;
  deepStrictEqual(
    findings.filter(({ level, check }) => level !== "ok" && !ELSEWHERE.has(check)),
    [],
  );
  const what = (check: string) => findings.find((one) => one.check === check)?.what ?? "";
  match(what("claude"), /^Claude Code 2\.1\.330 \(\/.*\/claude\)$/);
  match(what("codex"), /^Codex 0\.169\.0 \(\/.*\/codex\)$/);
  match(what("claude-sign-in"), /ANTHROPIC_AUTH_TOKEN/);
  match(what("codex-sign-in"), /model provider/);
  deepStrictEqual(await codex.servers(), [], "no server was started for it");

  const tested = await sandbox.run(["doctor", "--selftest", "--yes", "--json"], { timeoutMs: 240_000 });
  strictEqual(tested.code, 0, tested.stdout + tested.stderr);
  match(tested.stderr, /one short turn of Claude Code and Codex each/);
  const { passed, steps } = JSON.parse(tested.stdout);
  strictEqual(passed, true);
  const names = ["create", "send", "wait", "last-message", "kill", "clean up"];
  deepStrictEqual(
    steps.map(({ agent, step }: { agent: string; step: string }) => `${agent} ${step}`),
    ["claude", "codex"].flatMap((agent) => names.map((name) => `${agent} ${name}`)),
  );
  for (const { ms, evidence } of steps) ok(ms >= 0 && evidence !== "");
  deepStrictEqual([rows(sandbox), sessionFolders(sandbox)], [[], []]);
  await sandbox.eventually(async () => (await codex.servers()).length === 0, {
    what: "its server is stopped",
  });
});
