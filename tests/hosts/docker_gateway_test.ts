/** An agent in a container of ours starts further agents in containers: with its own token, which ends with it. */

import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { startGateway } from "../support/gateway.ts";
import { createSession, openSession, step } from "../support/live_session.ts";
import { sql } from "../support/sandbox_state.ts";
import { PROGRAM_FOLDER, programFolder } from "./client_container.ts";
import { engineTest, HOST_PROGRAMS } from "./docker_engine.ts";
import { CLAUDE_INSIDE, createDockerSandbox } from "./docker_sandbox.ts";
import { ensureClaude } from "../support/agent_install.ts";

const DOCKER = ["--mode", "docker"];

engineTest("an agent in a container and the gateway of its host", async (t) => {
  await using world = await createDockerSandbox();
  const { sandbox, engine, configure } = world;
  const program = await programFolder(join(sandbox.root, "p"));
  const usual = {
    args: [
      ...HOST_PROGRAMS,
      "--volume",
      `${await ensureClaude()}:${CLAUDE_INSIDE}:ro`,
      "--volume",
      `${program}:${PROGRAM_FOLDER}:ro`,
      "--env",
      `PATH=${PROGRAM_FOLDER}:/usr/local/bin:/usr/bin:/bin`,
    ],
  };
  await configure(usual);
  const stranger = await createSession(sandbox, ["--group", "team"]);
  const session = await createSession(sandbox, DOCKER);
  /** What a command of its agent printed, and its exit code. */
  const says = async (command: string, from = session) => {
    await from.turn(`SCRIPT:bash (${command}) > said 2>&1; echo $? >> said`);
    return await Deno.readTextFile(join(sandbox.workspace, "said"));
  };

  await step(t, "without a gateway it is told how one is started", async () => {
    match(await says("dev-sessions list"), /gateway\.sock.*dev-sessions gateway[\s\S]*\n255\n$/);
  });
  await using gateway = await startGateway(sandbox);
  await step(t, "one that starts later is reached", async () => {
    strictEqual(await says("dev-sessions list --all"), "No sessions\n0\n");
  });
  let child = "";
  await step(t, "it starts an agent in a container, gives it work and reads its reply", async () => {
    match(
      await says("dev-sessions create -q > child && dev-sessions ask $(cat child) hello"),
      /REPLY: hello \[length 5\]\n0\n$/,
    );
    child = (await Deno.readTextFile(join(sandbox.workspace, "child"))).trim();
    const record = JSON.parse((await sandbox.run(["inspect", child])).stdout);
    deepStrictEqual([record.parent, record.mode, record.path], [session.id, "docker", sandbox.workspace]);
    strictEqual((await engine.containers()).length, 2);
  });
  await step(t, "it sees its own alone, and not itself", async () => {
    const listed = await says("dev-sessions list --all --json");
    deepStrictEqual(JSON.parse(listed.replace(/\n0\n$/, "")).map(({ id }: { id: string }) => id), [child]);
    for (const id of [stranger.id, session.id]) {
      match(await says(`dev-sessions status ${id}`), /Session not found[\s\S]*\n3\n$/);
    }
  });
  await step(t, "nothing less strict, nowhere else", async () => {
    for (const mode of ["yolo", "native"]) {
      match(await says(`dev-sessions create -m ${mode}`), /is not permitted with this token[\s\S]*\n8\n$/);
    }
    match(await says("dev-sessions create -p /etc"), /it is no folder below[\s\S]*\n8\n$/);
    strictEqual((await engine.containers()).length, 2);
  });
  await step(t, "its token can't be read in its environment or arguments, only in its file", async () => {
    const { container } = JSON.parse(await session.expect(0, "inspect")).handle;
    const token = (await engine.docker("exec", container.id, "cat", "/run/dev-sessions/gateway/token"))
      .trim();
    match(token, /^dst_/);
    const shown = await engine.docker("inspect", container.id) +
      await engine.docker("exec", container.id, "env");
    ok(!shown.includes(token));
    for (const path of ["token", "socket/other"]) {
      const write = engine.docker("exec", container.id, "touch", `/run/dev-sessions/gateway/${path}`);
      match(await write.then(() => "", (error: Error) => error.message), /Read-only/, path);
    }
    const remove = engine.docker(
      "exec",
      container.id,
      "rm",
      "-f",
      "/run/dev-sessions/gateway/socket/gateway.sock",
    );
    match(await remove.then(() => "", (error: Error) => error.message), /Read-only/);
    ok(!gateway.process.stderr.includes(token));
  });
  await step(t, "a child's agent starts one of its own, whose family is known", async () => {
    const below = await openSession(sandbox, child);
    match(await says("dev-sessions create -q > grandchild", below), /^0\n$/);
    const grandchild = (await Deno.readTextFile(join(sandbox.workspace, "grandchild"))).trim();
    strictEqual(JSON.parse((await sandbox.run(["inspect", grandchild])).stdout).parent, child);
    // What its child has made stands on the agent's own token.
    match(await says(`dev-sessions status ${grandchild}`), /^idle\n0\n$/);
  });
  await step(t, "kill --tree ends them all, and the tokens with them", async () => {
    const token = sql(sandbox, "SELECT id FROM tokens WHERE name = ?", session.id);
    strictEqual(token.length, 1);
    const text = await Deno.readTextFile(
      join(
        sandbox.home,
        ".dev-sessions/sessions",
        String(sql(sandbox, "SELECT token FROM sessions WHERE id = ?", session.id)[0]!["token"]),
        "gateway-token",
      ),
    );
    strictEqual((await gateway.ask("list", {}, { token: text.trim() })).status, 200);
    match((await sandbox.run(["gateway", "token", "list"])).stdout, new RegExp(session.id));
    await session.expect(0, "kill", ["--tree"]);
    deepStrictEqual(await engine.containers(), []);
    strictEqual((await gateway.ask("list", {}, { token: text.trim() })).status, 401);
    doesNotMatch((await sandbox.run(["gateway", "token", "list"])).stdout, new RegExp(session.id));
  });
  await step(t, "a resume brings another token, and the one before is worth nothing", async () => {
    await session.expect(0, "resume");
    const resumed = await openSession(sandbox, session.id);
    match(await says("dev-sessions list --all --json", resumed), new RegExp(`"${child}"|^\\[\\]`));
    const states = sql(sandbox, "SELECT revoked_at FROM tokens WHERE name = ? ORDER BY rowid", session.id);
    deepStrictEqual(states.map(({ revoked_at }) => revoked_at !== null), [true, false]);
    await resumed.expect(0, "kill");
  });
  await step(t, "without, where the user wants none", async () => {
    await configure({ ...usual, gateway: false });
    const alone = await createSession(sandbox, DOCKER);
    doesNotMatch(await says("env", alone), /DEV_SESSIONS_GATEWAY/);
    await alone.expect(0, "kill");
  });
  await stranger.expect(0, "kill");
  deepStrictEqual(await engine.containers(), []);
});
