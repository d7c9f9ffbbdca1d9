/** What is missing is said before anything is made, a killed create leaves nothing, and files of a container are no way out. */

import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSession, fileAppears, step } from "../support/live_session.ts";
import { engineTest, HOST_PROGRAMS, IMAGE } from "./docker_engine.ts";
import { createDockerSandbox, type DockerSandbox } from "./docker_sandbox.ts";

const DOCKER = ["--mode", "docker"];
const SECRET = "root:not-for-the-agent:19000:0:99999:7:::";

async function refused(
  { sandbox, engine }: DockerSandbox,
  args: readonly string[],
  env: Readonly<Record<string, string | undefined>>,
  ...texts: RegExp[]
): Promise<void> {
  const created = await sandbox.run(["create", ...DOCKER, ...args], { env });
  ok(created.code === 1 || created.code === 2, `${created.code}: ${created.stderr}`);
  for (const text of texts) match(created.stderr, text);
  strictEqual((await sandbox.run(["list", "--all"])).stdout, "No sessions\n");
  deepStrictEqual(await engine.containers(), []);
  strictEqual((await sandbox.tmux("list-sessions")).stdout, "");
  strictEqual(await exists(join(sandbox.home, ".dev-sessions", "containers")), false);
}

engineTest("docker mode says what is missing, before anything is made", async (t) => {
  await using world = await createDockerSandbox();
  const { sandbox, configure, engine } = world;

  await step(t, "an image that is not there", async () => {
    await configure({ image: "nobody/has-this:1" });
    await refused(world, [], {}, /the engine has no image "nobody\/has-this:1"\. Get it with: docker pull/);
  });
  await step(t, "no image at all", async () => {
    await configure({ image: undefined });
    await refused(world, [], {}, /there is no clauded on PATH, and no image is set/);
    await configure({});
  });
  await step(t, "no engine", async () => {
    const env = { DOCKER_HOST: `unix://${sandbox.root}/nobody.sock` };
    await refused(world, [], env, /the container engine does not answer \(.*Cannot connect/);
  });
  await step(t, "no docker", async () => {
    const bin = await sandbox.folder("few");
    for (const name of ["tmux", "sh", "env"]) {
      await Deno.symlink(`/usr/bin/${name}`, join(bin, name));
    }
    await refused(world, [], { PATH: bin }, /"docker" was not found on PATH/);
  });
  await step(
    t,
    "no credentials",
    () =>
      refused(
        world,
        [],
        { ANTHROPIC_AUTH_TOKEN: undefined },
        /Claude has no credentials.*CLAUDE_CODE_OAUTH_TOKEN/,
      ),
  );
  await step(t, "a worktree", () => refused(world, ["--worktree"], {}, /--worktree: the repository/));
  await step(t, "arguments that are ours", async () => {
    await configure({ args: ["--name=mine"] });
    await refused(world, [], {}, /"docker\.args" has --name=mine/);
    await configure({});
  });
  await step(t, "arguments that docker does not take, and an image without Claude", async () => {
    await configure({ args: ["--no-such-option"] });
    const wrong = await sandbox.run(["create", ...DOCKER]);
    strictEqual(wrong.code, 1);
    match(wrong.stderr, /docker does not make its container: unknown flag: --no-such-option/);
    await configure({ claude: "no-such-claude" });
    const without = await sandbox.run(["create", ...DOCKER]);
    strictEqual(without.code, 1);
    match(without.stderr, /its agent ended at once.*\n[\s\S]*no-such-claude/);
    deepStrictEqual(await engine.containers(), []);
    strictEqual((await sandbox.run(["list", "--all"])).stdout, "No sessions\n");
    deepStrictEqual([...Deno.readDirSync(join(sandbox.home, ".dev-sessions", "sessions"))], []);
    await configure({});
  });
  await step(t, "a word too many, which docker takes for the image", async () => {
    await configure({ args: [...HOST_PROGRAMS, IMAGE] });
    const wrong = await sandbox.run(["create", ...DOCKER]);
    strictEqual(wrong.code, 1);
    match(wrong.stderr, /docker took a word of "docker\.args" .* for the image/);
    deepStrictEqual(await engine.containers(), []);
    strictEqual((await sandbox.run(["list", "--all"])).stdout, "No sessions\n");
    await configure({});
  });
  await step(t, "the user's own credentials file is mounted, and only then", async () => {
    const file = join(sandbox.home, ".claude", ".credentials.json");
    await Deno.mkdir(join(sandbox.home, ".claude"), { recursive: true });
    await Deno.writeTextFile(file, '{"claudeAiOauth":{}}');
    const created = await sandbox.run(["create", "-q", ...DOCKER, "--ready-timeout", "15"], {
      env: { ANTHROPIC_AUTH_TOKEN: undefined },
    });
    doesNotMatch(created.stderr, /has no credentials/);
    await Deno.remove(file);
    await sandbox.run(["kill", "--all"]);
    deepStrictEqual(await engine.containers(), []);
  });
});

engineTest("no folder that has dev-sessions' own files is ever mounted", async (t) => {
  await using world = await createDockerSandbox();
  const { sandbox, engine } = world;
  const why = /would be mounted into the container, and has dev-sessions' own files/;
  for (const agent of ["claude", "codex"]) {
    await step(t, `create, ${agent}`, async () => {
      for (const folder of [sandbox.home, "/", join(sandbox.home, ".dev-sessions")]) {
        await refused(world, ["--cli", agent, "--path", folder], {}, why, /--path, or use --mode yolo/);
      }
    });
  }
  await step(t, "resume, where the workspace's name has come to lead there", async () => {
    const workspace = join(sandbox.root, "named");
    await Deno.symlink(sandbox.workspace, workspace);
    const session = await createSession(sandbox, [...DOCKER, "--path", workspace]);
    await session.turn("SCRIPT:plain done");
    await session.expect(0, "kill");
    await Deno.remove(workspace);
    await Deno.symlink(sandbox.home, workspace);
    const resumed = await session.run("resume");
    strictEqual(resumed.code, 2, resumed.stderr);
    match(resumed.stderr, why);
    deepStrictEqual(await engine.containers(), []);
  });
});

engineTest("what a container has put in the way of the next one is named", async (t) => {
  await using world = await createDockerSandbox();
  const { sandbox, engine } = world;
  const session = await createSession(sandbox, DOCKER);
  await session.turn("SCRIPT:plain done");
  const { container, configFolder } = JSON.parse(await session.expect(0, "inspect")).handle;
  const state = join(configFolder, ".claude.json");
  await engine.docker(
    "exec",
    container.id,
    "sh",
    "-c",
    "cd /run/dev-sessions/claude && rm -f .claude.json && mkdir .claude.json && touch .claude.json/x",
  );
  await session.expect(0, "kill");
  const commands = { resume: ["resume", session.id], create: ["create", ...DOCKER] };
  for (const [name, args] of Object.entries(commands)) {
    await step(t, name, async () => {
      const { code, stderr } = await sandbox.run(args);
      strictEqual(code, 1, stderr);
      match(stderr, new RegExp(`at "${state}" that is no file.*rm -rf '${state}'`));
      deepStrictEqual(await engine.containers(), []);
    });
  }
  await step(t, "and once it is removed, the session goes on", async () => {
    await Deno.remove(state, { recursive: true });
    await session.expect(0, "resume");
    await session.turn("SCRIPT:plain again");
    await session.expect(0, "kill");
  });
});

engineTest("a create that is killed leaves nothing, whenever it is killed", async (t) => {
  await using world = await createDockerSandbox();
  const { sandbox, engine } = world;
  for (const moment of ["row", "container", "running"] as const) {
    await step(t, `after its ${moment}`, async () => {
      const create = sandbox.start(["create", ...DOCKER]);
      await sandbox.eventually(async () => {
        switch (moment) {
          case "row":
            return (await sandbox.run(["list", "--all"])).stdout.includes("creating") || await isThere();
          case "container":
            return (await engine.containers()).length > 0;
          case "running":
            return (await engine.docker("ps", "--quiet")) !== "";
        }
      }, { what: moment });
      create.kill("SIGKILL");
      await create.done();
      // Any command finishes what the killed one could not.
      await sandbox.eventually(async () => {
        await sandbox.run(["list", "--all"]);
        return (await engine.containers()).length === 0;
      }, { what: "no container" });
      strictEqual((await sandbox.run(["list", "--all"])).stdout, "No sessions\n");
      deepStrictEqual([...Deno.readDirSync(join(sandbox.home, ".dev-sessions", "sessions"))], []);
      strictEqual((await sandbox.tmux("list-sessions")).stdout, "");
    });
  }
  async function isThere() {
    return (await engine.containers()).length > 0;
  }
});

engineTest("what a container writes is read as from an enemy", async (t) => {
  await using world = await createDockerSandbox();
  const { sandbox, engine } = world;
  const session = await createSession(sandbox, DOCKER);
  await session.turn("SCRIPT:plain honest");
  const { container, configFolder } = JSON.parse(await session.expect(0, "inspect")).handle;
  const inside = (script: string) => engine.docker("exec", container.id, "sh", "-c", script);
  const outside = join(sandbox.root, "secret");
  const transcript = `${configFolder}/projects/-workspace/${session.claudeId}.jsonl`;
  const line = (text: string) =>
    JSON.stringify({ type: "assistant", message: { content: [{ type: "text", text }], role: "assistant" } });
  await Deno.writeTextFile(outside, `${line(SECRET)}\n`);
  const config = "/run/dev-sessions/claude";
  const own = `${config}/projects/-workspace/${session.claudeId}.jsonl`;

  await step(t, "a transcript that is a link to a file outside is not read", async () => {
    strictEqual(await Deno.readTextFile(transcript).then((text) => text.includes("honest")), true);
    await inside(`mv ${own} ${own}.kept; ln -s ${outside} ${own}`);
    for (const verb of ["last-message", "logs", "usage", "events", "status"]) {
      const { stdout, stderr, code } = await session.run(verb);
      doesNotMatch(stdout + stderr, /not-for-the-agent/, verb);
      ok(code === 0 || code === 1, `${verb}: ${code} ${stderr}`);
    }
  });

  await step(t, "nor one in a folder that is a link", async () => {
    const folder = await sandbox.folder("outside");
    await Deno.writeTextFile(join(folder, `${session.claudeId}.jsonl`), `${line(SECRET)}\n`);
    await inside(
      `mv ${config}/projects/-workspace ${config}/projects/kept; ln -s ${folder} ${config}/projects/-workspace`,
    );
    for (const verb of ["last-message", "logs", "usage", "events"]) {
      doesNotMatch((await session.run(verb)).stdout, /not-for-the-agent/, verb);
    }
    await inside(
      `rm ${config}/projects/-workspace; mv ${config}/projects/kept ${config}/projects/-workspace`,
    );
  });

  await step(t, "a pipe in its place is not waited for", async () => {
    await inside(`rm -f ${own}; mkfifo ${own}`);
    for (const verb of ["last-message", "logs", "usage", "status"]) {
      await sandbox.run([verb, session.id], { timeoutMs: 20_000 });
    }
    await inside(`rm -f ${own}; mv ${own}.kept ${own}`);
    match(await session.expect(0, "last-message"), /REPLY: honest/);
  });

  await step(t, "events that name another transcript, or are none, change nothing for others", async () => {
    const forged = JSON.stringify({
      hook_event_name: "SessionStart",
      session_id: session.claudeId,
      transcript_path: outside,
      source: "startup",
    });
    const events = "/run/dev-sessions/events";
    const stamp = `${Date.now()}000000`;
    await inside(`printf '%s' '${forged}' > ${events}/${stamp}-1.SessionStart.json`);
    await inside(`ln -s ${outside} ${events}/${stamp}-2.Stop.json; mkfifo ${events}/${stamp}-3.Stop.json`);
    await inside(`truncate -s 3G ${events}/${stamp}-4.Stop.json; mkdir ${events}/${stamp}-5.Stop.json`);
    doesNotMatch((await session.run("last-message")).stdout, /not-for-the-agent/);
    doesNotMatch((await session.run("status", ["--explain"])).stdout, /not-for-the-agent/);
    await inside(`rm -rf ${events}/${stamp}-*`);
    match(await session.expect(0, "last-message"), /REPLY: honest/);
  });

  await step(t, "an answer is never written through what stands in a request's place", async () => {
    const target = join(sandbox.root, "target");
    await Deno.writeTextFile(target, "untouched");
    const stamp = `${Date.now()}000000`;
    const name = `${stamp}-7.PermissionRequest`;
    const body = JSON.stringify({
      hook_event_name: "PermissionRequest",
      tool_name: "Bash",
      tool_input: { command: "x" },
    });
    await inside(
      `ln -s ${target} /run/dev-sessions/requests/${name}; printf '%s' '${body}' > /run/dev-sessions/events/${name}.json`,
    );
    ok((await session.run("respond", ["--approve"])).code !== 0);
    strictEqual(await Deno.readTextFile(target), "untouched");
    await inside(`rm -f /run/dev-sessions/requests/* /run/dev-sessions/events/${name}.json`);
  });

  await step(t, "and a resume does not write through its links", async () => {
    await session.expect(0, "kill");
    const target = join(sandbox.root, "state");
    await Deno.writeTextFile(target, "untouched");
    await Deno.remove(`${configFolder}/.claude.json`);
    await Deno.symlink(target, `${configFolder}/.claude.json`);
    await session.expect(0, "resume");
    strictEqual(await Deno.readTextFile(target), "untouched");
    await fileAppears(sandbox, `${configFolder}/.claude.json`);
    await session.expect(0, "kill");
    deepStrictEqual(await engine.containers(), []);
  });
});

function exists(path: string): Promise<boolean> {
  return Deno.stat(path).then(() => true, () => false);
}
