/** The small decisions around the server: versions, environment, executable, what is remembered, 0.4.4's server. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { serverEnvironment } from "../../../backends/codex/environment.ts";
import { isAppServer, listenerOf } from "../../../backends/codex/legacy_server.ts";
import { nativeCandidates } from "../../../backends/codex/locate.ts";
import {
  newerVersion,
  parseMetadata,
  type StartedServer,
  withServer,
} from "../../../backends/codex/metadata.ts";
import { isTooOld, MINIMUM_VERSION, versionOf } from "../../../backends/codex/version.ts";
import { codexHomeFolder, controlSocket, serverPaths } from "../../../lib/paths.ts";

for (
  const [userAgent, version] of [
    ["client/0.169.0 (Debian 12.0.0; x86_64) xterm (client; 0.0.1)", "0.169.0"],
    ["Codex Desktop/0.170.0-alpha.3 (Mac OS 15.1; arm64) unknown", "0.170.0-alpha.3"],
    ["a/b/1.2.3 (x)", "1.2.3"],
    ["codex_cli_rs/0.0.0 (Debian 12.0.0; x86_64)", null],
    ["something else", null],
    ["", null],
  ] as const
) {
  Deno.test(`versionOf() of "${userAgent}"`, () => strictEqual(versionOf(userAgent), version));
}

for (
  const [version, tooOld] of [
    [MINIMUM_VERSION, false],
    ["0.169.0", false],
    ["0.155.1", false],
    ["1.0.0", false],
    ["0.156.0-alpha.1", false],
    ["0.154.9", true],
    ["0.140.0", true],
    ["0.9.0", true],
    [null, false],
  ] as const
) {
  Deno.test(`isTooOld() of ${version}`, () => strictEqual(isTooOld(version), tooOld));
}

Deno.test("serverEnvironment() keeps the user's variables and no trace of one caller", () => {
  const kept = {
    PATH: "/bin",
    HOME: "/home/u",
    TERM: "xterm",
    OPENAI_API_KEY: "k",
    ANTHROPIC_API_KEY: "k",
    CODEX_SQLITE_HOME: "/s",
    CODEX_CA_CERTIFICATE: "/c",
    CODEX_API_KEY: "k",
    RUST_LOG: "info",
    GIT_SSH_COMMAND: "ssh -v",
    HTTPS_PROXY: "p",
    TMPDIR: "/t",
  };
  const dropped = [
    "CLAUDECODE",
    "CLAUDE_CODE_ENTRYPOINT",
    "CLAUDE_CODE_SESSION_ID",
    "CLAUDE_CONFIG_DIR",
    "CODEX_THREAD_ID",
    "CODEX_SESSION_ID",
    "CODEX_CI",
    "CODEX_SANDBOX",
    "CODEX_SANDBOX_NETWORK_DISABLED",
    "CODEX_MANAGED_BY_NPM",
    "CODEX_MANAGED_BY_PNPM",
    "CODEX_MANAGED_PACKAGE_ROOT",
    "DEV_SESSIONS_ID",
    "DEV_SESSIONS_SANDBOX",
    "DEV_SESSIONS_CODEX_URL",
    "DEV_SESSIONS_CODEX_TOKEN_FILE",
    "DEV_SESSIONS_GATEWAY_TOKEN",
    "IS_SANDBOX",
    "AI_AGENT",
    "TMUX",
    "TMUX_PANE",
    "PWD",
    "OLDPWD",
    "NO_COLOR",
    "GIT_DIR",
    "GIT_WORK_TREE",
    "GIT_INDEX_FILE",
    "GIT_PREFIX",
  ];
  const caller = { ...kept, CODEX_HOME: "other", ...Object.fromEntries(dropped.map((name) => [name, "x"])) };
  deepStrictEqual(serverEnvironment(caller, "/home/u/.codex"), { ...kept, CODEX_HOME: "/home/u/.codex" });
});

Deno.test("nativeCandidates() looks where npm's wrapper looks, and nowhere for another program", () => {
  const linux = { os: "linux", arch: "x86_64" };
  const mac = { os: "darwin", arch: "aarch64" };
  const scope = "/usr/lib/node_modules/@openai";
  deepStrictEqual(nativeCandidates(`${scope}/codex/bin/codex.js`, linux), [
    `${scope}/codex/node_modules/@openai/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex`,
    `${scope}/codex-linux-x64/vendor/x86_64-unknown-linux-musl/bin/codex`,
    `${scope}/codex/vendor/x86_64-unknown-linux-musl/bin/codex`,
  ]);
  strictEqual(
    nativeCandidates(`${scope}/codex/bin/codex.js`, mac)[1],
    `${scope}/codex-darwin-arm64/vendor/aarch64-apple-darwin/bin/codex`,
  );
  deepStrictEqual(nativeCandidates("/usr/local/bin/codex", linux), []);
});

const server = (codexHome: string, pid: number): StartedServer => ({
  codexHome,
  socket: controlSocket(codexHome),
  process: { pid, start: "1", boot: "b", machine: "m/h/1" },
  version: null,
  startedBy: "dev-sessions (process 1)",
  startedAt: "2026-11-22T11:00:00.000Z",
});

Deno.test("parseMetadata() reads ours and 0.4.4's, and takes anything else for no proof", () => {
  const nothing = { version: 2, servers: [], legacy: null };
  const ours = { version: 2, servers: [server("/h", 5)], legacy: null };
  deepStrictEqual(parseMetadata(JSON.stringify(ours)), ours);
  const legacy = { version: 1, pid: 7, port: 1234, url: "ws://127.0.0.1:1234", startedAt: "x" };
  deepStrictEqual(parseMetadata(JSON.stringify(legacy)), { ...nothing, legacy });
  for (const text of ["", "{", "[]", '{"version":3}', '{"version":2,"servers":[{}],"legacy":null}']) {
    deepStrictEqual(parseMetadata(text), nothing, text);
  }
});

Deno.test("newerVersion() tells the file of a newer version from ours, from an older one's and from none", () => {
  const table: [text: string, newer: number | null][] = [
    ['{"version":3}', 3],
    ['{"version":3,"servers":[],"legacy":null}', 3],
    [JSON.stringify({ version: 2, servers: [server("/h", 5)], legacy: null }), null],
    ['{"version":2,"servers":[{}]}', null],
    ['{"version":1,"pid":7,"url":"ws://127.0.0.1:1234"}', null],
    ['{"version":"3"}', null],
    ["{}", null],
    ["3", null],
    ["{", null],
    ["", null],
  ];
  for (const [text, newer] of table) strictEqual(newerVersion(text), newer, text);
});

Deno.test("withServer() keeps one server per CODEX_HOME, and what 0.4.4 wrote", () => {
  const legacy = { version: 1, pid: 7, url: "ws://127.0.0.1:1234" } as const;
  const before = { version: 2, servers: [server("/a", 1), server("/b", 2)], legacy } as const;
  const replaced = withServer({ ...before, servers: [...before.servers] }, "/a", server("/a", 3));
  deepStrictEqual(replaced.servers.map(({ codexHome, process }) => [codexHome, process.pid]), [["/b", 2], [
    "/a",
    3,
  ]]);
  deepStrictEqual(replaced.legacy, legacy);
  deepStrictEqual(withServer(replaced, "/b", null).servers.length, 1);
});

for (
  const [env, cwd, expected] of [
    [{ HOME: "/home/u" }, "/w", "/home/u/.codex"],
    [{ HOME: "/home/u", CODEX_HOME: "" }, "/w", "/home/u/.codex"],
    [{ HOME: "/home/u", CODEX_HOME: "/c/" }, "/w", "/c"],
    [{ HOME: "/home/u", CODEX_HOME: "../c" }, "/w/x", "/w/c"],
    [{ CODEX_HOME: "/c" }, "/w", "/c"],
  ] as [Record<string, string>, string, string][]
) {
  Deno.test(`codexHomeFolder() of ${JSON.stringify(env)} in ${cwd}`, () => {
    strictEqual(codexHomeFolder(env, () => cwd), expected);
  });
}

Deno.test("serverPaths() stay in ~/.dev-sessions, under 0.4.4's names", () => {
  deepStrictEqual(serverPaths({ HOME: "/home/u" }), {
    state: "/home/u/.dev-sessions",
    metadata: "/home/u/.dev-sessions/codex-appserver.json",
    log: "/home/u/.dev-sessions/codex-appserver.log",
    lock: "/home/u/.dev-sessions/codex-appserver.lock",
  });
});

for (
  const [command, expected] of [
    ["codex app-server --listen ws://127.0.0.1:0", true],
    ["/usr/bin/node /usr/bin/codex app-server --listen ws://127.0.0.1:0", true],
    ["node /lib/@openai/codex/bin/codex.js app-server", true],
    ["codex exec app-server", false],
    ["vim codex app-server.md", false],
    ["mycodex app-server", false],
  ] as const
) {
  Deno.test(`isAppServer() of "${command}"`, () => strictEqual(isAppServer(command.split(" ")), expected));
}

Deno.test("listenerOf() finds who listens at a loopback port", () => {
  const table =
    `  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1194 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 111 1 0 100 0 0 10 0
   1: 0100007F:1195 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 112 1 0 100 0 0 10 0
   2: 00000000:1196 00000000:0000 0A 00000000:00000000 00:00000000 00000000     0        0 113 1 0 100 0 0 10 0
`;
  strictEqual(listenerOf(table, 0x1194), 1000);
  strictEqual(listenerOf(table, 0x1195), null, "a connection, not a listener");
  strictEqual(listenerOf(table, 0x1196), null, "another address");
  strictEqual(listenerOf("", 1), null);
});
