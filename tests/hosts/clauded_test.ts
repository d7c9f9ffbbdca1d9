/** A user's own `clauded` around the real Claude Code: driven by its transcript and its terminal alone. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSession, openSession, step } from "../support/live_session.ts";
import { signal } from "../support/processes.ts";
import type { Sandbox } from "../support/harness.ts";
import { engineTest, HOST_PROGRAMS, IMAGE } from "./docker_engine.ts";
import { CLAUDE_INSIDE, createDockerSandbox } from "./docker_sandbox.ts";
import { ensureClaude } from "../support/agent_install.ts";

const DOCKER = ["--mode", "docker"];

/** As users write them: the folder as /workspace, Claude's own folder, and whatever it is given. */
async function writeWrapper(sandbox: Sandbox, mounts: readonly string[]): Promise<void> {
  const script = `#!/bin/sh
exec docker run --rm -it --init --pull never ${HOST_PROGRAMS.join(" ")} \\
  -v ${await ensureClaude()}:${CLAUDE_INSIDE}:ro -v "$PWD:/workspace" -w /workspace ${mounts.join(" ")} \\
  -e HOME=/root -e IS_SANDBOX=1 -e CLAUDE_CODE_SANDBOXED=1 -e ANTHROPIC_BASE_URL -e ANTHROPIC_AUTH_TOKEN \\
  -e DISABLE_AUTOUPDATER=1 -e DISABLE_TELEMETRY=1 -e CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC=1 -e CLAUDE_CODE_DISABLE_ALTERNATE_SCREEN=1 \\
  ${IMAGE} ${CLAUDE_INSIDE} --dangerously-skip-permissions "$@"
`;
  await Deno.writeTextFile(join(sandbox.root, "bin", "clauded"), script, { mode: 0o755 });
}

engineTest("Claude through the user's clauded", async (t) => {
  await using world = await createDockerSandbox();
  const { sandbox, engine } = world;
  const claude = join(sandbox.home, ".claude");
  await Deno.mkdir(claude, { recursive: true });
  await Deno.writeTextFile(join(claude, "settings.json"), '{"skipDangerousModePermissionPrompt":true}');
  const state = `-v ${sandbox.home}/.claude.json:/root/.claude.json`;

  await step(t, "with its records on this machine", async () => {
    await writeWrapper(sandbox, [`-v ${claude}:/root/.claude`, state]);
    const session = await createSession(sandbox, DOCKER);
    strictEqual(await session.turn("SCRIPT:plain behind a wrapper"), "REPLY: behind a wrapper [length 29]");
    strictEqual(await session.expect(0, "status"), "idle");
    match(await session.expect(0, "logs"), /behind a wrapper/);
    match(await session.expect(0, "status", ["--explain"]), /hooks: no event was ever written/);
    strictEqual((await engine.containers()).length, 1);
    await session.expect(0, "kill");
    deepStrictEqual(await engine.containers(), []);

    await session.expect(0, "resume");
    strictEqual(await session.turn("SCRIPT:plain again"), "REPLY: again [length 18]");
    match(await session.expect(0, "logs"), /behind a wrapper[\s\S]*again/);
    await session.expect(0, "kill");
    deepStrictEqual(await engine.containers(), []);
  });

  await step(t, "a wrapper that was killed proves nothing of its container", async () => {
    const session = await createSession(sandbox, DOCKER);
    await session.turn("SCRIPT:plain before the wrapper's end");
    const orphaned = async () => {
      signal(session.pid, "SIGKILL");
      await sandbox.eventually(async () => await session.expect(0, "status") === "unknown", {
        what: "the wrapper's end",
      });
      return await engine.containers();
    };
    const refused = async (verb: string, text: RegExp) => {
      const { code, stderr } = await session.run(verb, verb === "send" ? ["too late"] : []);
      ok(code !== 0, verb);
      match(stderr, text, verb);
    };
    const [container] = await orphaned();
    match(await session.expect(0, "status", ["--explain"]), /its container may still run\. See: docker ps/);
    match((await sandbox.run(["list"])).stdout, /unknown/);
    await refused("send", /its wrapper has ended, though its Claude may go on in a container/);
    await refused("interrupt", /its wrapper has ended, though its Claude may go on in a container/);
    await refused("resume", /its wrapper has ended.*See: docker ps/);
    await refused("kill", /its container may still run; its record stays\. See: docker ps/);
    deepStrictEqual(await engine.containers(), [container]);
    // Claude ends by itself, and takes its word back.
    await engine.docker("stop", container!);
    strictEqual(await session.expect(0, "status"), "gone");

    await session.expect(0, "resume");
    const resumed = await openSession(sandbox, session.id);
    strictEqual(await resumed.turn("SCRIPT:plain again"), "REPLY: again [length 18]");
    await resumed.expect(0, "kill");
    deepStrictEqual(await engine.containers(), []);
  });

  await step(t, "one that was killed with its container is gone once its file is", async () => {
    const session = await createSession(sandbox, DOCKER);
    await session.turn("SCRIPT:plain killed");
    const [container] = await engine.containers();
    signal(session.pid, "SIGKILL");
    await engine.docker("rm", "--force", container!);
    const killed = await session.run("kill");
    strictEqual(killed.code, 1);
    const file = /"([^"]+\/sessions\/\d+\.json)"/.exec(killed.stderr)?.[1] ?? "";
    const resumed = await session.run("resume");
    strictEqual(resumed.code, 1);
    ok(resumed.stderr.includes(file), resumed.stderr);
    await Deno.remove(file);
    strictEqual(await session.expect(0, "status"), "gone");
    await session.expect(0, "resume");
    await session.expect(0, "kill");
    deepStrictEqual(await engine.containers(), []);
  });

  await step(t, "without any record: what can't be proven is said to be unproven", async () => {
    await writeWrapper(sandbox, [`-v ${claude}/settings.json:/root/.claude/settings.json:ro`, state]);
    const created = await sandbox.run(["create", ...DOCKER]);
    strictEqual(created.code, 0, created.stderr);
    match(created.stderr, /shows a quiet prompt, but nothing proves that it is ready/);
    const id = /Created session (\S+)/.exec(created.stdout)?.[1] ?? "";
    const killed = await sandbox.run(["kill", id]);
    strictEqual(killed.code, 0, killed.stderr);
    deepStrictEqual(await engine.containers(), []);
  });

  await step(t, "one that fails shows what it said", async () => {
    const script = "#!/bin/sh\necho 'clauded: the image is not built'\nexit 3\n";
    await Deno.writeTextFile(join(sandbox.root, "bin", "clauded"), script, { mode: 0o755 });
    const created = await sandbox.run(["create", ...DOCKER]);
    strictEqual(created.code, 1);
    match(created.stderr, /ended at once \(exit 3\)[\s\S]*the image is not built/);
  });
});
