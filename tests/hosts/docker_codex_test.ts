/** Sessions of the real Codex in containers of a real engine: its own server in there, and nothing left by any way out. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { ensureCodex } from "../support/agent_install.ts";
import { startCodexModel } from "../support/codex_model.ts";
import { startGateway } from "../support/gateway.ts";
import { step, writeCommand } from "../support/live_session.ts";
import { engineTest, HOST_PROGRAMS } from "./docker_engine.ts";
import { passModelOffer } from "../support/codex_terminal.ts";
import { createDockerSandbox } from "./docker_sandbox.ts";

const CODEX_INSIDE = "/opt/agents/codex";
const DOCKER = ["--mode", "docker", "--cli", "codex"];

engineTest("Codex in a container of ours", async (t) => {
  await using world = await createDockerSandbox();
  const { sandbox, engine, configure } = world;
  await using model = await startCodexModel({ hostname: engine.gateway });
  const settings = join(sandbox.root, "codex.toml");
  await Deno.writeTextFile(
    settings,
    `model = "gpt-5.5"
model_provider = "scripted"
[model_providers.scripted]
name = "scripted"
base_url = "${model.url}"
wire_api = "responses"
requires_openai_auth = false
`,
  );
  const usual = {
    args: [
      ...HOST_PROGRAMS,
      "--volume",
      `${await ensureCodex()}:${CODEX_INSIDE}:ro`,
      "--volume",
      `${settings}:/run/dev-sessions/codex/config.toml:ro`,
    ],
    env: ["SCRIPTED_KEY"],
    codex: CODEX_INSIDE,
  };
  await configure(usual);
  const run = (...args: string[]) => sandbox.run(args);
  const expect = async (code: number, ...args: string[]) => {
    const { code: got, stdout, stderr } = await run(...args);
    strictEqual(got, code, `${args.join(" ")}: ${stdout}${stderr}`);
    return stdout.trimEnd();
  };
  const nothing = async () => {
    deepStrictEqual(await engine.containers(), []);
    strictEqual(await expect(0, "list"), "No active sessions");
  };

  await step(t, "without credentials, nothing is made", async () => {
    const { code, stderr } = await run("create", ...DOCKER);
    strictEqual(code, 1);
    match(stderr, /Codex has no credentials for the container/);
    await nothing();
    sandbox.env["SCRIPTED_KEY"] = "scripted";
    const confined = await run("create", ...DOCKER, "--sandbox", "workspace");
    strictEqual(confined.code, 2);
    match(confined.stderr, /Codex can't confine its commands within a container/);
    await nothing();
  });

  await step(t, "a sign-in that is a key alone can't be replaced from within, another one can", async () => {
    const auth = join(sandbox.home, ".codex", "auth.json");
    await Deno.mkdir(join(sandbox.home, ".codex"), { recursive: true });
    for (
      const [text, isKept] of [
        ['{"OPENAI_API_KEY":"sk-mine"}', true],
        ['{"OPENAI_API_KEY":null,"tokens":{"access_token":"mine"}}', false],
      ] as const
    ) {
      await Deno.writeTextFile(auth, text, { mode: 0o600 });
      const id = await expect(0, "create", "-q", ...DOCKER);
      const [container] = await engine.containers();
      const inside = "/run/dev-sessions/codex/auth.json";
      const write = `(printf other > ${inside}) 2>/dev/null; mv -f /etc/passwd ${inside} 2>/dev/null; true`;
      await engine.docker("exec", container!, "sh", "-c", write);
      strictEqual(await Deno.readTextFile(auth) === text, isKept, text);
      await expect(0, "kill", id);
      await nothing();
    }
    await Deno.remove(auth);
  });

  await step(t, "works as any other session, with its workspace at /workspace", async () => {
    const id = await expect(0, "create", "-q", ...DOCKER);
    await expect(0, "send", id, "SCRIPT:plain hello from outside");
    strictEqual(await expect(0, "wait", id, "-t", "30"), "completed");
    match(await expect(0, "last-message", id), /hello from outside/);
    await expect(
      0,
      "send",
      id,
      "SCRIPT:shell pwd > where; id -u >> where; echo $DEV_SESSIONS_SANDBOX >> where",
    );
    strictEqual(await expect(0, "wait", id, "-t", "30"), "completed");
    strictEqual(await Deno.readTextFile(join(sandbox.workspace, "where")), "/workspace\n0\n1\n");
    strictEqual(await expect(0, "status", id), "idle");
    match(await expect(0, "logs", id), /hello from outside/);
    ok(JSON.parse(await expect(0, "usage", id, "--json"))[0].usage !== null);
    strictEqual((await engine.containers()).length, 1);
    await expect(0, "kill", id);
    await nothing();
    // Read by a server that runs for this alone.
    match(await expect(0, "logs", id), /hello from outside/);
    await nothing();
    await expect(0, "resume", id);
    await expect(0, "send", id, "SCRIPT:plain again");
    strictEqual(await expect(0, "wait", id, "-t", "30"), "completed");
    match(await expect(0, "logs", id), /hello from outside[\s\S]*again/);
    await expect(0, "kill", id);
    await nothing();
  });

  await step(t, "a person joins it with Codex's own terminal program", async () => {
    await writeCommand(sandbox);
    const id = await expect(0, "create", "-q", ...DOCKER);
    await expect(0, "send", id, "SCRIPT:plain said before");
    strictEqual(await expect(0, "wait", id, "-t", "30"), "completed");
    const attached = await sandbox.tmux(
      "new-session",
      "-d",
      "-s",
      "person",
      "-x",
      "150",
      "-y",
      "40",
      `dev-sessions attach ${id}`,
    );
    strictEqual(attached.code, 0, attached.stderr);
    await passModelOffer(sandbox, "person", "said before");
    // Else Docker keeps Ctrl-P to itself, as the first half of Ctrl-P Ctrl-Q.
    const joined = (await sandbox.processesOf()).map(({ command }) => command)
      .filter((command) => /docker exec/.test(command));
    match(joined.join("\n"), /--detach-keys=ctrl-@,ctrl-@,ctrl-@/);
    await expect(0, "send", id, "SCRIPT:plain said meanwhile");
    await sandbox.eventually(async () => (await sandbox.screen("person")).includes("said meanwhile"), {
      what: "what is said meanwhile, too",
    });
    await sandbox.tmux("kill-session", "-t", "person");
    strictEqual(await expect(0, "status", id), "idle");
    await expect(0, "kill", id);
    await nothing();
  });

  await step(t, "interrupts a turn; a container that is gone is an end", async () => {
    const id = await expect(0, "create", "-q", ...DOCKER);
    await expect(0, "send", id, "SCRIPT:gate stop");
    await model.reached("stop");
    await expect(0, "interrupt", id);
    strictEqual(await expect(0, "status", id), "idle");
    model.open("stop");
    const [container] = await engine.containers();
    await engine.docker("rm", "--force", container!);
    strictEqual(await expect(0, "status", id), "gone");
    await expect(7, "send", id, "too late");
    await nothing();
  });

  await step(t, "who reads an ended session and who resumes it leave each other alone", async () => {
    const id = await expect(0, "create", "-q", ...DOCKER);
    await expect(0, "ask", id, "SCRIPT:plain said before its end");
    await expect(0, "kill", id);
    await using gateway = await startGateway(sandbox);
    // Its container stays as long as the gateway is at work.
    const read = () => gateway.ask("lastMessages", { id, count: 1, receipt: null });
    match((await read()).text, /said before its end/);
    const [reader] = await engine.containers();
    // Another reader: its own comes and goes.
    match(await expect(0, "logs", id), /said before its end/);
    deepStrictEqual(await engine.containers(), [reader]);

    await expect(0, "resume", id);
    strictEqual((await engine.containers()).length, 2);
    match((await read()).text, /said before its end/);
    await expect(0, "send", id, "SCRIPT:gate resumed");
    await model.reached("resumed");
    gateway.process.kill("SIGTERM");
    await gateway.process.done();
    strictEqual((await engine.containers()).length, 1);
    strictEqual((await engine.containers()).includes(reader!), false);
    strictEqual(await expect(0, "status", id), "working");
    model.open("resumed");
    strictEqual(await expect(0, "wait", id, "-t", "30"), "completed");
    await expect(0, "kill", id);
    await nothing();

    const logs = sandbox.start(["logs", id]);
    await sandbox.eventually(async () => (await engine.containers()).length > 0, { what: "a reader" });
    await expect(0, "resume", id);
    const { code, stdout, stderr } = await logs.done();
    strictEqual(code, 0, stderr);
    match(stdout, /said before its end/);
    strictEqual(await expect(0, "status", id), "idle");
    strictEqual((await engine.containers()).length, 1);
    await expect(0, "kill", id);
    await nothing();
  });

  await step(t, "what a killed reader leaves, the next one removes", async () => {
    const id = await expect(0, "create", "-q", ...DOCKER);
    await expect(0, "ask", id, "SCRIPT:plain kept");
    await expect(0, "kill", id);
    for (const signal of ["SIGINT", "SIGKILL"] as const) {
      const logs = sandbox.start(["logs", id]);
      await sandbox.eventually(async () => (await engine.containers()).length > 0, { what: "a reader" });
      logs.kill(signal);
      await logs.done();
      match(await expect(0, "logs", id), /kept/);
      await nothing();
    }
    const { container } = JSON.parse(await expect(0, "inspect", id)).handle;
    const readers = join(container.codexHome, "..", "readers");
    deepStrictEqual([...Deno.readDirSync(readers)].map(({ name }) => name), []);
  });

  await step(t, "a link in its socket's place leads nowhere", async () => {
    const id = await expect(0, "create", "-q", ...DOCKER);
    const { container } = JSON.parse(await expect(0, "inspect", id)).handle;
    const [running] = await engine.containers();
    // As if it led to a server of this machine's user.
    const own = join(sandbox.root, "own.sock");
    let asked = 0;
    using listener = Deno.listen({ transport: "unix", path: own });
    void (async () => {
      for await (const connection of listener) {
        asked++;
        connection.close();
      }
    })().catch(() => {});
    const inside = (script: string) =>
      engine.docker("exec", running!, "sh", "-c", `cd /tmp/codex-daemon-0; ${script}`);
    await inside(`mkdir .kept; for f in *; do mv $f .kept; ln -s ${own} $f; done`);
    for (const { name } of Deno.readDirSync(container.socketFolder)) {
      ok(!Deno.lstatSync(join(container.socketFolder, name)).isSocket, name);
    }
    strictEqual(await expect(0, "status", id), "unknown");
    strictEqual((await run("send", id, "for the container alone")).code !== 0, true);
    strictEqual(asked, 0);
    await inside(`rm *; mv .kept/* .`);
    strictEqual(await expect(0, "status", id), "idle");
    await expect(0, "kill", id);
    await nothing();
  });

  await step(t, "a create that is killed, or fails, leaves nothing", async () => {
    const create = sandbox.start(["create", ...DOCKER]);
    await sandbox.eventually(async () => (await engine.containers()).length > 0, { what: "a container" });
    create.kill("SIGKILL");
    await create.done();
    await sandbox.eventually(async () => {
      await run("list", "--all");
      return (await engine.containers()).length === 0;
    }, { what: "no container" });
    await configure({ ...usual, codex: "no-such-codex" });
    const failed = await run("create", ...DOCKER);
    strictEqual(failed.code, 1);
    match(failed.stderr, /no-such-codex/);
    await nothing();
  });
});
