/** Sessions of the real Claude Code in containers of a real engine: all verbs, and nothing left by any way out. */

import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSession, openSession, step } from "../support/live_session.ts";
import { engineTest } from "./docker_engine.ts";
import { createDockerSandbox } from "./docker_sandbox.ts";

const DOCKER = ["--mode", "docker"];

engineTest("Claude in a container of ours", async (t) => {
  await using world = await createDockerSandbox();
  const { sandbox, engine } = world;

  await step(t, "works as any other session, with its workspace at /workspace", async () => {
    const session = await createSession(sandbox, DOCKER);
    strictEqual((await engine.containers()).length, 1);
    strictEqual(
      await session.turn("SCRIPT:plain hello from outside"),
      "REPLY: hello from outside [length 31]",
    );
    await session.turn(
      "SCRIPT:bash pwd > where; id -u >> where; env | grep -E '^(HOST_PATH|DEV_SESSIONS_SANDBOX)=' | sort >> where",
    );
    strictEqual(
      await Deno.readTextFile(join(sandbox.workspace, "where")),
      `/workspace\n0\nDEV_SESSIONS_SANDBOX=1\nHOST_PATH=${sandbox.workspace}\n`,
    );
    strictEqual(await session.expect(0, "status"), "idle");
    match(await session.expect(0, "logs"), /hello from outside/);
    ok(JSON.parse(await session.expect(0, "usage", ["--json"])).length > 0);
    await session.expect(0, "kill");
    deepStrictEqual(await engine.containers(), []);
    strictEqual(await session.expect(0, "status"), "gone");
  });
});
