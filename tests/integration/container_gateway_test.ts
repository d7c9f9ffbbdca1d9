/** Commands of a container against the real gateway: both addresses, a scope, and a gateway that dies under a wait. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { startGateway, type TestGateway } from "../support/gateway.ts";
import { createSandbox, type RunSettings, type Sandbox } from "../support/harness.ts";
import { signal } from "../support/processes.ts";
import { withSession, withSessions } from "../support/stub_session.ts";

const SOON_MS = 25_000;

/** As in a container whose workspace is the sandbox's. */
function inContainer(sandbox: Sandbox, url: string, token: string): RunSettings {
  return {
    env: {
      HOME: join(sandbox.root, "container"),
      TMUX_TMPDIR: join(sandbox.root, "container"),
      IS_SANDBOX: "1",
      DEV_SESSIONS_GATEWAY_URL: url,
      DEV_SESSIONS_GATEWAY_TOKEN: token,
      HOST_PATH: sandbox.workspace,
    },
  };
}

function follow(sandbox: Sandbox, gateway: TestGateway) {
  const settings = inContainer(sandbox, gateway.url, gateway.master);
  return (...args: string[]) => sandbox.start(args, settings);
}

Deno.test("a session's whole life over tcp and over the unix socket", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  for (const url of [gateway.url, `unix://${gateway.socket}`]) {
    await t.step(url.split(":")[0]!, async () => {
      const settings = inContainer(sandbox, url, gateway.master);
      const said = async (...args: string[]) => {
        const { code, stdout, stderr } = await sandbox.run(args, settings);
        deepStrictEqual([code, stderr], [0, ""], args.join(" "));
        return stdout;
      };
      const id = (await said("create", "-q")).trim();
      strictEqual(JSON.parse(await said("inspect", id)).path, "/workspace");
      strictEqual(await said("send", id, "grüß dich"), `Sent message to ${id}\n`);
      strictEqual(await said("wait", id), "completed\n");
      strictEqual(await said("last-message", id), "REPLY: grüß dich [length 9]\n");
      strictEqual(await said("kill", id), `Killed session ${id}\n`);
      strictEqual(await said("list"), "No active sessions\n");
    });
  }
});

Deno.test("a gateway that listens on an IPv6 address is reached by it", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox, ["--bind", "::1"]);
  const settings = inContainer(sandbox, `http://[::1]:${gateway.port}`, gateway.master);
  const { code, stdout, stderr } = await sandbox.run(["list"], settings);
  deepStrictEqual([code, stdout, stderr], [0, "No active sessions\n", ""]);
});

Deno.test("a scoped token: what is out of scope is refused with its reason, and others' sessions are not there", () =>
  withSession({}, async (session, sandbox) => {
    await using gateway = await startGateway(sandbox);
    const root = await sandbox.folder("ws/project");
    const { token } = await gateway.token("--root", root, "--mode", "yolo");
    const settings = inContainer(sandbox, `unix://${gateway.socket}`, token);
    const refused = await sandbox.run(["create", "-p", "/etc"], settings);
    deepStrictEqual([refused.code, refused.stdout], [8, ""], refused.stderr);
    match(refused.stderr, /\/etc/);
    const made = await sandbox.run(["create", "-q", "-p", "/workspace/project"], settings);
    strictEqual(made.code, 0, made.stderr);
    strictEqual((await sandbox.run(["inspect", session.id], settings)).code, 3);
    const { stdout } = await sandbox.run(["list", "--json"], settings);
    deepStrictEqual(JSON.parse(stdout).map((one: { id: string; path: string }) => [one.id, one.path]), [
      [made.stdout.trim(), "/workspace/project"],
    ]);
  }));

const LOST_AND_BACK =
  /^\[dev-sessions\] lost the connection to the gateway \S+ \([^)]+\); trying to get it back\n\[dev-sessions\] the gateway \S+ can be reached again\n$/;

Deno.test("a gateway that is killed or stopped under a wait and starts again: the wait ends with the turn", async (t) => {
  for (const how of ["SIGKILL", "SIGTERM"] as const) {
    await t.step(how, () =>
      withSessions(2, async ([session, other], sandbox) => {
        if (session === undefined || other === undefined) throw new Error("two sessions");
        const gate = session.gate();
        await session.sent(`SCRIPT:gate ${gate.path}`);
        const first = await startGateway(sandbox);
        const start = follow(sandbox, first);
        const waiting = start("wait", session.id, other.id, "--timeout", "60");
        const events = start("events", session.id, "--follow");
        await sandbox.eventually(
          () => events.stdout.includes("turn_started") && waiting.stdout === `${other.id}\tidle\n`,
          { what: "both have begun" },
        );
        strictEqual((await session.run("status")).stdout, "working\n");
        signal(first.process.pid, how);
        await first.process.doneWithin(SOON_MS, "the gateway's end");
        await first[Symbol.asyncDispose]();
        await gate.open();
        strictEqual((await session.run("wait")).stdout, "completed\n");

        await using _second = await startGateway(sandbox, ["--port", String(first.port)]);
        const waited = await waiting.doneWithin(SOON_MS, "wait");
        deepStrictEqual([waited.code, waited.stdout], [0, `${other.id}\tidle\n${session.id}\tcompleted\n`]);
        match(waited.stderr, LOST_AND_BACK);
        await sandbox.eventually(() => events.stdout.includes("turn_completed"), {
          what: "events have gone on",
        });
        strictEqual((await session.run("kill")).code, 0);
        const { code, stdout, stderr } = await events.doneWithin(SOON_MS, "events");
        strictEqual(code, 0);
        match(stderr, LOST_AND_BACK);
        deepStrictEqual(stdout.trim().split("\n").map((line) => JSON.parse(line).type), [
          "session_created",
          "turn_started",
          "message",
          "turn_completed",
          "session_ended",
        ]);
      }));
  }
});

Deno.test("Ctrl-C on a send that waits for its receipt: the answer still tells what became of it", () =>
  withSession({ stub: ["lose-enter"] }, async (session, sandbox) => {
    await using gateway = await startGateway(sandbox);
    const sending = follow(sandbox, gateway)("send", session.id, "into the box");
    await session.shows("into the box");
    sending.kill("SIGINT");
    const { code, stdout, stderr } = await sending.doneWithin(SOON_MS, "send");
    deepStrictEqual([code, stdout], [9, ""], stderr);
    match(stderr, /Look before you send again/);
  }));

Deno.test("a wait ends in time with a gateway that does not answer any more", () =>
  withSessions(2, async ([session, other], sandbox) => {
    if (session === undefined || other === undefined) throw new Error("two sessions");
    const gate = session.gate();
    await session.sent(`SCRIPT:gate ${gate.path}`);
    await using gateway = await startGateway(sandbox);
    const waiting = follow(sandbox, gateway)("wait", session.id, other.id, "--timeout", "5");
    await sandbox.eventually(() => waiting.stdout === `${other.id}\tidle\n`, { what: "it has begun" });
    signal(gateway.process.pid, "SIGSTOP");
    try {
      const { code, stderr } = await waiting.doneWithin(SOON_MS, "wait");
      strictEqual(code, 255, stderr);
      match(
        stderr,
        new RegExp(
          `^Cannot go on waiting: .* does not answer\\. Wait again\n  No outcome is known of ${session.id}\n$`,
        ),
      );
    } finally {
      signal(gateway.process.pid, "SIGCONT");
    }
  }));

Deno.test("a container's commands never look into a registry of its own by mistake", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  const { env = {} } = inContainer(sandbox, gateway.url, gateway.master);
  for (const verb of ["list", "create", "doctor", "gateway status"]) {
    const { code, stdout, stderr } = await sandbox.run(verb.split(" "), {
      env: { ...env, DEV_SESSIONS_SANDBOX: "true" },
    });
    deepStrictEqual([code, stdout], [2, ""], verb);
    match(stderr, /^Cannot use DEV_SESSIONS_SANDBOX="true": it must be 1 or 0\n/);
  }
  const tokens = await sandbox.run(["gateway", "token", "list"], { env });
  deepStrictEqual([tokens.code, tokens.stdout], [1, ""]);
  match(tokens.stderr, /On the host, run: dev-sessions gateway token list\n$/);
  deepStrictEqual(await Array.fromAsync(Deno.readDir(join(sandbox.root, "container"))).catch(() => []), []);
});
