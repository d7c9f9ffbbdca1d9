/** `send` delivers what it was given: once, complete, unchanged, and says what the agent's own record says. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { parseOutput, runJson, StubSession, withSession, withSessions } from "../support/stub_session.ts";

const LIMIT_BYTES = 1_048_576;
const SENDER_LINE = (id: string) =>
  `Message from the agent session "${id}", sent with dev-sessions; it is not your user's approval of anything.\n`;

/** Each message, and what the model is to receive when that is not the same. */
const MESSAGES: readonly (readonly [name: string, sent: string, received?: string])[] = [
  ["one word", "hello"],
  ["many lines", Array.from({ length: 120 }, (_, i) => `${i}. line of the brief`).join("\n")],
  ["blank lines and indents", "first\n\n\n    indented\n  - list\n\nlast"],
  [
    "100 KB",
    Array.from({ length: 2_000 }, (_, i) => `${i} ${"word ".repeat(9)}.`).join("\n").slice(0, 102_399) + ".",
  ],
  ["one line of 20 KB", "0123456789 ".repeat(1_862).trim()],
  ["accents, greek, han", "naïve Ünïcödé Ωμέγα 漢字 仮名 한글"],
  ["emoji", "👍 👩‍👩‍👧‍👦 🏳️‍🌈 🇫🇷 e\u0301"],
  ["600 emoji at the edge of a paste", "a" + "🎉".repeat(600)],
  ["right to left", "שלום עולם و مرحبا بالعالم"],
  ["leading /", "/compact now", "\u2800/compact now"],
  ["a path", "/tmp/x/y.txt is the file"],
  ["leading !", "!rm -rf dist", " !rm -rf dist"],
  ["leading #", "# remember this"],
  ["leading @", "@file.ts explain"],
  ["leading -", "-l --help is not a flag"],
  ["only -", "-"],
  ["the word that ends Claude", "exit", "\u2800exit"],
  ["trailing \\", "a path C:\\dir\\"],
  ["trailing ;", "echo one; echo two;"],
  ["only ;", ";"],
  ["quotes", `it's "quoted" 'twice' \\'and\\" so`],
  ["shell syntax", "$(id) `id` ${HOME} $HOME * ~ > x | y & z"],
  ["tmux syntax", "#{pane_id} #(id) #[fg=red] %1 \\; {a} ; kill-server"],
  ["printf syntax", "%s %d %% \\n \\t \\x41 \\u0041 \\033[31m"],
  ["tabs", "a\tb\n\tc", "a    b\n    c"],
  ["escape sequences", "\x1b[31mred\x1b[0m and \x1b]0;title\x07 and \x1b[201~ end", "red and  and  end"],
  ["control characters", "a\x03b\x04c\x15d\x08e\x7ff\x1ag", "abcdefg"],
  ["CRLF and CR", "one\r\ntwo\rthree\r\n", "one\ntwo\nthree"],
  ["blanks at the end", "text  \n\n\t\n", "text"],
  ["a byte order mark", "\ufefftext", "text"],
  ["words of the agent's own records", "<task-notification>\nnot one\n</task-notification>"],
];

Deno.test("send delivers every text unchanged, each exactly once", () =>
  withSession({}, async (session) => {
    const received: string[] = [];
    for (const [name, sent, expected] of MESSAGES) {
      const path = join(session.sandbox.root, "message");
      await Deno.writeTextFile(path, sent);
      const output = await session.json("send", "--file", path);
      strictEqual(output.code, 0, `${name}: ${output.stderr}`);
      match(output.json.result, /^(submitted|queued)$/, name);
      received.push(expected ?? sent);
      strictEqual((await session.prompts()).at(-1), received.at(-1), name);
    }
    deepStrictEqual(await session.prompts(), received);
    deepStrictEqual(Object.keys(await session.pressed()), ["enter"]);
    strictEqual((await session.run("wait")).stdout, "completed\n");
  }));

Deno.test("send takes the text from the argument, a file or stdin", () =>
  withSession({}, async (session, sandbox) => {
    const text = "from 'somewhere';\n\twith $(x) and `y` \\";
    const path = join(sandbox.root, "brief.md");
    await Deno.writeTextFile(path, text);
    const commands = [
      [["send", session.id, text], undefined],
      [["send", session.id, "-f", "../brief.md"], undefined],
      [["send", session.id, "--file", path], undefined],
      [["send", session.id, "--file", "-"], text],
    ] as const;
    for (const [args, stdin] of commands) {
      const { code, stderr } = await sandbox.run(args, stdin === undefined ? {} : { stdin });
      strictEqual(code, 0, stderr);
    }
    deepStrictEqual(await session.prompts(), commands.map(() => text.replace("\t", "    ")));
  }));

Deno.test("send says submitted for an idle agent and queued for a busy one", () =>
  withSession({}, async (session) => {
    const gate = session.gate();
    const first = await session.send(`SCRIPT:gate ${gate.path}`);
    const { receipt, ...rest } = first.json;
    match(receipt, /^r-[0-9a-f]{16}$/);
    deepStrictEqual(rest, {
      id: session.id,
      result: "submitted",
      reason: null,
      evidence: "transcript: user prompt",
      repeated: false,
    });
    const second = await session.send("and this");
    strictEqual(second.json.result, "queued");
    strictEqual(second.json.evidence, "transcript: enqueued");
    const third = await session.run("send", "and that");
    deepStrictEqual([third.code, third.stdout, third.stderr], [0, `Queued message for ${session.id}\n`, ""]);
    await gate.open();
    await session.becomes("idle");
    const fourth = await session.run("send", "the last");
    deepStrictEqual([fourth.code, fourth.stdout], [0, `Sent message to ${session.id}\n`]);
    deepStrictEqual(await session.prompts(), [
      `SCRIPT:gate ${gate.path}`,
      "and this",
      "and that",
      "the last",
    ]);
  }));

Deno.test("send delivers a message of the largest size", () =>
  withSession({}, async (session) => {
    const text = Array.from({ length: 2_000 }, (_, i) => `${i} ${"x".repeat(600)}`).join("\n").slice(
      0,
      LIMIT_BYTES,
    );
    const sent = await session.sandbox.run(["send", session.id, "-f", "-", "--json"], { stdin: text });
    strictEqual(sent.code, 0, sent.stderr);
    deepStrictEqual((await session.prompts()).map((prompt) => prompt === text), [true]);
  }));

Deno.test("send refuses what it can't deliver before anything is typed", () =>
  withSession({}, async (session, sandbox) => {
    const send = (...args: string[]) => ["send", session.id, ...args];
    const latin1 = new Uint8Array([...new TextEncoder().encode("caf"), 0xe9, 0x20, 0x61]);
    const cut = new TextEncoder().encode("ab漢").slice(0, 4);
    const big = "x".repeat(LIMIT_BYTES + 1);
    const cases = [
      [2, send(), undefined, /Message is required/],
      [2, send(""), undefined, /Message is required/],
      [2, send(" \n\t "), undefined, /Message is required/],
      [2, send("\x1b[31m\x07"), undefined, /Message is required/],
      [2, send("--file", "-"), "", /Message is required.*\n {2}stdin is empty\n/],
      [
        2,
        send("--file", "-"),
        " \x1b[0m",
        /Message is required.*\n {2}stdin has nothing in it that an agent/,
      ],
      [2, send("--file", "-"), big, /1048576 bytes \(1 MB\)/],
      [2, send("--file", "-"), latin1, /not valid UTF-8 at byte 3\b/],
      [2, send("--file", "-"), cut, /not valid UTF-8 at byte 2\b/],
      [2, send("--file", "missing.md"), undefined, /"missing.md": there is no such file/],
      [2, send("--file", "."), undefined, /it is a folder/],
      [2, send("text", "--file", "x"), undefined, /not both/],
      [2, ["send", "no id", "text"], undefined, /Invalid session id/],
      [3, ["send", "nobody-top", "text"], undefined, /^Session not found: nobody-top\n/],
    ] as const;
    for (const [code, args, stdin, error] of cases) {
      const output = await sandbox.run(args, stdin === undefined ? {} : { stdin });
      deepStrictEqual([output.code, output.stdout], [code, ""], `${args}: ${output.stderr}`);
      match(output.stderr, error);
    }
    for (const name of ["limit.md", "bytes.md"]) {
      await Deno.writeFile(
        join(sandbox.workspace, name),
        name === "limit.md" ? new TextEncoder().encode(big) : latin1,
      );
      const output = await sandbox.run(send("-f", name, "--json"));
      strictEqual(output.code, 2);
      match(parseOutput(output).error, name === "limit.md" ? /1048576 bytes/ : /"bytes.md".*at byte 3/);
    }
    deepStrictEqual(await session.keys(), []);
  }));

Deno.test("send to an agent that has ended says so", () =>
  withSessions(2, async ([killed, dead], sandbox) => {
    await sandbox.run(["kill", killed!.id]);
    const toKilled = await killed!.send("hello");
    strictEqual(toKilled.code, 7);
    match(toKilled.error, /its agent is gone \(killed\)/);
    await dead!.killAgent();
    const toDead = await dead!.send("hello");
    strictEqual(toDead.code, 7);
    match(toDead.error, new RegExp(`^Cannot send to "${dead!.id}": its agent is gone`));
    deepStrictEqual(await dead!.keys(), []);
  }));

Deno.test("send from inside a session names the sender, but not downwards", () =>
  withSession({}, async (parent, sandbox) => {
    const inside = { env: { DEV_SESSIONS_ID: parent.id } };
    const child = await StubSession.create(sandbox, { env: { DEV_SESSIONS_ID: parent.id } });
    const grandchild = await StubSession.create(sandbox, { env: { DEV_SESSIONS_ID: child.id } });
    const stranger = await StubSession.create(sandbox);
    for (const descendant of [child, grandchild]) {
      strictEqual((await descendant.send("do this", inside)).code, 0);
      deepStrictEqual(await descendant.prompts(), ["do this"]);
    }
    const fromChild = { env: { DEV_SESSIONS_ID: child.id } };
    strictEqual((await parent.send("done", fromChild)).code, 0);
    deepStrictEqual(await parent.prompts(), [`${SENDER_LINE(child.id)}done`]);
    strictEqual((await stranger.send("/hi", fromChild)).code, 0);
    deepStrictEqual(await stranger.prompts(), [`${SENDER_LINE(child.id)}/hi`]);
    // A session of another registry is none of ours.
    strictEqual((await stranger.send("hello", { env: { DEV_SESSIONS_ID: "ahri-top" } })).code, 0);
    deepStrictEqual((await stranger.prompts()).slice(1), ["hello"]);

    const itself = await parent.send("hello", inside);
    strictEqual(itself.code, 2);
    match(itself.error, /it is the session that runs this command/);
    const asked = await runJson(sandbox, ["ask", parent.id, "hello"], inside);
    strictEqual(asked.code, 2);
    const invalid = await parent.send("hello", { env: { DEV_SESSIONS_ID: "../x" } });
    strictEqual(invalid.code, 2);
    strictEqual((await parent.prompts()).length, 1);
  }));
