/** The real Claude Code and the real Codex on a second host, told from here what to do. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { ensureClaude, ensureCodex } from "../support/agent_install.ts";
import { startCodexModel } from "../support/codex_model.ts";
import { eventually } from "../support/harness.ts";
import { startScriptedModel } from "../support/scripted_model.ts";
import { USER_HOME } from "./second_host.ts";
import { lack, SshWorld } from "./ssh_world.ts";

const name = (text: string) => lack === null ? text : `${text} (${lack})`;
const ignore = lack !== null;

Deno.test({ name: name("the real Codex on another host"), ignore }, async (t) => {
  await using world = await SshWorld.start({ product: true, codex: await ensureCodex() });
  const { host } = world;
  await using model = await startCodexModel({ hostname: host.neighbour });
  await host.write(
    `${USER_HOME}/.codex/config.toml`,
    `model = "gpt-5.5"
model_provider = "scripted"
[model_providers.scripted]
name = "scripted"
base_url = "${model.url}"
wire_api = "responses"
requires_openai_auth = false
`,
    "600",
  );
  const servers = async () => (await host.exec(["pgrep", "-fc", "app-server --listen"])).stdout.trim();
  let id = "";

  await t.step("create with its first task, wait, last-message, usage", async () => {
    id = await world.create("--cli", "codex", "-m", "native", "--message", "hello there");
    strictEqual(await world.ok(["wait", id]), "completed");
    strictEqual(await world.ok(["last-message", id]), "REPLY: hello there");
    match(await world.ok(["list"]), new RegExp(`^${id} +codex +native +box +idle`, "m"));
    match(await world.ok(["usage", id]), new RegExp(`^${id}`, "m"));
    strictEqual(await servers(), "1");
  });

  await t.step("a request is shown and answered from here", async () => {
    const file = `${USER_HOME}/approved`;
    await world.ok(["send", id, `SCRIPT:escalate touch ${file}`]);
    strictEqual((await world.run("wait", id)).code, 5);
    match(await world.ok(["status", id]), /^waiting_for_input\n\na permission \(shell: touch /);
    await world.ok(["respond", id, "--approve"]);
    strictEqual(await world.ok(["wait", id]), "completed");
    strictEqual((await host.exec(["test", "-f", file])).code, 0);
  });

  await t.step("queue, steer and interrupt", async () => {
    await world.ok(["send", id, "SCRIPT:gate one"]);
    await model.reached("one");
    strictEqual((await world.json("send", id, "behind it")).json.result, "queued");
    strictEqual((await world.json("send", id, "--steer", "SCRIPT:plain into it")).json.result, "queued");
    model.open("one");
    strictEqual(await world.ok(["wait", id]), "completed");
    deepStrictEqual(model.prompts().slice(-3), ["SCRIPT:gate one", "SCRIPT:plain into it", "behind it"]);
    await world.ok(["send", id, "SCRIPT:hang"]);
    strictEqual((await world.json("interrupt", id)).json.result, "interrupted");
    strictEqual((await world.run("wait", id)).code, 6);
  });

  await t.step("a goal", async () => {
    await world.ok(["goal", id, "SCRIPT:goal 2"]);
    const { code, json } = await world.json("wait", id, "--goal");
    deepStrictEqual([code, json.outcome], [0, "complete"]);
  });

  await t.step("kill and resume keep the conversation; with the last session its server ends", async () => {
    await world.ok(["kill", id]);
    await eventually(async () => await servers() === "0", { what: "the end of the server there" });
    match(await world.ok(["logs", id]), /\[HUMAN\]\nhello there\n/);
    await world.ok(["resume", id]);
    strictEqual(await world.ok(["ask", id, "once more"]), "REPLY: once more");
    await world.ok(["kill", id]);
  });
});

Deno.test({ name: name("the real Claude Code on another host"), ignore }, async (t) => {
  await using world = await SshWorld.start({ product: true, claude: await ensureClaude() });
  const { host } = world;
  await using model = await startScriptedModel({ hostname: host.neighbour });
  await host.write(
    `${USER_HOME}/.claude.json`,
    JSON.stringify({ hasCompletedOnboarding: true, hasSeenAutoDefaultNudge: true }),
    "600",
  );
  const { stdout: profile } = await host.exec(["cat", `${USER_HOME}/.profile`]);
  const variables = {
    ANTHROPIC_BASE_URL: model.url,
    ANTHROPIC_AUTH_TOKEN: "scripted",
    DISABLE_AUTOUPDATER: "1",
    DISABLE_TELEMETRY: "1",
    CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: "1",
  };
  const lines = Object.entries(variables).map(([variable, value]) => `export ${variable}=${value}`);
  await host.write(`${USER_HOME}/.profile`, `${profile}\n${lines.join("\n")}\n`);
  await host.exec(["install", "-d", "-o", "dev", "-g", "dev", `${USER_HOME}/proj`]);
  let id = "";

  await t.step("create with its first task, wait, last-message, usage", async () => {
    id = await world.create("-p", "proj", "-m", "native", "--trust", "--message", "hello there");
    strictEqual(await world.ok(["wait", id]), "completed");
    match(await world.ok(["last-message", id]), /^REPLY: hello there/);
    match(await world.ok(["list"]), new RegExp(`^${id} +claude +native +box +idle`, "m"));
    match(await world.ok(["usage", id]), new RegExp(`^${id}`, "m"));
  });

  await t.step("a request is shown and answered from here", async () => {
    await world.ok(["send", id, `SCRIPT:bash touch ${USER_HOME}/proj/approved`]);
    strictEqual((await world.run("wait", id)).code, 5);
    await world.ok(["respond", id, "--approve"]);
    strictEqual(await world.ok(["wait", id]), "completed");
    strictEqual((await host.exec(["test", "-f", `${USER_HOME}/proj/approved`])).code, 0);
  });

  await t.step("interrupt, ask, kill and resume", async () => {
    await world.ok(["send", id, "SCRIPT:gate never"]);
    await model.reached("never");
    strictEqual((await world.json("interrupt", id)).json.result, "interrupted");
    match(await world.ok(["ask", id, "still there?"]), /^REPLY: still there\?/);
    await world.ok(["kill", id]);
    await world.ok(["resume", id]);
    match(await world.ok(["ask", id, "once more"]), /^REPLY: once more/);
    await world.ok(["kill", id]);
  });
});
