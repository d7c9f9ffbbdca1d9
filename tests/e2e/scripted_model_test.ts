/** The scripted model holds, records and answers as its directives say - by itself and with the real Claude Code. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { startScriptedModel } from "../support/scripted_model.ts";
import { transcriptPath } from "../support/stub_agent_records.ts";

const TOOLS = [{ name: "Bash" }, { name: "Agent" }, { name: "AskUserQuestion" }];

function ask(url: string, messages: unknown, extra: Record<string, unknown> = {}, signal?: AbortSignal) {
  const body = JSON.stringify({ model: "m", tools: TOOLS, messages, ...extra });
  return fetch(`${url}/v1/messages`, { method: "POST", body, ...(signal === undefined ? {} : { signal }) });
}
const user = (content: unknown) => ({ role: "user", content });

async function reply(url: string, messages: unknown): Promise<{ content: unknown[]; stop_reason: string }> {
  return await (await ask(url, messages)).json();
}

Deno.test("scripted model: a plain prompt is answered with its beginning and length", async () => {
  await using model = await startScriptedModel();
  const prompt = "  hello\n\tworld ";
  const reminder = { type: "text", text: "<system-reminder>\nnot the user's\n</system-reminder>" };
  const { content } = await reply(model.url, [user([reminder, { type: "text", text: prompt }])]);
  deepStrictEqual(content, [{ type: "text", text: `REPLY: hello\n\tworld [length ${prompt.length}]` }]);
  strictEqual(model.lastPromptText(), prompt);
  deepStrictEqual(model.requests()[0]?.tools, ["Bash", "Agent", "AskUserQuestion"]);
});

Deno.test("scripted model: tools, errors and stop reasons follow the directive", async () => {
  await using model = await startScriptedModel();
  const bash = await reply(model.url, [user("SCRIPT:bash echo hi")]);
  strictEqual(bash.stop_reason, "tool_use");
  const result = user([{ type: "tool_result", tool_use_id: "x", content: "hi" }]);
  const after = await reply(model.url, [
    user("SCRIPT:bash echo hi"),
    { role: "assistant", content: [] },
    result,
  ]);
  match(JSON.stringify(after.content), /DONE after tool/);
  strictEqual((await reply(model.url, [user("SCRIPT:maxtok")])).stop_reason, "max_tokens");
  const error = await ask(model.url, [user("SCRIPT:err529")]);
  strictEqual(error.status, 529);
  strictEqual((await error.json()).error.type, "overloaded_error");
  match(await (await ask(model.url, [user("SCRIPT:sseerr")], { stream: true })).text(), /event: error/);
  const count = await fetch(`${model.url}/v1/messages/count_tokens`, { method: "POST", body: "{}" });
  deepStrictEqual(await count.json(), { input_tokens: 1 });
});

Deno.test("scripted model: a gate holds a reply until it is opened, and close() releases what is held", async () => {
  const model = await startScriptedModel();
  const held = reply(model.url, [user("SCRIPT:gate one")]);
  await model.reached("one");
  model.open("one");
  match(JSON.stringify((await held).content), /gate one opened/);
  const streamed = await ask(model.url, [user("SCRIPT:streamgate two")], { stream: true });
  await model.reached("two");
  await fetch(`${model.url}/control/open/two`, { method: "POST" }).then((response) => response.text());
  match(await streamed.text(), /message_stop/);
  const never = ask(model.url, [user("SCRIPT:gate three")]).then((response) => response.text(), () => "");
  await model.reached("three");
  await model.close();
  await never;
});

Deno.test("scripted model: as a program it prints its url", async () => {
  const path = join(import.meta.dirname ?? "", "..", "support", "scripted_model.ts");
  await using child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--quiet", path],
    stdout: "piped",
  }).spawn();
  const reader = child.stdout.getReader();
  const { value } = await reader.read();
  const { url } = JSON.parse(new TextDecoder().decode(value));
  strictEqual((await reply(url, [user("x")])).stop_reason, "end_turn");
  await reader.cancel();
  child.kill();
});

const SESSION = "99999999-2222-4333-8444-555555555555";

async function startClaude(sandbox: Sandbox): Promise<void> {
  const settings = JSON.stringify({ skipDangerousModePermissionPrompt: true });
  const env = ["IS_SANDBOX=1", "CLAUDE_CODE_SANDBOXED=1", "CLAUDE_CODE_DISABLE_ALTERNATE_SCREEN=1"];
  const command = [
    "claude",
    "--session-id",
    SESSION,
    "--dangerously-skip-permissions",
    "--settings",
    settings,
  ];
  const flags = env.flatMap((entry) => ["-e", entry]);
  const started = await sandbox.tmux(
    "new-session",
    "-d",
    "-s",
    "c",
    "-x",
    "150",
    "-y",
    "45",
    ...flags,
    ...command,
  );
  strictEqual(started.code, 0, started.stderr);
  await status(sandbox, "idle");
}

async function status(sandbox: Sandbox, wanted: string): Promise<void> {
  const folder = join(sandbox.claudeConfig, "sessions");
  await orScreen(
    sandbox,
    sandbox.eventually(async () => {
      for await (const { name } of Deno.readDir(folder)) {
        if (!name.endsWith(".json")) continue;
        if (JSON.parse(await Deno.readTextFile(join(folder, name))).status === wanted) return true;
      }
      return false;
    }, { what: `registry status ${wanted}`, timeoutMs: 30_000 }),
  );
}

/** Adds Claude Code's screen to what went wrong. */
async function orScreen<T>(sandbox: Sandbox, result: Promise<T>): Promise<T> {
  try {
    return await result;
  } catch (error) {
    throw new Error(`Claude Code's screen:\n${await sandbox.screen("c:")}`, { cause: error });
  }
}

/** Waits until Claude Code's transcript has as many queued messages. */
async function enqueued(sandbox: Sandbox, count: number): Promise<void> {
  const identity = {
    sessionId: SESSION,
    cwd: sandbox.workspace,
    config: sandbox.claudeConfig,
    permissionMode: "",
  };
  await orScreen(
    sandbox,
    sandbox.eventually(async () => {
      const text = await Deno.readTextFile(transcriptPath(identity));
      return text.split('"operation":"enqueue"').length > count;
    }, { what: `${count} queued messages` }),
  );
}

async function prompt(sandbox: Sandbox, text: string): Promise<void> {
  await sandbox.spawn("tmux", ["load-buffer", "-"], { stdin: text }).done();
  await sandbox.tmux("paste-buffer", "-p", "-r", "-t", "c:");
  await sandbox.tmux("send-keys", "-t", "c:", "Enter");
}

Deno.test("scripted model: the real Claude Code speaks to it, with text, tools and queued prompts", async () => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const { model } = sandbox;
  ok(model !== null);
  await startClaude(sandbox);

  const text = 'Two lines: "quotes", $(x) `y`, 漢字 👩‍👩‍👧 #z\n  SCRIPT:gate first';
  await prompt(sandbox, text);
  await model.reached("first");
  strictEqual(model.lastPromptText(), text);
  await status(sandbox, "busy");
  model.open("first");
  await status(sandbox, "idle");

  await prompt(sandbox, "SCRIPT:toolgate second echo from-the-tool");
  await model.reached("second");
  match(JSON.stringify(model.requests().at(-1)?.lastMessage), /from-the-tool/);
  await prompt(sandbox, "queued one");
  await enqueued(sandbox, 1);
  await prompt(sandbox, "queued two");
  await enqueued(sandbox, 2);
  model.open("second");
  await sandbox.eventually(() => model.prompts().length === 4, { what: "the queued prompts" });
  await status(sandbox, "idle");

  await prompt(sandbox, "SCRIPT:gatetool third true");
  await model.reached("third");
  await prompt(sandbox, "absorbed\n  with two lines");
  await enqueued(sandbox, 3);
  model.open("third");
  await sandbox.eventually(() => model.prompts().length === 6, { what: "the absorbed prompt" });
  await status(sandbox, "idle");
  deepStrictEqual(model.prompts(SESSION), [
    text,
    "SCRIPT:toolgate second echo from-the-tool",
    "queued one",
    "queued two",
    "SCRIPT:gatetool third true",
    "absorbed\n  with two lines",
  ]);
});
