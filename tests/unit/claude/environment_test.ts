/** What an agent's environment keeps of the caller's, and what it must not inherit. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { agentEnvironment, gatewayVariables } from "../../../backends/claude/environment.ts";
import { withoutOuterAgent } from "../../../backends/outer_agents.ts";

const SESSION = { id: "fizz-top", trusted: false, configFolder: null };

const OUTER = [
  "AI_AGENT",
  "CLAUDECODE",
  "CLAUDE_CODE_CHILD_NOTES_DIR",
  "CLAUDE_CODE_CHILD_SESSION",
  "CLAUDE_CODE_ENTRYPOINT",
  "CLAUDE_CODE_EXECPATH",
  "CLAUDE_CODE_MESSAGING_SOCKET",
  "CLAUDE_CODE_MESSAGING_TOKEN",
  "CLAUDE_CODE_SESSION_ATTENDED",
  "CLAUDE_CODE_SESSION_ID",
  "CLAUDE_CODE_SSE_PORT",
  "CLAUDE_EFFORT",
  "CLAUDE_PID",
  "CLAUDE_PROJECT_DIR",
  "CODEX_CI",
  "CODEX_SANDBOX",
  "CODEX_SANDBOX_NETWORK_DISABLED",
  "CODEX_THREAD_ID",
];

const USERS_OWN = [
  "PATH",
  "HOME",
  "LANG",
  "ANTHROPIC_API_KEY",
  "ANTHROPIC_AUTH_TOKEN",
  "ANTHROPIC_BASE_URL",
  "ANTHROPIC_MODEL",
  "AWS_PROFILE",
  "CLAUDE_CODE_MAX_RETRIES",
  "CLAUDE_CODE_OAUTH_TOKEN",
  "CLAUDE_CODE_USE_BEDROCK",
  "CLAUDE_CODE_USE_VERTEX",
  "CLAUDE_CONFIG_DIR",
  "CODEX_HOME",
  "HTTPS_PROXY",
  "NODE_EXTRA_CA_CERTS",
  "OPENAI_API_KEY",
  "SSH_AUTH_SOCK",
];

const env = (names: readonly string[]) => Object.fromEntries(names.map((name) => [name, `value of ${name}`]));

for (const name of OUTER) {
  Deno.test(`an outer agent's ${name} leaves no trace`, () => {
    deepStrictEqual(withoutOuterAgent(env([name, "PATH"])), env(["PATH"]));
    ok(!(name in agentEnvironment(env([name]), SESSION)));
  });
}

Deno.test("the caller's way to a gateway is nothing for an agent on the host, but for a wrapper around it", () => {
  const caller = env([
    "DEV_SESSIONS_GATEWAY_URL",
    "DEV_SESSIONS_GATEWAY_TOKEN",
    "DEV_SESSIONS_GATEWAY_TOKEN_FILE",
  ]);
  const given = agentEnvironment({ ...caller, PATH: "/bin" }, SESSION);
  deepStrictEqual(Object.keys(given).filter((name) => name.startsWith("DEV_SESSIONS_GATEWAY_")), []);
  deepStrictEqual(gatewayVariables({ ...caller, PATH: "/bin" }), caller);
});

for (const name of USERS_OWN) {
  Deno.test(`the user's own ${name} stays`, () => {
    strictEqual(withoutOuterAgent(env([name]))[name], `value of ${name}`);
    strictEqual(agentEnvironment(env([name]), SESSION)[name], `value of ${name}`);
  });
}

Deno.test("agentEnvironment() has what makes Claude start without a question and keep its records", () => {
  deepStrictEqual(agentEnvironment({}, SESSION), {
    IS_SANDBOX: "1",
    CLAUDE_CODE_FORCE_SESSION_PERSISTENCE: "1",
    CLAUDE_CODE_DISABLE_ALTERNATE_SCREEN: "1",
    DISABLE_AUTOUPDATER: "1",
    DEV_SESSIONS_ID: "fizz-top",
    DEV_SESSIONS_SANDBOX: "0",
  });
});

Deno.test("agentEnvironment() trusts the folder only when the session does", () => {
  strictEqual(agentEnvironment({}, { ...SESSION, trusted: true })["CLAUDE_CODE_SANDBOXED"], "1");
  strictEqual(agentEnvironment({}, SESSION)["CLAUDE_CODE_SANDBOXED"], undefined);
});

Deno.test("agentEnvironment() of a session within a session has nothing of the outer session's own", () => {
  const outer = agentEnvironment(env(["PATH"]), { id: "riven-jg", trusted: true, configFolder: null });
  deepStrictEqual(agentEnvironment(outer, SESSION), agentEnvironment(env(["PATH"]), SESSION));
});

Deno.test("agentEnvironment() takes the configuration folder of the record", () => {
  strictEqual(
    agentEnvironment({ CLAUDE_CONFIG_DIR: "rel" }, { ...SESSION, configFolder: "/abs" })["CLAUDE_CONFIG_DIR"],
    "/abs",
  );
});

Deno.test("agentEnvironment() leaves out the caller's terminal and names that sh can't export", () => {
  const caller = {
    ...env(["TERM", "TMUX", "TMUX_PANE", "COLUMNS", "PWD", "OLDPWD", "SHLVL", "_", "NO_COLOR"]),
    "BASH_FUNC_x%%": "() { :; }",
    "A.B": "1",
    "1A": "1",
    "A B": "1",
    "": "1",
  };
  deepStrictEqual(agentEnvironment(caller, SESSION), agentEnvironment({}, SESSION));
});

Deno.test("agentEnvironment() leaves out what names another repository, and keeps the rest of git's settings", () => {
  const kept = ["GIT_AUTHOR_NAME", "GIT_SSH_COMMAND", "GIT_CONFIG_GLOBAL"];
  const got = agentEnvironment(
    env([...kept, "GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_COMMON_DIR", "GIT_PREFIX"]),
    SESSION,
  );
  deepStrictEqual(Object.keys(got).filter((name) => name.startsWith("GIT_")), kept);
});
