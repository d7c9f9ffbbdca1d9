/**
 * Commands in real containers at sessions of their host: over tcp and the unix socket, as root and as another user. It
 * is long because what the ways have in common is one world.
 */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createCodexSandbox } from "../support/codex_sandbox.ts";
import { startGateway } from "../support/gateway.ts";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { modelOf, step } from "../support/live_session.ts";
import { assertNothingLeft } from "../support/sandbox_state.ts";
import {
  ClientContainer,
  type ClientOptions,
  PROGRAM_FOLDER,
  programFolder,
  reached,
  tokenFile,
  type Way,
} from "./client_container.ts";
import { type DockerEngine, engineTest, IMAGE, startEngine } from "./docker_engine.ts";
import { createDockerSandbox } from "./docker_sandbox.ts";

const SOON_MS = 60_000;
const WAYS: readonly Way[] = ["tcp", "unix"];
const USERS = ["0:0", "1000:1000"] as const;

/** The gateway listens on the bridge of this engine, too. */
function bridged(engine: DockerEngine): [string[], { env: Record<string, string> }] {
  return [["--bind", "docker"], { env: { DOCKER_HOST: engine.host } }];
}

/** A workspace that every user of a container may write to. */
async function sharedFolder(sandbox: Sandbox, name: string): Promise<string> {
  const path = await sandbox.folder(name);
  await Deno.chmod(sandbox.root, 0o755);
  await Deno.chmod(path, 0o777);
  return path;
}

async function clientOf(
  way: Way,
  user: ClientOptions["user"],
  parts: {
    readonly engine: DockerEngine;
    readonly sandbox: Sandbox;
    readonly gateway: Awaited<ReturnType<typeof startGateway>>;
    readonly program: string;
    readonly workspace: string;
    readonly token: string;
    readonly at?: string;
  },
): Promise<ClientContainer> {
  const { token, gateway, ...rest } = parts;
  const file = await tokenFile(parts.sandbox, `${way}-${user.split(":")[0]}-${crypto.randomUUID()}`, token);
  return await ClientContainer.start({ ...rest, ...reached(way, gateway, file), user });
}

engineTest("a container and stub agents on its host: every verb, each way, as each user", async (t) => {
  await using engine = await startEngine();
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox, ...bridged(engine));
  const program = await programFolder(join(sandbox.root, "p"));
  const workspace = await sharedFolder(sandbox, "ws");
  const { token } = await gateway.token("--root", workspace, "--mode", "native");
  for (const way of WAYS) {
    for (const user of USERS) {
      await step(t, `over ${way} as ${user}`, async () => {
        const at = user === "0:0" ? "/workspace" : "/home/code";
        await using client = await clientOf(way, user, {
          engine,
          sandbox,
          gateway,
          program,
          workspace,
          token,
          at,
        });
        const id = await client.expect(0, ["create", "-q", "-m", "native", "-d", "from a container"]);
        const events = client.start(["events", id, "--follow"]);

        const record = JSON.parse(await client.expect(0, ["inspect", id]));
        strictEqual(record.path, at, "the path is the container's");
        const [row] = JSON.parse((await sandbox.run(["list", "--json"])).stdout);
        deepStrictEqual([row.id, row.path], [id, workspace], "the host has its own");

        // The file is the container's alone.
        const name = `task-${way}-${user.split(":")[0]}.md`;
        await client.shell(
          `mkdir -p /tmp/notes && printf 'SCRIPT:plain grüß "dich" $HOME' > /tmp/notes/${name}`,
        );
        match(await client.expect(0, ["send", id, "-f", `/tmp/notes/${name}`]), /^Sent message to /);
        strictEqual(await client.expect(0, ["wait", id]), "completed");
        match(await client.expect(0, ["last-message", id]), /grüß "dich" \$HOME/);
        strictEqual(
          (await client.run(["send", id, "-f", "-"], { stdin: "from stdin" })).code,
          0,
        );
        strictEqual(await client.expect(0, ["wait", id]), "completed");
        match(await client.expect(0, ["ask", id, "what now?"]), /what now\?/);
        await client.shell(`cat > ${name} <<'END'\nwhat is in the workspace\nEND`);
        strictEqual(
          await Deno.readTextFile(join(workspace, name)),
          "what is in the workspace\n",
        );
        await client.expect(0, ["last-message", id, "--output", `${at}/reply-${name}`]);
        match(await Deno.readTextFile(join(workspace, `reply-${name}`)), /what now\?/);

        // A permission, answered from the container while another command of it waits.
        await client.expect(0, ["send", id, `SCRIPT:permission echo permitted > made-${name}`]);
        strictEqual((await client.run(["wait", id])).code, 5);
        strictEqual(JSON.parse(await client.expect(0, ["status", id, "--json"])).state, "waiting_for_input");
        const waiting = client.start(["wait", id, "--message", await receiptOf(client, id)]);
        await client.expect(0, ["respond", id, "--approve"]);
        ok([0, 5].includes((await waiting.doneWithin(SOON_MS, "wait")).code));
        strictEqual(await client.expect(0, ["wait", id]), "completed");
        strictEqual(await Deno.readTextFile(join(workspace, `made-${name}`)), "permitted\n");
        await client.expect(0, ["send", id, "SCRIPT:ask"]);
        strictEqual((await client.run(["wait", id])).code, 5);
        await client.expect(0, ["respond", id, "--option", "Blue"]);
        strictEqual(await client.expect(0, ["wait", id]), "completed");
        match(await client.expect(0, ["last-message", id]), /Blue/);

        await client.expect(0, ["send", id, "SCRIPT:slow 60"]);
        strictEqual(await client.expect(0, ["status", id]), "working");
        strictEqual((await client.run(["wait", id, "-t", "1"])).code, 124);
        await client.expect(0, ["interrupt", id]);
        strictEqual(await client.expect(0, ["status", id]), "idle");

        match(await client.expect(0, ["logs", id]), /what now\?/);
        match(await client.expect(0, ["list"]), new RegExp(`${id}.*from a container`));
        ok(Array.isArray(JSON.parse(await client.expect(0, ["usage", id, "--json"]))));
        const other = await client.expect(0, ["create", "-q", "--group", "team", "-p", at]);
        strictEqual(await client.expect(0, ["wait", "@team"]), `${other}\tidle`);
        await client.expect(0, ["kill", id]);
        const resumed = await client.run(["resume", id]);
        strictEqual(resumed.code, 0, resumed.stderr);
        await client.expect(0, ["kill", id, other]);
        strictEqual(await client.expect(0, ["status", id]), "gone");
        const told = await events.doneWithin(SOON_MS, "events --follow");
        strictEqual(told.code, 0, told.stderr);
        const types = told.stdout.trim().split("\n").map((line) => JSON.parse(line).type);
        for (
          const type of [
            "session_created",
            "message",
            "turn_completed",
            "input_requested",
            "turn_interrupted",
          ]
        ) {
          ok(types.includes(type), `${type} is not among ${types.join(" ")}`);
        }
        await client.expect(0, ["prune", id, other]);
        strictEqual(await client.expect(0, ["list", "--all"]), "No sessions");
      });
    }
  }
  await assertNothingLeft(sandbox);
});

/** Of the last message that was sent. */
async function receiptOf(client: ClientContainer, id: string): Promise<string> {
  return JSON.parse(await client.expect(0, ["inspect", id])).lastSend.receipt;
}

engineTest("a container and the real Claude Code on its host", async (t) => {
  await using engine = await startEngine();
  await using sandbox = await createSandbox({ agent: "claude" });
  await using gateway = await startGateway(sandbox, ...bridged(engine));
  const program = await programFolder(join(sandbox.root, "p"));
  const workspace = await sharedFolder(sandbox, "ws");
  for (const [way, user] of [["tcp", "1000:1000"], ["unix", "0:0"]] as const) {
    await step(t, `over ${way} as ${user}`, async () => {
      const { token } = await gateway.token("--root", workspace, "--mode", "yolo");
      await using client = await clientOf(way, user, { engine, sandbox, gateway, program, workspace, token });
      const id = await client.expect(0, ["create", "-q", "--message", "SCRIPT:plain at work"]);
      strictEqual(await client.expect(0, ["wait", id]), "completed");
      match(await client.expect(0, ["last-message", id]), /^REPLY: at work/);
      await client.expect(0, ["send", id, `SCRIPT:bash echo ${way} > by-claude`]);
      strictEqual(await client.expect(0, ["wait", id]), "completed");
      strictEqual(await client.shell("cat by-claude"), `${way}\n`);
      await client.expect(0, ["send", id, "SCRIPT:ask"]);
      strictEqual((await client.run(["wait", id])).code, 5);
      await client.expect(0, ["respond", id, "--option", "Red"]);
      strictEqual(await client.expect(0, ["wait", id]), "completed");
      match(await client.expect(0, ["last-message", id]), /Red/);
      const model = modelOf(sandbox);
      await client.expect(0, ["send", id, `SCRIPT:gate ${way}`]);
      await model.reached(way);
      await client.expect(0, ["interrupt", id]);
      model.open(way);
      match(await client.expect(0, ["ask", id, "SCRIPT:plain after all"]), /^REPLY: after all/);
      await client.expect(0, ["kill", id]);
    });
  }
});

engineTest("a container and the real Codex on its host", async (t) => {
  await using engine = await startEngine();
  await using codex = await createCodexSandbox();
  const { sandbox } = codex;
  await using gateway = await startGateway(sandbox, ...bridged(engine));
  const program = await programFolder(join(sandbox.root, "p"));
  const workspace = await sharedFolder(sandbox, "ws");
  const args = ["--root", workspace, "--mode", "native", "--cli", "codex"];
  for (const [way, user] of [["tcp", "0:0"], ["unix", "1000:1000"]] as const) {
    await step(t, `over ${way} as ${user}`, async () => {
      const { token } = await gateway.token(...args);
      await using client = await clientOf(way, user, { engine, sandbox, gateway, program, workspace, token });
      // The only agent that the token permits.
      const id = await client.expect(0, ["create", "-q", "-m", "native"]);
      await client.expect(0, ["send", id, "SCRIPT:plain at work"]);
      strictEqual(await client.expect(0, ["wait", id]), "completed");
      strictEqual(await client.expect(0, ["last-message", id]), "REPLY: at work");
      await client.expect(0, ["send", id, `SCRIPT:escalate echo ${way} > by-codex`]);
      strictEqual((await client.run(["wait", id])).code, 5);
      await client.expect(0, ["respond", id, "--approve"]);
      strictEqual(await client.expect(0, ["wait", id]), "completed");
      strictEqual(await client.shell("cat by-codex"), `${way}\n`);
      match(await client.expect(0, ["logs", id]), /at work/);
      match(await client.expect(0, ["events", id]), /turn_completed/);
      await client.expect(0, ["goal", id, "SCRIPT:goal 2"]);
      await client.expect(0, ["wait", id, "--goal"]);
      match(await client.expect(0, ["ask", id, "SCRIPT:plain the end"]), /^REPLY: the end/);
      const claude = await client.run(["create", "--cli", "claude"]);
      strictEqual(claude.code, 8, claude.stderr);
      await client.expect(0, ["kill", id]);
    });
  }
});

engineTest("a container and Claude in another container", async (t) => {
  await using world = await createDockerSandbox();
  const { sandbox, engine } = world;
  await using gateway = await startGateway(sandbox, ...bridged(engine));
  const program = await programFolder(join(sandbox.root, "p"));
  const workspace = sandbox.workspace;
  for (const [way, user] of [["tcp", "0:0"], ["unix", "0:0"]] as const) {
    await step(t, `over ${way} as ${user}`, async () => {
      const { token } = await gateway.token("--root", workspace, "--mode", "docker");
      await using client = await clientOf(way, user, { engine, sandbox, gateway, program, workspace, token });
      const before = await engine.containers();
      // What the token permits is the mode where none is named.
      const id = await client.expect(0, ["create", "-q"]);
      strictEqual((await engine.containers()).length, before.length + 1);
      const record = JSON.parse(await client.expect(0, ["inspect", id]));
      deepStrictEqual([record.mode, record.path], ["docker", "/workspace"]);
      strictEqual(record.handle, null);
      match(await client.expect(0, ["ask", id, "SCRIPT:plain contained"]), /^REPLY: contained/);
      await client.expect(0, ["send", id, "SCRIPT:bash (pwd; hostname) > where"]);
      strictEqual(await client.expect(0, ["wait", id]), "completed");
      strictEqual(await client.shell("cat where"), `/workspace\n${id}\n`);
      await client.expect(0, ["kill", id]);
      deepStrictEqual(await engine.containers(), before);
    });
  }
});

engineTest("the executable copied into an image", async (t) => {
  await using engine = await startEngine();
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox, ...bridged(engine));
  const program = await programFolder(join(sandbox.root, "p"));
  const workspace = await sharedFolder(sandbox, "ws");
  await Deno.writeTextFile(
    join(program, "Dockerfile"),
    `FROM ${IMAGE}\nCOPY . ${PROGRAM_FOLDER}/\nENV PATH=${PROGRAM_FOLDER}:/usr/bin:/bin\nUSER 1000:1000\n`,
  );
  const image = "dev-sessions-test/with-it:1";
  const build = sandbox.spawn("docker", ["build", "--network", "none", "--tag", image, program], {
    env: { DOCKER_HOST: engine.host, DOCKER_BUILDKIT: "0" },
  });
  const built = await build.doneWithin(120_000, "docker build");
  strictEqual(built.code, 0, built.stderr);
  const { token } = await gateway.token("--root", workspace, "--mode", "yolo");
  for (const way of WAYS) {
    await step(t, `over ${way}`, async () => {
      const file = await tokenFile(sandbox, way, token);
      await using client = await ClientContainer.start({
        engine,
        sandbox,
        program: null,
        image,
        workspace,
        user: "1000:1000",
        ...reached(way, gateway, file),
      });
      const id = await client.expect(0, ["create", "-q"]);
      match(await client.expect(0, ["ask", id, "hello"]), /hello/);
      await client.expect(0, ["kill", id]);
    });
  }
});

engineTest("what keeps a container from its gateway is named, with the way out", async (t) => {
  await using engine = await startEngine();
  await using sandbox = await createSandbox({ agent: "stub" });
  const program = await programFolder(join(sandbox.root, "p"));
  const workspace = await sharedFolder(sandbox, "ws");
  const common = { engine, sandbox, program, workspace, user: "1000:1000" } as const;
  const fails = async (
    options: Omit<ClientOptions, keyof typeof common>,
    code: number,
    why: RegExp,
    args = ["list"],
  ) => {
    await using client = await ClientContainer.start({ ...common, ...options });
    const output = await client.run(args);
    strictEqual(output.code, code, output.stderr);
    strictEqual(output.stdout, "");
    match(output.stderr, why);
  };
  await using lone = await startGateway(sandbox);
  const { token } = await lone.token("--root", workspace, "--mode", "yolo");
  const file = await tokenFile(sandbox, "token", token);
  const tcp = reached("tcp", lone, file);
  const unix = reached("unix", lone, file);

  await step(t, "a gateway that listens on the host's loopback only", async () => {
    await fails(tcp, 255, /connection refused.*[\s\S]*--bind docker/);
  });
  await step(t, "a container without a name for its host", async () => {
    await fails(
      { ...tcp, network: "bridge without a name" },
      255,
      /(is not known here|no answer within)[\s\S]*--add-host=host\.docker\.internal:host-gateway/,
    );
  });
  await step(t, "a container's own loopback", async () => {
    await fails(
      { ...tcp, env: { ...tcp.env, DEV_SESSIONS_GATEWAY_URL: `http://127.0.0.1:${lone.port}` } },
      255,
      /In a container, 127\.0\.0\.1 is the container itself/,
    );
  });
  await step(t, "no token, a wrong one, an unreadable file", async () => {
    await fails(
      { ...unix, env: { ...unix.env, DEV_SESSIONS_GATEWAY_TOKEN_FILE: "" } },
      8,
      /no token was given/,
    );
    await fails(
      { ...unix, env: { ...unix.env, DEV_SESSIONS_GATEWAY_TOKEN: `dst_00000000_${"x".repeat(43)}` } },
      8,
      /the token is not accepted/,
    );
    await Deno.chmod(file, 0o600);
    await fails(unix, 8, /Cannot read the gateway's token .*: permission denied/);
    await Deno.chmod(file, 0o644);
  });
  await step(t, "a gateway of the container's own user, who can't read its token", async () => {
    await using client = await ClientContainer.start({ ...common, ...unix });
    await client.shell(
      "mkdir -p -m 700 /tmp/own/.dev-sessions && echo secret > /tmp/own/.dev-sessions/gateway-token && " +
        "chmod 000 /tmp/own/.dev-sessions/gateway-token",
    );
    const env = { HOME: "/tmp/own", DEV_SESSIONS_SANDBOX: "0" };
    const output = await client.run(["gateway", "--port", "0"], { env });
    deepStrictEqual([output.code, output.stdout], [1, ""], output.stderr);
    match(output.stderr, /gateway-token": .*[Pp]ermission denied/);
    strictEqual(await client.shell("ls -A /tmp/own/.dev-sessions/gateway 2>/dev/null || true"), "");
  });
  await step(t, "a workspace out of scope, and one that the host is not known to have", async () => {
    await fails(unix, 8, /"\/etc": it is no folder below/, ["create", "-p", "/etc"]);
    await fails(
      { ...unix, env: { ...unix.env, HOST_PATH: "" } },
      2,
      /HOST_PATH is required when running in sandbox mode/,
      ["create", "-p", "/workspace"],
    );
  });
  await step(t, "a socket that was mounted instead of its folder, after a restart", async () => {
    await using client = await ClientContainer.start({
      ...common,
      ...unix,
      args: ["--volume", `${file}:/run/gateway/token:ro`, "--volume", `${lone.socket}:/run/gw.sock`],
      env: { ...unix.env, DEV_SESSIONS_GATEWAY_URL: "unix:///run/gw.sock" },
    });
    await client.expect(0, ["list"]);
    await lone.stop();
    await using again = await startGateway(sandbox, ["--port", String(lone.port)]);
    const output = await client.run(["list"]);
    strictEqual(output.code, 255, output.stderr);
    match(output.stderr, /mount the directory of the socket, not the socket itself/);
    await again.stop();
  });
  await step(t, "no gateway at all", async () => {
    await fails(unix, 255, /there is no such socket.*[\s\S]*dev-sessions gateway/);
  });
});

engineTest("a wait in a container outlives the gateway's end and its next start", async (t) => {
  await using engine = await startEngine();
  await using sandbox = await createSandbox({ agent: "stub" });
  const program = await programFolder(join(sandbox.root, "p"));
  const workspace = await sharedFolder(sandbox, "ws");
  let gateway = await startGateway(sandbox, ...bridged(engine));
  try {
    const { token } = await gateway.token("--root", workspace, "--mode", "yolo");
    for (const [way, how] of [["tcp", "SIGTERM"], ["unix", "SIGKILL"]] as const) {
      await step(t, `over ${way}, ended by ${how}`, async () => {
        await using client = await clientOf(way, "1000:1000", {
          engine,
          sandbox,
          gateway,
          program,
          workspace,
          token,
        });
        const id = await client.expect(0, ["create", "-q"]);
        const gate = join(sandbox.root, `${id}.gate`);
        await client.expect(0, ["send", id, `SCRIPT:gate ${gate}`]);
        const waiting = client.start(["wait", id, "-t", "120"]);
        const events = client.start(["events", id, "--follow"]);
        const asked = () =>
          ["wait", "events"].every((name) =>
            gateway.process.stderr.includes(`"operation":"${name}"`) || events.stdout.includes("turn_started")
          );
        await sandbox.eventually(asked, { what: "events have begun", timeoutMs: SOON_MS });
        const { port } = gateway;
        gateway.process.kill(how);
        await gateway.process.doneWithin(SOON_MS, "the gateway's end");
        await Deno.writeTextFile(gate, "");
        const [binds, settings] = bridged(engine);
        const ended = gateway;
        gateway = await startGateway(sandbox, ["--port", String(port), ...binds], settings);
        await ended[Symbol.asyncDispose]();
        const waited = await waiting.doneWithin(SOON_MS, "wait");
        deepStrictEqual([waited.code, waited.stdout], [0, "completed\n"], waited.stderr);
        await client.expect(0, ["kill", id]);
        const told = await events.doneWithin(SOON_MS, "events");
        strictEqual(told.code, 0, told.stderr);
        const types = told.stdout.trim().split("\n").map((line) => JSON.parse(line).type);
        deepStrictEqual(types.filter((type) => type === "turn_started" || type === "turn_completed"), [
          "turn_started",
          "turn_completed",
        ]);
      });
    }
  } finally {
    await gateway[Symbol.asyncDispose]();
  }
});
