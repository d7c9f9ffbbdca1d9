/** `logs --follow` prints what `logs` prints, as it comes; a person at a terminal sees who works, a pipe nothing of it. */

import { deepStrictEqual, doesNotMatch, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import type { Sandbox } from "../support/harness.ts";
import { type StubSession, withSession } from "../support/stub_session.ts";

const END_MS = 30_000;
const MAIN = new URL("../../main.ts", import.meta.url).pathname;

async function turn(session: StubSession, text: string): Promise<void> {
  await session.sent(text);
  strictEqual((await session.run("wait", "-t", "20")).code, 0);
}

/** Runs the CLI at a terminal of its own, 70 cells wide; its stdout goes to a file when one is named. */
async function atTerminal(sandbox: Sandbox, args: string, name: string): Promise<() => Promise<string>> {
  const command = `'${Deno.execPath()}' run -A --quiet '${MAIN}' ${args}; echo "over: $?"; exec cat`;
  const { code, stderr } = await sandbox.tmux(
    ...["new-session", "-d", "-s", name, "-x", "70", "-y", "20", "sh", "-c", command],
  );
  strictEqual(code, 0, stderr);
  return () => sandbox.screen(name);
}

function shows(sandbox: Sandbox, screen: () => Promise<string>, text: RegExp): Promise<string> {
  let seen = "";
  return sandbox.eventually(async () => text.test(seen = await screen()) ? seen : "", {
    what: `${text} at the terminal`,
  });
}

Deno.test("logs --follow prints the conversation as it grows, the same as logs in the end", () =>
  withSession({}, async (session, sandbox) => {
    await turn(session, "before");
    await using text = sandbox.start(["logs", session.id, "--follow"]);
    await using tools = sandbox.start(["logs", session.id, "--follow", "--tools", "--json"]);
    for (const follower of [text, tools]) {
      await sandbox.eventually(() => follower.stdout.includes("REPLY: before"), {
        what: "what was said before",
      });
    }
    await turn(session, "SCRIPT:bash echo out");
    for (const follower of [text, tools]) {
      await sandbox.eventually(() => follower.stdout.includes("DONE after tool"), { what: "what is said" });
    }
    await session.type("/clear");
    await session.type("Enter");
    await sandbox.eventually(async () => (await session.prompts()).includes("/clear"), { what: "/clear" });
    await session.becomes("idle");
    await turn(session, "anew");
    strictEqual((await sandbox.run(["kill", session.id])).code, 0);
    const [ended, endedTools] = [
      await text.doneWithin(END_MS, "logs"),
      await tools.doneWithin(END_MS, "logs"),
    ];
    deepStrictEqual([ended.code, ended.stderr, endedTools.code, endedTools.stderr], [0, "", 0, ""]);
    strictEqual(ended.stdout, (await session.run("logs")).stdout);
    const entries = endedTools.stdout.trim().split("\n").map((line) => JSON.parse(line));
    deepStrictEqual(entries, (await session.json("logs", "--tools")).json);
    strictEqual((await session.run("logs", "--follow")).stdout, ended.stdout);
  }));

Deno.test("logs --follow is stopped by a signal, and ends when its reader goes away", () =>
  withSession({}, async (session, sandbox) => {
    await turn(session, "hello");
    await using follower = sandbox.start(["logs", session.id, "--follow"]);
    await sandbox.eventually(() => follower.stdout.includes("REPLY: hello"), { what: "the conversation" });
    follower.kill("SIGINT");
    const stopped = await follower.doneWithin(END_MS, "logs --follow");
    deepStrictEqual([stopped.code, stopped.stderr], [130, "Interrupted\n"]);
    strictEqual((await sandbox.run(["logs", "nobody-top", "--follow"])).code, 3);
    const command =
      `'${Deno.execPath()}' run -A --quiet '${MAIN}' logs ${session.id} --follow 2>err | head -n 1`;
    const piped = sandbox.spawn("sh", ["-c", `${command}; cat err`]);
    await session.sent("once more");
    strictEqual((await piped.doneWithin(END_MS, "logs | head")).stdout, "[HUMAN]\n");
  }));

Deno.test("wait shows a line at a terminal while it waits, and removes it", () =>
  withSession({}, async (session, sandbox) => {
    const gate = session.gate();
    await session.sent(`SCRIPT:gate ${gate.path}`);
    const screen = await atTerminal(sandbox, `wait ${session.id} -t 60`, "waiter");
    const piped = await atTerminal(sandbox, `wait ${session.id} -t 60 2>${sandbox.root}/err`, "piped");
    await using json = sandbox.start(["wait", session.id, "--json"]);
    await shows(sandbox, screen, new RegExp(`^${session.id} working \\d+s$`));
    const first = await screen();
    await sandbox.eventually(async () => await screen() !== first, { what: "another second" });
    strictEqual(await piped(), "");
    await gate.open();
    strictEqual(await shows(sandbox, screen, /over/), "completed\nover: 0");
    strictEqual(await shows(sandbox, piped, /over/), "completed\nover: 0");
    strictEqual(await Deno.readTextFile(join(sandbox.root, "err")), "");
    deepStrictEqual((await json.doneWithin(END_MS, "wait")).stderr, "");
  }));

Deno.test("logs --follow shows what is waited for, cut to the terminal's width", () =>
  withSession({ args: ["--mode", "native"] }, async (session, sandbox) => {
    await turn(session, "hello");
    await session.sent(`SCRIPT:permission echo ${"long ".repeat(30)}`);
    await session.becomes("waiting_for_input");
    const screen = await atTerminal(sandbox, `logs ${session.id} --follow`, "follower");
    const seen = await shows(sandbox, screen, / waiting for a permission \(Bash: echo long [ long]*…$/);
    strictEqual(seen.split("\n").at(-1)!.length, 69);
    strictEqual((await sandbox.run(["kill", session.id])).code, 0);
    const over = await shows(sandbox, screen, /over: 0/);
    doesNotMatch(over, /waiting for/);
    match(over, /\[ASSISTANT\]\nREPLY: hello/);
  }));
