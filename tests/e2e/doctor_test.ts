/** `doctor` of the real Claude Code and the real Codex, and its self-test with scripted models. */

import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createCodexSandbox } from "../support/codex_sandbox.ts";
import { createSandbox, type Sandbox } from "../support/harness.ts";
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

/** What is done to a home that is all right, what doctor says of it, and what create comes to. */
const BROKEN: readonly (readonly [
  name: string,
  breakIt: (sandbox: Sandbox) => Promise<void>,
  finding: string,
  create: RegExp,
])[] = [
  [
    "never set up",
    (sandbox) => Deno.remove(configFile(sandbox)),
    "problem claude-setup",
    /has not been set up/,
  ],
  [
    "a configuration that is no JSON",
    (sandbox) => Deno.writeTextFile(configFile(sandbox), '{"hasCompl'),
    "problem claude-setup",
    /accepts no message/,
  ],
  ["not signed in", (sandbox) => withoutToken(sandbox, {}), "problem claude-sign-in", /is not signed in/],
  [
    "a key that it asks about",
    (sandbox) => withoutToken(sandbox, { ANTHROPIC_API_KEY: "sk-ant-0123456789-abcdefghijklmnop" }),
    "problem claude-sign-in",
    /whether to use the API key/,
  ],
  [
    "settings that are no JSON",
    (sandbox) => writeSettings(sandbox, "{"),
    "problem claude-settings",
    /settings/,
  ],
];

function configFile(sandbox: Sandbox): string {
  return join(sandbox.home, ".claude.json");
}

function withoutToken(sandbox: Sandbox, instead: Record<string, string>): Promise<void> {
  delete sandbox.env["ANTHROPIC_AUTH_TOKEN"];
  Object.assign(sandbox.env, instead);
  return Promise.resolve();
}

async function writeSettings(sandbox: Sandbox, text: string): Promise<void> {
  await Deno.mkdir(sandbox.claudeConfig, { recursive: true });
  await Deno.writeTextFile(join(sandbox.claudeConfig, "settings.json"), text);
}

/** `level check` of what it says of Claude Code and is not ok. */
async function saidOfClaude(sandbox: Sandbox): Promise<string[]> {
  const { findings } = JSON.parse((await sandbox.run(["doctor", "--json"])).stdout) as {
    findings: { check: string; level: string }[];
  };
  return findings.filter(({ check, level }) => check.startsWith("claude") && level !== "ok")
    .map(({ check, level }) => `${level} ${check}`);
}

Deno.test("what doctor calls a problem of Claude Code keeps create from working", async (t) => {
  for (const [name, breakIt, finding, create] of BROKEN) {
    await t.step({
      name,
      sanitizeOps: false,
      sanitizeResources: false,
      fn: async () => {
        await using sandbox = await createSandbox({ agent: "claude" });
        await breakIt(sandbox);
        deepStrictEqual(await saidOfClaude(sandbox), [finding]);
        const { code, stderr } = await sandbox.run(["create"]);
        strictEqual(code, 1);
        match(stderr, create);
      },
    });
  }
});

Deno.test("without hooks, of which doctor warns, the main job is done by Claude's records alone", async () => {
  await using sandbox = await createSandbox({ agent: "claude" });
  await writeSettings(sandbox, JSON.stringify({ disableAllHooks: true }));
  deepStrictEqual(await saidOfClaude(sandbox), ["warning claude-hooks"]);
  const id = (await sandbox.run(["create", "-q"])).stdout.trim();
  const sent = await sandbox.run(["send", id, "SCRIPT:plain hello", "--json"]);
  strictEqual(sent.code, 0, sent.stderr);
  doesNotMatch(JSON.parse(sent.stdout).evidence, /hook/);
  strictEqual((await sandbox.run(["wait", id])).stdout, "completed\n");
});
