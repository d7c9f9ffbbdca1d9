/** Sessions of the real Claude Code start, or fail clearly, in every surrounding that people and agents have. */

import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type RunSettings, type Sandbox } from "../support/harness.ts";
import {
  assertNothingLeft,
  createSession,
  LiveSession,
  modelOf,
  openSession,
  step,
  writeCommand,
} from "../support/live_session.ts";

/** What Claude Code exports to the commands of its Bash tool. */
const OUTER_CLAUDE = {
  CLAUDECODE: "1",
  CLAUDE_CODE_CHILD_SESSION: "1",
  CLAUDE_CODE_SESSION_ID: "11111111-2222-4333-8444-555555555555",
  CLAUDE_CODE_ENTRYPOINT: "cli",
  CLAUDE_CODE_EXECPATH: "/nonexistent/claude",
  CLAUDE_CODE_MESSAGING_SOCKET: "/nonexistent/socket",
  CLAUDE_CODE_MESSAGING_TOKEN: "outer-secret",
  CLAUDE_PID: "1",
  CLAUDE_EFFORT: "medium",
  AI_AGENT: "claude-code",
};

const exists = (path: string) => Deno.stat(path).then(() => true, () => false);

function transcriptOf(session: LiveSession): Promise<string> {
  return findFile(join(session.record.handle.configFolder, "projects"), `${session.claudeId}.jsonl`);
}

async function findFile(root: string, name: string): Promise<string> {
  for await (const folder of Deno.readDir(root)) {
    const path = join(root, folder.name, name);
    if (await exists(path)) return path;
  }
  throw new Error(`No ${name} below ${root}`);
}

/** Fails, says this, and leaves neither row, folder, tmux session nor process. */
async function createFails(
  sandbox: Sandbox,
  { args = [], ...settings }: { args?: readonly string[] } & Pick<RunSettings, "env">,
  ...texts: RegExp[]
): Promise<void> {
  const { code, stdout, stderr } = await sandbox.run(["create", ...args], settings);
  strictEqual(code, 1, stdout + stderr);
  for (const text of texts) match(stderr, text);
  doesNotMatch(stderr, /^ +at /m);
  strictEqual((await sandbox.run(["list", "--all"])).stdout, "No sessions\n");
  deepStrictEqual([...Deno.readDirSync(join(sandbox.home, ".dev-sessions", "sessions"))], []);
  await assertNothingLeft(sandbox);
}

Deno.test("started from inside another Claude Code", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const model = modelOf(sandbox);

  await step(t, "nothing of the outer session's environment reaches the agent", async () => {
    const session = await createSession(sandbox, [], { env: OUTER_CLAUDE });
    const environment = (await Deno.readTextFile(`/proc/${session.pid}/environ`)).split("\0");
    const outer = Object.entries(OUTER_CLAUDE).map(([name, value]) => `${name}=${value}`);
    deepStrictEqual(environment.filter((entry) => outer.includes(entry)), []);
    ok(environment.includes(`DEV_SESSIONS_ID=${session.id}`));
    strictEqual(await session.turn("SCRIPT:plain nested"), "REPLY: nested [length 19]");
    match(await Deno.readTextFile(await transcriptOf(session)), /REPLY: nested/);
    strictEqual((await session.live())?.sessionId, session.claudeId);
    doesNotMatch(await session.screen(), /Transcript saving is off/);
    await session.expect(0, "kill");
  });

  await step(t, "an agent's Bash tool creates, asks and kills an agent of its own", async () => {
    await writeCommand(sandbox);
    const parent = await createSession(sandbox, ["-d", "parent"]);
    const child = join(sandbox.root, "child");
    const steps = [
      `id=$(dev-sessions create -q -d child)`,
      `echo "$id" > ${child}`,
      `dev-sessions send "$id" "from the parent"`,
      `dev-sessions wait "$id"`,
      `dev-sessions last-message "$id" > ${child}.said`,
      `dev-sessions send ${parent.id} myself; test $? -eq 2`,
    ].join(" && ");
    await parent.send(`SCRIPT:bash ${steps}`);
    await parent.completed();
    ok(await exists(`${child}.said`), await parent.lastMessage());
    strictEqual(await Deno.readTextFile(`${child}.said`), "REPLY: from the parent [length 15]\n");
    const nested = await openSession(sandbox, (await Deno.readTextFile(child)).trim());
    strictEqual(nested.record.parent, parent.id);
    // Downwards not one byte is added; upwards the message says whose it is.
    ok(model.prompts(nested.claudeId).includes("from the parent"));
    await nested.send(`SCRIPT:bash dev-sessions send ${parent.id} "from the child"`);
    await nested.completed();
    await parent.completed();
    match(
      model.prompts(parent.claudeId).at(-1) ?? "",
      new RegExp(
        `^Message from the agent session "${nested.id}".*not your user's approval.*\\nfrom the child$`,
      ),
    );
    await parent.send("SCRIPT:bash dev-sessions kill --all");
    await parent.completed();
    strictEqual(await nested.expect(0, "status"), "gone");
    strictEqual(await parent.expect(0, "status"), "idle");
    await parent.expect(0, "kill");
  });
  await assertNothingLeft(sandbox);
});

Deno.test("a create that can't succeed says why and leaves nothing", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  await step(t, "an untrusted folder in native mode", () =>
    createFails(
      sandbox,
      { args: ["--mode", "native"] },
      /Claude asks whether to trust this folder\. Trust it with --trust/,
      /Its last screen:[\s\S]*trust this folder/,
    ));
  await step(t, "settings that Claude does not understand", async () => {
    const settings = join(sandbox.claudeConfig, "settings.json");
    await Deno.mkdir(sandbox.claudeConfig, { recursive: true });
    await Deno.writeTextFile(settings, "{ this is no JSON");
    await createFails(sandbox, {}, /issue with its settings/, /Invalid or malformed JSON/);
    await Deno.remove(settings);
  });
  await step(t, "a user who is not signed in", () =>
    createFails(
      sandbox,
      { env: { ANTHROPIC_AUTH_TOKEN: undefined } },
      /Claude is not signed in\. Run claude by hand and sign in with \/login/,
    ));
  await step(t, "an API key that the user has not approved", () =>
    createFails(
      sandbox,
      { env: { ANTHROPIC_AUTH_TOKEN: undefined, ANTHROPIC_API_KEY: "sk-ant-api03-scripted-scripted" } },
      /Claude asks whether to use the API key in ANTHROPIC_API_KEY/,
    ));
  await step(t, "a user who has never set up Claude", async () => {
    await Deno.remove(join(sandbox.home, ".claude.json"));
    await createFails(sandbox, {}, /Claude has not been set up for this user\. Run claude once by hand/);
  });
});

Deno.test("folders with odd names, and another configuration folder", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const long = `long/${"abcdefghij".repeat(12)}/${"0123456789".repeat(12)}`;
  const odd = "with space, dots.and_Ümläut 漢 'quote' $x;";
  await Deno.symlink(await sandbox.folder("target"), join(sandbox.root, "link"));
  for (const name of [odd, long, "link"]) {
    await step(t, name.slice(0, 50), async () => {
      const path = name === "link" ? join(sandbox.root, "link") : await sandbox.folder(name);
      const session = await createSession(sandbox, ["--path", path]);
      const answer = join(sandbox.root, "pwd");
      await session.turn(`SCRIPT:bash pwd -P > ${answer}`);
      strictEqual(await Deno.readTextFile(answer), `${await Deno.realPath(path)}\n`);
      await transcriptOf(session);
      await session.expect(0, "kill");
    });
  }
  await step(t, "CLAUDE_CONFIG_DIR elsewhere, and later commands without it", async () => {
    const config = await sandbox.folder("other config");
    await Deno.copyFile(join(sandbox.home, ".claude.json"), join(config, ".claude.json"));
    const session = await createSession(sandbox, [], { env: { CLAUDE_CONFIG_DIR: config } });
    strictEqual(await session.turn("SCRIPT:plain elsewhere"), "REPLY: elsewhere [length 22]");
    ok((await transcriptOf(session)).startsWith(config));
    match(await session.expect(0, "status", ["--explain"]), /^idle\n[\s\S]*live registry: idle/);
    await session.expect(0, "kill");
  });
  await assertNothingLeft(sandbox);
});

Deno.test("a user who has switched all hooks off", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const model = modelOf(sandbox);
  await Deno.mkdir(sandbox.claudeConfig, { recursive: true });
  await Deno.writeTextFile(join(sandbox.claudeConfig, "settings.json"), '{"disableAllHooks":true}');
  const session = await createSession(sandbox);

  await step(t, "a turn is delivered, waited for and read", async () => {
    await session.send("SCRIPT:gate hookless");
    await model.reached("hookless");
    const wait = session.wait();
    await session.stillWaiting(wait, "working");
    model.open("hookless");
    await session.over(wait, 0);
    strictEqual(await session.lastMessage(), "REPLY: gate hookless opened");
    match(
      await session.expect(0, "status", ["--explain"]),
      /hooks: no event was ever written: hooks are off/,
    );
  });

  await step(t, "an interrupt, an error and a question are seen", async () => {
    await session.send("SCRIPT:streamgate interrupted");
    await model.reached("interrupted");
    await session.press("Escape");
    await session.over(session.wait(), 6);
    await session.send("SCRIPT:err400");
    match((await session.over(session.wait(), 6)).stderr, /scripted invalid_request_error/);
    await session.send("SCRIPT:ask");
    match((await session.over(session.wait(), 5)).stderr, /a question/);
  });
  await session.expect(0, "kill");
  await assertNothingLeft(sandbox);
});

Deno.test("people at the session's terminal", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const session = await createSession(sandbox);

  await step(t, "a draft is kept, and send is refused", async () => {
    await session.type("half a thought");
    await session.shows("half a thought");
    const refused = await session.run("send", ["SCRIPT:plain over it"]);
    await session.assertCode(refused, 4, "send");
    match(refused.stderr, /its input box holds text that was not sent: "half a thought"/);
    await session.shows("half a thought");
    await session.clearDraft("half a thought");
    strictEqual(await session.turn("SCRIPT:plain after"), "REPLY: after [length 18]");
  });

  await step(t, "copy mode is left first", async () => {
    await sandbox.tmux("copy-mode", "-t", session.pane);
    strictEqual(await session.turn("SCRIPT:plain scrolled"), "REPLY: scrolled [length 21]");
  });

  await step(t, "a person is attached, with another size of terminal", async () => {
    // Its stdin stays open: at an end of file `script` would press Ctrl-D.
    const fifo = join(sandbox.root, "keys");
    const attach = `tmux attach-session -t '=${session.record.handle.tmuxSession}'`;
    await using _client = sandbox.spawn("sh", [
      "-c",
      `mkfifo ${fifo}; exec 3<>${fifo}; exec script -qfc "${attach}" /dev/null <&3`,
    ]);
    await sandbox.eventually(
      async () => (await sandbox.tmux("list-clients", "-F", "#{client_name}")).stdout.trim() !== "",
      { what: "an attached client" },
    );
    strictEqual(await session.turn("SCRIPT:plain attached"), "REPLY: attached [length 21]");
    const lines = Array.from({ length: 30 }, (_, i) => `line ${i}`).join("\n");
    match(await session.turn(lines), /^REPLY: line 0\n/);
  });
  await session.expect(0, "kill");
  await assertNothingLeft(sandbox);
});
