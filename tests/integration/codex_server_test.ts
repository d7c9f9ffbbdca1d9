/** One server per CODEX_HOME, with a stub in Codex's place: found, started once, never two, stopped only when ours. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { LOG_LIMIT_BYTES, logTail } from "../../backends/codex/server_log.ts";
import { findServer } from "../../backends/codex/find_server.ts";
import { connectServer } from "../../backends/codex/server.ts";
import { stopIfOurs } from "../../backends/codex/stop_server.ts";
import { AppError } from "../../lib/errors.ts";
import { controlSocket } from "../../lib/paths.ts";
import { assertOneServer, type CodexSandbox, createStubCodexSandbox } from "../support/codex_sandbox.ts";
import { eventually } from "../support/harness.ts";
import { isRunning } from "../support/processes.ts";

const signal = new AbortController().signal;
const NOBODY = new Set<string>();

const metadataOf = async (codex: CodexSandbox) =>
  JSON.parse(await Deno.readTextFile(join(codex.state, "codex-appserver.json")));
const ended = (pid: number) =>
  eventually(async () => !await isRunning(pid), { what: `the end of process ${pid}` });
async function isLocked(path: string): Promise<boolean> {
  using file = await Deno.open(path, { write: true });
  return !file.tryLockSync(true);
}
/** What a command is told; it must not have connected. */
async function refusal(promise: Promise<unknown>): Promise<AppError> {
  try {
    await promise;
  } catch (error) {
    ok(error instanceof AppError, String(error));
    return error;
  }
  throw new Error("it connected");
}

Deno.test("connectServer() starts a server when none runs, and finds it from then on", async () => {
  await using codex = await createStubCodexSandbox();
  strictEqual(await findServer({ deps: codex.deps(), signal }), null);
  deepStrictEqual(await codex.servers(), [], "looking starts nothing");
  const started = await codex.connected({
    env: { CLAUDECODE: "1", DEV_SESSIONS_ID: "fizz-top", MINE: "kept" },
  });
  strictEqual(started.origin, "started");
  deepStrictEqual(await codex.servers(), [started.pid]);

  const [record, ...others] = (await metadataOf(codex)).servers;
  deepStrictEqual(others, []);
  deepStrictEqual([record.process.pid, record.codexHome, record.socket, record.version], [
    started.pid,
    codex.codexHome,
    controlSocket(codex.codexHome),
    "0.169.0",
  ]);
  for (const name of ["json", "log", "lock"]) {
    strictEqual((await Deno.stat(join(codex.state, `codex-appserver.${name}`))).mode! & 0o777, 0o600, name);
  }
  strictEqual((await Deno.stat(codex.state)).mode! & 0o777, 0o700);

  const environment = (await Deno.readTextFile(`/proc/${started.pid}/environ`)).split("\0");
  ok(environment.includes("MINE=kept"));
  ok(environment.includes(`CODEX_HOME=${codex.codexHome}`));
  deepStrictEqual(environment.filter((entry) => /^(CLAUDE|DEV_SESSIONS_)/.test(entry)), []);
  strictEqual(await Deno.readLink(`/proc/${started.pid}/cwd`), "/");

  const found = await codex.connected();
  deepStrictEqual([found.origin, found.pid], ["found", started.pid]);
  const server = await findServer({ deps: codex.deps(), signal });
  strictEqual(server?.origin, "found");
  await server?.connection.close();
});

Deno.test("eight commands at the same time start one server, also where a killed one has left its socket", async () => {
  await using codex = await createStubCodexSandbox("late=100");
  await assertOneServer(codex);
});

Deno.test("a server that somebody else has started is found, and never stopped", async () => {
  await using codex = await createStubCodexSandbox();
  await codex.serve();
  const [pid] = await codex.servers();
  const found = await codex.connected();
  deepStrictEqual([found.origin, found.pid], ["found", pid]);
  deepStrictEqual(await stopIfOurs({ deps: codex.deps(), signal }, NOBODY), { kind: "not_ours" });
  deepStrictEqual(await codex.servers(), [pid]);
});

Deno.test("a killed server, or the socket that it left, is replaced", async () => {
  await using codex = await createStubCodexSandbox();
  const first = await codex.connected();
  Deno.kill(first.pid, "SIGKILL");
  await ended(first.pid);
  ok((await Deno.lstat(controlSocket(codex.codexHome))).isSymlink, "its socket is left");
  strictEqual(await findServer({ deps: codex.deps(), signal }), null);
  const second = await codex.connected();
  strictEqual(second.origin, "started");
  deepStrictEqual(await codex.servers(), [second.pid]);
  Deno.kill(second.pid, "SIGKILL");
  await ended(second.pid);
  await Deno.remove(join(codex.codexHome, "stub", "s"));
  strictEqual((await codex.connected()).origin, "started", "a link that leads nowhere");
});

Deno.test("each CODEX_HOME has a server of its own", async () => {
  await using codex = await createStubCodexSandbox();
  const other = await codex.sandbox.folder("other");
  const [one, two] = await Promise.all([codex.connected(), codex.connected({ env: { CODEX_HOME: other } })]);
  strictEqual(two.codexHome, other);
  ok(one.pid !== two.pid);
  strictEqual((await metadataOf(codex)).servers.length, 2);
  const options = { deps: codex.deps(), signal, codexHome: other };
  deepStrictEqual(await stopIfOurs(options, NOBODY), { kind: "stopped" });
  deepStrictEqual(await codex.servers(), [one.pid]);
  strictEqual((await codex.connected()).pid, one.pid);
});

Deno.test("a frozen server is told as such: no second one, and it lives on", async () => {
  await using codex = await createStubCodexSandbox();
  const { pid } = await codex.connected();
  const options = { deps: codex.deps(), signal, connectTimeoutMs: 200 };
  Deno.kill(pid, "SIGSTOP");
  try {
    const error = await refusal(connectServer(options));
    strictEqual(error.code, "transport");
    match(error.message, /^Cannot reach the Codex server at unix:.*no answer within 200 ms.*stopped/);
    const stopped = await stopIfOurs(options, NOBODY);
    strictEqual(stopped.kind, "unknown");
    deepStrictEqual(await codex.servers(), [pid]);
  } finally {
    Deno.kill(pid, "SIGCONT");
  }
  strictEqual((await codex.connected()).pid, pid);
});

Deno.test("a server of ours that has lost its socket is not doubled", async () => {
  await using codex = await createStubCodexSandbox();
  const { pid } = await codex.connected();
  await Deno.remove(controlSocket(codex.codexHome));
  const waiting = connectServer({ deps: codex.deps(), signal });
  const second = codex.connected();
  await eventually(() => isLocked(join(codex.state, "codex-appserver.lock")), {
    what: "a command that waits",
  });
  await Deno.symlink(join(codex.codexHome, "stub", "s"), controlSocket(codex.codexHome));
  const server = await waiting;
  deepStrictEqual([server.origin, (await second).pid], ["found", pid]);
  await server.connection.close();
  deepStrictEqual(await codex.servers(), [pid]);
});

Deno.test("a server that never listens is told as such, and not doubled", async () => {
  await using codex = await createStubCodexSandbox("nosocket");
  const options = { deps: codex.deps(), signal, startTimeoutMs: 300 };
  match(
    (await refusal(connectServer(options))).message,
    /^Cannot start the Codex server: it did not answer within 0\.3 s/,
  );
  const [pid] = await codex.servers();
  const again = await refusal(connectServer(options));
  match(again.message, new RegExp(`its process ${pid} runs but does not listen.*End it with: kill ${pid}$`));
  deepStrictEqual(await codex.servers(), [pid]);
  deepStrictEqual(await stopIfOurs(options, NOBODY), { kind: "unknown", why: "it runs but does not listen" });
  Deno.kill(pid!, "SIGKILL");
  await ended(pid!);
});

Deno.test("what a newer version has written of its servers is not written over, and nothing is started", async () => {
  await using codex = await createStubCodexSandbox();
  const file = join(codex.state, "codex-appserver.json");
  await Deno.mkdir(codex.state, { recursive: true });
  const newer = '{"version":3,"servers":{"somewhere":"else"}}';
  await Deno.writeTextFile(file, newer);
  const said = await codex.refusal();
  strictEqual(said.code, "failure");
  match(
    said.error,
    /^Cannot start the Codex server: ".*codex-appserver\.json" was written by a newer dev-sessions/,
  );
  strictEqual(await Deno.readTextFile(file), newer);
  deepStrictEqual(await codex.servers(), []);
  // One that runs is used all the same.
  await codex.serve();
  strictEqual((await codex.connected()).origin, "found");
  strictEqual(await Deno.readTextFile(file), newer);
});

Deno.test("stopIfOurs() leaves a server to whoever works with it", async () => {
  await using codex = await createStubCodexSandbox();
  const { pid } = await codex.connected();
  const options = { deps: codex.deps(), signal };
  const server = await findServer(options);
  ok(server !== null);
  const start = async () => (await server.connection.call("thread/start", { cwd: "/" })).thread.id;
  const [ours, theirs] = [await start(), await start()];
  deepStrictEqual(await stopIfOurs(options, new Set([ours])), { kind: "in_use", threads: [theirs] });
  deepStrictEqual(await codex.servers(), [pid]);
  deepStrictEqual(await stopIfOurs(options, new Set([ours, theirs])), { kind: "stopped" });
  strictEqual((await server.connection.ended)?.loss, "closed");
  await server.connection.close();
  deepStrictEqual(await codex.servers(), []);
  deepStrictEqual((await metadataOf(codex)).servers, []);
  deepStrictEqual(await stopIfOurs(options, NOBODY), { kind: "not_ours" });
});

Deno.test("stopIfOurs() takes no other process for the one that we started", async () => {
  await using codex = await createStubCodexSandbox();
  const { pid } = await codex.connected();
  const metadata = await metadataOf(codex);
  const options = { deps: codex.deps(), signal };
  const claim = async (changed: Record<string, unknown>) => {
    metadata.servers[0].process = { ...metadata.servers[0].process, ...changed };
    await Deno.writeTextFile(join(codex.state, "codex-appserver.json"), JSON.stringify(metadata));
  };
  const { start } = metadata.servers[0].process;
  await claim({ start: "1" });
  deepStrictEqual(await stopIfOurs(options, NOBODY), { kind: "not_ours" }, "a pid that was used again");
  const here = await codex.deps().identify(Deno.pid);
  await claim({ ...here });
  deepStrictEqual(await stopIfOurs(options, NOBODY), { kind: "not_ours" }, "a process that is no server");
  await claim({ pid, start, machine: "another" });
  strictEqual((await stopIfOurs(options, NOBODY)).kind, "unknown");
  deepStrictEqual(await codex.servers(), [pid]);
});

for (
  const [name, switches, code, message] of [
    [
      "too old",
      "version=0.140.0",
      "failure",
      /is version 0\.140\.0, and 0\.155\.0 or newer is needed.*npm install/,
    ],
    ["of another form", "odd", "failure", /initialize has an unknown form/],
    ["against us", "refuse", "failure", /refuses us: stub refuses/],
    ["of another protocol", "garbled", "transport", /does not speak the app-server protocol/],
  ] as const
) {
  Deno.test(`a server that is ${name} is told clearly, and one of our own making is not left behind`, async () => {
    await using codex = await createStubCodexSandbox(switches);
    const fresh = await codex.refusal();
    strictEqual(fresh.code, code);
    match(fresh.error, message);
    if (code === "failure") {
      await eventually(async () => (await codex.servers()).length === 0, { what: "no server" });
    }
  });
}

Deno.test("a server that ends at once: its words come with the error", async () => {
  await using codex = await createStubCodexSandbox("broken");
  const said = await codex.refusal();
  match(said.error, /^Cannot start the Codex server: it ended at once\. Its log is .*codex-appserver\.log$/);
  strictEqual(said.detail, "Error: stub: cannot app-server --listen unix://");
  deepStrictEqual((await metadataOf(codex)).servers, []);
});

Deno.test("a server that can't be recorded is not left running: nobody would ever end it", async () => {
  await using codex = await createStubCodexSandbox();
  // In the way as a full disk is.
  await Deno.mkdir(join(codex.state, "codex-appserver.json.partial", "in the way"), { recursive: true });
  const said = await codex.refusal();
  strictEqual(said.code, "failure");
  match(said.error, /^Cannot start the Codex server: ".*codex-appserver\.json" can't be written: /);
  await eventually(async () => (await codex.servers()).length === 0, { what: "no server" });
});

for (
  const [name, switches, code, left] of [
    ["refuses to say which one it is", "deny=server/diagnostics", "failure", 0],
    // It may be at work by then: it is recorded, and the next command takes it.
    ["breaks off as it is asked which one it is", "lose=server/diagnostics", "transport", 1],
  ] as const
) {
  Deno.test(`a fresh server that ${name} is told clearly, and its connection is closed`, async () => {
    await using codex = await createStubCodexSandbox(switches);
    const error = await refusal(connectServer({ deps: codex.deps(), signal }));
    strictEqual(error.code, code, error.message);
    match(error.message, /^Cannot reach the Codex server at unix:/);
    await eventually(async () => (await codex.servers()).length === left, { what: `${left} servers` });
    if (left === 0) return;
    const [pid] = await codex.servers();
    deepStrictEqual((await metadataOf(codex)).servers[0].process.pid, pid);
    strictEqual((await codex.connected()).pid, pid);
  });
}

Deno.test("what is missing is told before anything is started", async () => {
  await using codex = await createStubCodexSandbox();
  const missing = join(codex.sandbox.root, "missing");
  const noFolder = await codex.refusal({ env: { CODEX_HOME: missing } });
  strictEqual(
    noFolder.error,
    `Cannot start the Codex server: CODEX_HOME "${missing}" is not a folder. Create it with: mkdir ${missing}`,
  );
  await Deno.remove(join(codex.sandbox.root, "bin", "codex"));
  const noCodex = await codex.refusal({ env: { PATH: join(codex.sandbox.root, "bin") } });
  match(noCodex.error, /"codex" was not found on PATH\. Install it with: npm install -g @openai\/codex$/);
  deepStrictEqual(await codex.servers(), []);
});

Deno.test("a control folder that others can write is not trusted", async () => {
  await using codex = await createStubCodexSandbox();
  const { pid } = await codex.connected();
  await Deno.chmod(join(codex.codexHome, "app-server-control"), 0o777);
  const said = await codex.refusal();
  deepStrictEqual([said.code, /can be written by other users/.test(said.error)], ["refused", true]);
  deepStrictEqual(await codex.servers(), [pid]);
});

Deno.test("the user's own server is used as it is; nothing is started or stopped", async () => {
  await using codex = await createStubCodexSandbox();
  const elsewhere = await codex.sandbox.folder("elsewhere");
  const token = join(codex.sandbox.root, "token");
  await Deno.writeTextFile(token, "s3cret\n", { mode: 0o600 });
  const own = await codex.serve(["--listen", "ws://127.0.0.1:0", "--ws-token-file", token], {
    env: { CODEX_HOME: elsewhere },
  });
  const env = {
    DEV_SESSIONS_CODEX_URL: /ws:\/\/\S+/.exec(own.stdout)![0],
    DEV_SESSIONS_CODEX_TOKEN_FILE: token,
  };
  const found = await codex.connected({ env });
  deepStrictEqual([found.origin, found.codexHome], ["configured", elsewhere]);
  deepStrictEqual(await stopIfOurs({ deps: codex.deps(env), signal }, NOBODY), { kind: "not_ours" });

  await Deno.writeTextFile(token, "other\n");
  const wrong = await codex.refusal({ env });
  strictEqual(wrong.code, "refused");
  match(wrong.error, /refuses the connection.*401.*Check DEV_SESSIONS_CODEX_TOKEN_FILE/);
  await own.end();
  const gone = await codex.refusal({ env });
  strictEqual(gone.code, "transport");
  match(gone.error, /nothing listens there\. Start it, or unset DEV_SESSIONS_CODEX_URL/);
  for (const url of [`unix://${codex.sandbox.root}/none.sock`, "http://127.0.0.1:1"]) {
    await codex.refusal({ env: { DEV_SESSIONS_CODEX_URL: url, DEV_SESSIONS_CODEX_TOKEN_FILE: undefined } });
  }
  deepStrictEqual(await codex.servers(), []);

  await codex.serve();
  const socket = await Deno.realPath(controlSocket(codex.codexHome));
  const unix = await codex.connected({ env: { DEV_SESSIONS_CODEX_URL: `unix://${socket}` } });
  strictEqual(unix.origin, "configured");
});

Deno.test("a start that is killed leaves a server that the next command takes", async () => {
  await using codex = await createStubCodexSandbox("late=700");
  const killed = codex.sandbox.spawn(Deno.execPath(), codex.connectCommand());
  await eventually(
    async () => (await codex.servers()).length === 1 && (await metadataOf(codex)).servers.length === 1,
    {
      what: "a server that is being started",
    },
  );
  const [pid] = await codex.servers();
  killed.kill("SIGKILL");
  await killed.done();
  const next = await codex.connected();
  deepStrictEqual([next.origin, next.pid], ["found", pid]);
  deepStrictEqual(await codex.servers(), [pid]);
});

Deno.test("somebody else's server that comes first is taken, and is not called ours", async () => {
  await using codex = await createStubCodexSandbox("late=1000");
  const connecting = codex.connected();
  await eventually(async () => (await codex.servers()).length === 1, {
    what: "a server that is being started",
  });
  const [late] = await codex.servers();
  await codex.serve(undefined, { env: { STUB_CODEX: "" } });
  const said = await connecting;
  strictEqual(said.origin, "found");
  await ended(late!);
  deepStrictEqual(await codex.servers(), [said.pid]);
  deepStrictEqual((await metadataOf(codex)).servers, []);
});

Deno.test("a wrapper that stays as the server's parent is seen through", async () => {
  await using codex = await createStubCodexSandbox();
  const onPath = join(codex.sandbox.root, "bin", "codex");
  await Deno.rename(onPath, `${onPath}-itself`);
  await Deno.writeTextFile(onPath, `#!/bin/sh\n"${onPath}-itself" "$@"\n`, { mode: 0o700 });
  const started = await codex.connected();
  strictEqual(started.origin, "started");
  strictEqual((await metadataOf(codex)).servers[0].process.pid, started.pid);
  deepStrictEqual(await stopIfOurs({ deps: codex.deps(), signal }, NOBODY), { kind: "stopped" });
  await eventually(async () => (await codex.servers()).length === 0, { what: "no server" });
});

Deno.test("the log starts anew when it is full, and keeps what it held once", async () => {
  await using codex = await createStubCodexSandbox();
  const { pid } = await codex.connected();
  const log = join(codex.state, "codex-appserver.log");
  await Deno.writeTextFile(log, "x".repeat(LOG_LIMIT_BYTES + 1), { append: true });
  const server = await findServer({ deps: codex.deps(), signal });
  await server?.connection.close();
  strictEqual((await Deno.stat(log)).size, 0);
  const kept = await Deno.stat(`${log}.1`);
  deepStrictEqual([kept.size > LOG_LIMIT_BYTES, kept.mode! & 0o777], [true, 0o600]);
  deepStrictEqual(await codex.servers(), [pid]);
});

Deno.test("launchDetached() takes none of our open files along, and logs what the program says", async () => {
  await using codex = await createStubCodexSandbox();
  const log = join(codex.sandbox.root, "log");
  await Deno.writeTextFile(log, "before\n");
  // A shell opens the files, since those that Deno opens are closed for children anyway.
  const program = join(codex.sandbox.root, "program.ts");
  const module = new URL("../../backends/codex/launch.ts", import.meta.url).href;
  await Deno.writeTextFile(
    program,
    `import { launchDetached } from "${module}";
     const { pid, ended } = await launchDetached("/bin/sh", ["-c", "ls -l /proc/$$/fd; echo said >&2"], {
       env: { PATH: "/usr/bin:/bin", BASH_ENV: "/nonexistent" }, log: "${log}" });
     await ended;
     console.log(pid);`,
  );
  const command = `exec "$0" run -A --quiet "$1" 7>"$2/seven" 63>"$2/sixtythree" 251>"$2/last"`;
  const args = ["-c", command, Deno.execPath(), program, codex.sandbox.root];
  const { code, stderr } = await codex.sandbox.spawn("bash", args).doneWithin(30_000, "launch");
  strictEqual(code, 0, stderr);
  const said = await logTail(log, "before\n".length);
  match(said, /said$/);
  for (const name of ["seven", "sixtythree", "last"]) ok(!said.includes(`/${name}`), said);
  match(said, /0 -> \/dev\/null/);
});

Deno.test("a server that we start has no terminal, and a session and process group of its own", async () => {
  await using codex = await createStubCodexSandbox();
  const { pid } = await codex.connected();
  const stat = await Deno.readTextFile(`/proc/${pid}/stat`);
  const [, , group, session, terminal] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  deepStrictEqual([group, session, terminal].map(Number), [pid, pid, 0]);
});
