/** Sessions of the real Claude Code in containers of a real engine: all verbs, and nothing left by any way out. */

import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSession, type LiveSession, openSession, step } from "../support/live_session.ts";
import { signal } from "../support/processes.ts";
import { engineTest } from "./docker_engine.ts";
import { createDockerSandbox, type DockerSandbox } from "./docker_sandbox.ts";

const DOCKER = ["--mode", "docker"];

interface Contained {
  readonly configFolder: string;
  readonly container: { readonly id: string; readonly name: string; readonly agentPid: number };
}
async function contained(session: LiveSession): Promise<Contained> {
  return JSON.parse(await session.expect(0, "inspect")).handle;
}

/** Neither row nor container, nor a process of the sandbox. */
async function assertNothing({ sandbox, engine }: DockerSandbox): Promise<void> {
  strictEqual((await sandbox.run(["list"])).stdout, "No active sessions\n");
  deepStrictEqual(await engine.containers(), []);
  await sandbox.eventually(
    async () => (await sandbox.processesOf()).every(({ command }) => !command.includes("docker start")),
    {
      what: "no terminal of a container is left",
    },
  );
}

engineTest("Claude in a container of ours", async (t) => {
  await using world = await createDockerSandbox();
  const { sandbox, engine, model } = world;

  await step(t, "works as any other session, with its workspace at /workspace", async () => {
    const session = await createSession(sandbox, DOCKER);
    strictEqual((await engine.containers()).length, 1);
    strictEqual(
      await session.turn("SCRIPT:plain hello from outside"),
      "REPLY: hello from outside [length 31]",
    );
    await session.turn(
      "SCRIPT:bash (pwd; id -u; env | grep -E '^(HOST_PATH|DEV_SESSIONS_SANDBOX)=' | sort) > where",
    );
    strictEqual(
      await Deno.readTextFile(join(sandbox.workspace, "where")),
      `/workspace\n0\nDEV_SESSIONS_SANDBOX=1\nHOST_PATH=${sandbox.workspace}\n`,
    );
    strictEqual(await session.expect(0, "status"), "idle");
    match(await session.expect(0, "status", ["--explain"]), /live registry: idle/);
    match(await session.expect(0, "logs"), /hello from outside/);
    ok(JSON.parse(await session.expect(0, "usage", ["--json"])).length > 0);
    match(await session.expect(0, "events"), /"hello from outside|message|turn/);
    await session.expect(0, "kill");
    await assertNothing(world);
    strictEqual(await session.expect(0, "status"), "gone");
    match(await session.expect(0, "last-message"), /DONE after tool/);
  });

  await step(t, "secrets are no arguments of a process, and only what is named goes in", async () => {
    const session = await createSession(sandbox, DOCKER, { env: { OTHER_SECRET: "not-for-the-agent" } });
    const { container } = await contained(session);
    const inside = await engine.docker("exec", container.id, "env");
    match(inside, /^ANTHROPIC_AUTH_TOKEN=scripted$/m);
    doesNotMatch(inside, /not-for-the-agent/);
    for (const { command } of await sandbox.processesOf()) doesNotMatch(command, /scripted/);
    for (const { name } of Deno.readDirSync(join(sandbox.home, ".dev-sessions", "sessions"))) {
      const files = [...Deno.readDirSync(join(sandbox.home, ".dev-sessions", "sessions", name))];
      ok(!files.some((file) => file.name === "launch.sh"));
    }
    await session.expect(0, "kill");
  });

  await step(t, "answers a question; the answer is only readable in there", async () => {
    const session = await createSession(sandbox, DOCKER);
    await session.send("SCRIPT:ask");
    await session.over(session.wait(), 5);
    const { container } = await contained(session);
    await rejects(engine.docker("exec", container.id, "touch", "/run/dev-sessions/answers/x"), /Read-only/);
    await rejects(
      engine.docker("exec", container.id, "touch", "/run/dev-sessions/agent/hook.sh"),
      /Read-only/,
    );
    await session.expect(0, "respond", ["--option", "Blue"]);
    await session.completed();
    match(await session.lastMessage(), /Blue/);
    await session.expect(0, "kill");
  });

  await step(t, "interrupts a turn", async () => {
    const session = await createSession(sandbox, DOCKER);
    await session.send("SCRIPT:gate stop");
    await model.reached("stop");
    await session.expect(0, "interrupt");
    strictEqual(await session.expect(0, "status"), "idle");
    strictEqual(await session.turn("SCRIPT:plain after it"), "REPLY: after it [length 21]");
    await session.expect(0, "kill");
    model.open("stop");
  });

  await step(t, "resumes with its conversation, in another container", async () => {
    const session = await createSession(sandbox, DOCKER);
    await session.turn("SCRIPT:plain before");
    const before = await contained(session);
    await engine.docker("rm", "--force", before.container.id);
    await sandbox.eventually(async () => await session.expect(0, "status") === "gone", {
      what: "its end is seen",
    });
    strictEqual((await session.run("send", ["too late"])).code, 7);
    await session.expect(0, "resume");
    const after = await openSession(sandbox, session.id);
    ok((await contained(after)).container.id !== before.container.id);
    strictEqual(await after.turn("SCRIPT:plain again"), "REPLY: again [length 18]");
    match(await after.expect(0, "logs"), /before[\s\S]*again/);
    await after.expect(0, "kill");
    await assertNothing(world);
  });

  await step(t, "two sessions of one workspace don't take each other for themselves", async () => {
    const [first, second] = [await createSession(sandbox, DOCKER), await createSession(sandbox, DOCKER)];
    const handles = [await contained(first), await contained(second)];
    strictEqual(handles[0]!.configFolder, handles[1]!.configFolder);
    await first.send("SCRIPT:gate one");
    await model.reached("one");
    strictEqual(await first.expect(0, "status"), "working");
    strictEqual(await second.expect(0, "status"), "idle");
    strictEqual(await second.turn("SCRIPT:plain two"), "REPLY: two [length 16]");
    model.open("one");
    await first.completed();
    await sandbox.run(["kill", "--all"]);
    await assertNothing(world);
  });

  await step(t, "lives on when its terminal is killed, says so, and is ended by kill", async () => {
    const session = await createSession(sandbox, DOCKER);
    signal(session.pid, "SIGKILL");
    await sandbox.eventually(async () => await sandbox.paneEnd(session.pane) !== null, {
      what: "the pane is dead",
    });
    strictEqual(await session.expect(0, "status"), "idle");
    const sent = await session.run("send", ["into the void"]);
    strictEqual(sent.code, 4);
    match(sent.stderr, /its container's terminal is gone/);
    strictEqual((await session.run("resume")).code, 1);
    await session.expect(0, "kill");
    await assertNothing(world);
    await session.expect(0, "resume");
    await session.expect(0, "kill");
    await assertNothing(world);
  });
});

async function rejects(promise: Promise<unknown>, text: RegExp): Promise<void> {
  const error = await promise.then(() => null, (error: Error) => error);
  ok(error !== null, "it did not fail");
  match(error.message, text);
}
