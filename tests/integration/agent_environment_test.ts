/** What an agent is started with: the caller's environment without an outer agent, and no secret in anybody's sight. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox } from "../support/harness.ts";
import {
  agentPid,
  argumentsOf,
  created,
  environmentOf,
  json,
  sessionFolders,
} from "../support/sandbox_state.ts";
import { gateTmux } from "../support/tmux_gate.ts";

const OUTER = {
  CLAUDECODE: "1",
  CLAUDE_CODE_CHILD_SESSION: "1",
  CLAUDE_CODE_CHILD_NOTES_DIR: "/outer/notes",
  CLAUDE_CODE_SESSION_ID: "outer-session",
  CLAUDE_CODE_SESSION_ATTENDED: "1",
  CLAUDE_CODE_ENTRYPOINT: "cli",
  CLAUDE_CODE_EXECPATH: "/outer/claude",
  CLAUDE_CODE_MESSAGING_SOCKET: "/outer/socket",
  CLAUDE_CODE_MESSAGING_TOKEN: "outer-token",
  CLAUDE_CODE_SSE_PORT: "1234",
  CLAUDE_PID: "42",
  CLAUDE_EFFORT: "high",
  CLAUDE_PROJECT_DIR: "/outer",
  AI_AGENT: "claude",
  DEV_SESSIONS_EXECUTABLE: "/outer/dev-sessions",
  CODEX_CI: "1",
  CODEX_THREAD_ID: "outer-thread",
  CODEX_SANDBOX: "seatbelt",
  CODEX_SANDBOX_NETWORK_DISABLED: "1",
  CODEX_INTERNAL_ORIGINATOR_OVERRIDE: "outer",
};
const OWN = {
  CLAUDE_CODE_USE_BEDROCK: "1",
  CLAUDE_CODE_MAX_OUTPUT_TOKENS: "1000",
  AWS_REGION: "eu-central-1",
  CODEX_HOME: "/somewhere/codex",
  ODD_VALUE: 'it\'s "odd" $HOME `id` \\ \n two lines; 漢字',
  EMPTY_VALUE: "",
};
const SECRET = "s3cr3t-0c5a1f";

Deno.test("an agent started from inside another one bears no trace of it, and keeps what is the user's", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const id = await created(sandbox, [], { env: { ...OUTER, ...OWN, CLAUDE_CODE_SANDBOXED: "1" } });
  const env = environmentOf(agentPid(sandbox, id));
  deepStrictEqual(Object.keys(OUTER).filter((name) => env.has(name)), []);
  for (const [name, value] of Object.entries(OWN)) strictEqual(env.get(name), value, name);
  strictEqual(env.get("DEV_SESSIONS_ID"), id);
  strictEqual(env.get("DEV_SESSIONS_SANDBOX"), "0");
  strictEqual(env.get("IS_SANDBOX"), "1");
  strictEqual(env.get("HOME"), sandbox.home);
  // With the marker of an outer session it would write no transcript.
  strictEqual((await sandbox.run(["send", id, "hello"])).code, 0);
  strictEqual((await sandbox.run(["wait", id])).stdout, "completed\n");
  strictEqual((await sandbox.run(["last-message", id])).stdout, "REPLY: hello [length 5]\n");
  // Nor does the tmux server, which others will use, too.
  const { stdout } = await sandbox.tmux("show-environment", "-g");
  deepStrictEqual(Object.keys(OUTER).filter((name) => stdout.includes(`${name}=`)), []);
});

Deno.test("an agent gets the caller's environment, not that of the tmux server", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const server = { ...OUTER, SERVER_ONLY: "1", SHARED: "of the server", IN_VIM: "1" };
  const started = sandbox.spawn("tmux", ["new-session", "-d", "-s", "mine", "cat"], { env: server });
  strictEqual((await started.done()).code, 0);
  const caller = { SHARED: "of the caller", CALLER_ONLY: "1", TERM: "dumb", COLUMNS: "20" };
  const id = await created(sandbox, [], { env: caller });
  const env = environmentOf(agentPid(sandbox, id));
  deepStrictEqual(
    [...Object.keys(OUTER), "SERVER_ONLY", "IN_VIM", "COLUMNS"].filter((name) => env.has(name)),
    [],
  );
  deepStrictEqual([env.get("SHARED"), env.get("CALLER_ONLY")], ["of the caller", "1"]);
  // The terminal is the pane's.
  match(env.get("TERM") ?? "", /^(screen|tmux)/);
  match(env.get("TMUX") ?? "", new RegExp(`^${sandbox.root}/t/`));
  match(env.get("TMUX_PANE") ?? "", /^%\d+$/);
});

Deno.test("later commands find the agent without the environment of its create", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const config = await sandbox.folder("config");
  const env = { CLAUDE_CONFIG_DIR: config, TMUX: `${join(sandbox.root, "t", "other")},1,0` };
  const id = await created(sandbox, [], { env });
  strictEqual(environmentOf(agentPid(sandbox, id)).get("CLAUDE_CONFIG_DIR"), config);
  const elsewhere = { TMUX_TMPDIR: undefined, CLAUDE_CONFIG_DIR: join(sandbox.root, "no") };
  strictEqual(
    (await json(sandbox, ["send", id, "hello"], { env: elsewhere, cwd: "/" }))["result"],
    "submitted",
  );
  strictEqual((await sandbox.run(["wait", id], { env: elsewhere })).stdout, "completed\n");
  strictEqual((await sandbox.run(["kill", id], { env: elsewhere })).stdout, `Killed session ${id}\n`);
});

Deno.test("no secret and no message stands in an argument list or in a file that stays", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  const exposed = async () =>
    (await sandbox.processesOf()).filter(({ command }) => command.includes(SECRET)).map(({ command }) =>
      command
    );
  const env = { ANTHROPIC_API_KEY: SECRET };

  const gate = await gateTmux(sandbox, "new-session", "before");
  await using creating = sandbox.start(["create", "-q"], { env });
  await gate.reached();
  const [folder = ""] = sessionFolders(sandbox);
  const launcher = join(sandbox.home, ".dev-sessions", "sessions", folder, "launch.sh");
  strictEqual((await Deno.stat(launcher)).mode! & 0o777, 0o600);
  ok((await Deno.readTextFile(launcher)).includes(SECRET));
  deepStrictEqual(await exposed(), []);
  await gate.open();
  const id = (await creating.doneWithin(20_000, "create")).stdout.trim();
  deepStrictEqual(await exposed(), []);
  strictEqual(environmentOf(agentPid(sandbox, id)).get("ANTHROPIC_API_KEY"), SECRET);
  ok(!argumentsOf(agentPid(sandbox, id)).join(" ").includes(SECRET));

  const typing = await gateTmux(sandbox, "display-message", "before");
  await using sending = sandbox.start(["send", id, "-f", "-"], { stdin: `the password is ${SECRET}` });
  await typing.reached();
  deepStrictEqual(await exposed(), []);
  await typing.open();
  const sent = await sending.doneWithin(20_000, "send");
  strictEqual(sent.code, 0, sent.stderr);
  strictEqual((await sandbox.run(["wait", id])).stdout, "completed\n");
  deepStrictEqual(await exposed(), []);

  // The launcher, and what was typed, are gone; hook events are Claude's own record of the conversation.
  const found = await sandbox.spawn("grep", ["-rlF", SECRET, join(sandbox.home, ".dev-sessions")]).done();
  const files = found.stdout.trim().split("\n").filter((path) => path !== "" && !path.includes("/events/"));
  deepStrictEqual(files, []);
});
