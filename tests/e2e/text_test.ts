/** What the model receives is what was sent, whatever the text, and in each of Claude Code's editor modes. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { createSession, type LiveSession, modelOf, step } from "../support/live_session.ts";

/** Stands in front of what Claude would take for a command; blank, but not white space. */
const GUARD = "\u2800";
/** Of 100 KB on a machine under load; 5 s on an idle one. */
const SEND_TIMEOUT_MS = 150_000;

interface Case {
  readonly name: string;
  readonly sent: string;
  /** Unless it is what was sent. */
  readonly received?: string;
}

const HUNDRED_KB = Array.from({ length: 1_600 }, (_, i) => `line ${i}: ${"0123456789".repeat(5)} äöü`).join(
  "\n",
);

const CASES: readonly Case[] = [
  { name: "many lines", sent: Array.from({ length: 60 }, (_, i) => `line ${i}`).join("\n") },
  { name: "empty lines and indents", sent: "  first\n\n\n    second\n  third" },
  { name: "unicode", sent: "Grüße, 漢字かな交じり, ñandú, Ωμέγα" },
  { name: "emoji with joiners and skin tones", sent: "👩‍👩‍👧 👍🏽 🏳️‍🌈 end" },
  { name: "right to left", sent: "שלום עולם and مرحبا بالعالم" },
  { name: "decomposed letters", sent: "Cafe\u0301", received: "Caf\u00e9" },
  { name: "leading slash, a word", sent: "/help me", received: `${GUARD}/help me` },
  { name: "leading slash, an unknown command", sent: "/nosuch", received: `${GUARD}/nosuch` },
  { name: "leading slash, a path", sent: "/tmp/file is not there" },
  { name: "leading !", sent: "!echo no shell", received: " !echo no shell" },
  { name: "leading #", sent: "# a heading" },
  { name: "leading @", sent: "@nobody said so" },
  { name: "leading -", sent: "--help does not work" },
  { name: "leading ?", sent: "? what" },
  { name: "trailing backslash", sent: "ends with \\" },
  { name: "trailing semicolon", sent: "ends with ;" },
  { name: "semicolon alone", sent: ";" },
  { name: "quotes", sent: `it's "quoted" 'twice' and \\'escaped\\'` },
  { name: "shell and tmux syntax", sent: "$(x) `y` ${HOME} $HOME %1 #{pane_id} #(date) ~ * | > <" },
  { name: "a word that ends Claude: exit", sent: "exit", received: `${GUARD}exit` },
  { name: "a word that ends Claude: quit", sent: "quit", received: `${GUARD}quit` },
  { name: "a word that ends Claude: :q", sent: ":q", received: `${GUARD}:q` },
  { name: "a digit, as in a menu", sent: "1" },
  { name: "tabs", sent: "a\tb\n\tc", received: "a    b\n    c" },
  { name: "CRLF and CR", sent: "a\r\nb\rc", received: "a\nb\nc" },
  {
    name: "escape sequences and control characters",
    sent: "a\x1b[31mred\x1b[0m \x1b]0;title\x07b\x03c\x15d\x00e\x7ff\x1b[201~g",
    received: "ared bcdefg",
  },
  { name: "white space at the end", sent: "text  \n\n", received: "text" },
  { name: "XML that looks like Claude's own", sent: "<command-name>/x</command-name> <b>&amp;</b>" },
  { name: "an emoji's short code", sent: "ends with :smile" },
];

/** Once: the same text may be a case of several editor modes. */
async function receives(session: LiveSession, { sent, received = sent }: Case, args: string[] = []) {
  const model = modelOf(session.sandbox);
  const before = model.prompts(session.claudeId).length;
  const flags = args.length > 0 ? args : ["--", sent];
  const stdin = args.at(-1) === "-" ? { stdin: sent } : {};
  await session.expect(0, "send", flags, { ...stdin, timeoutMs: SEND_TIMEOUT_MS });
  await session.sandbox.eventually(() => model.prompts(session.claudeId).length > before, {
    what: `the prompt ${JSON.stringify(sent.slice(0, 60))} at the model`,
  });
  deepStrictEqual(model.prompts(session.claudeId).slice(before), [received]);
}

Deno.test("the model receives the text that was sent", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  const session = await createSession(sandbox);
  for (const example of CASES) {
    // An argument can't hold a NUL.
    const file = join(sandbox.root, "message");
    await Deno.writeTextFile(file, example.sent);
    const args = example.sent.includes("\0") ? ["--file", file] : [];
    await step(t, example.name, () => receives(session, example, args));
  }
  await step(t, "100 KB from a file", async () => {
    const file = join(sandbox.workspace, "brief.md");
    await Deno.writeTextFile(file, HUNDRED_KB);
    await receives(session, { name: "", sent: HUNDRED_KB }, ["--file", "brief.md"]);
  });
  await step(t, "a brief from stdin", async () => {
    const sent = `# Brief\n\n${"word ".repeat(400)}end\n`;
    await receives(session, { name: "", sent, received: sent.trimEnd() }, ["--file", "-"]);
  });
  await step(t, "what can't be sent is a usage error, and nothing arrives", async () => {
    const before = modelOf(sandbox).prompts().length;
    for (const nothing of ["", "  \n ", "\x1b[0m"]) {
      await session.assertCode(await session.run("send", ["--", nothing]), 2, "send");
    }
    const invalid = join(sandbox.root, "latin1.txt");
    await Deno.writeFile(invalid, new Uint8Array([0x61, 0xe4, 0x62]));
    const refused = await session.run("send", ["--file", invalid]);
    await session.assertCode(refused, 2, "send");
    match(refused.stderr, /not valid UTF-8 at byte 1/);
    const long = await session.run("send", ["--file", "-"], { stdin: "x".repeat(1_048_577) });
    await session.assertCode(long, 2, "send");
    match(long.stderr, /limit of 1048576 bytes/);
    strictEqual(modelOf(sandbox).prompts().length, before);
  });
});

Deno.test("Claude's vim mode, inserting and in normal mode", async (t) => {
  await using sandbox = await createSandbox({ agent: "claude" });
  await writeSettings(sandbox, { editorMode: "vim" });
  const session = await createSession(sandbox);
  const cases: readonly Case[] = [
    { name: "words that are commands of vim", sent: "dd :wq and jk, iasd\nddG" },
    { name: "leading slash", sent: "/help me", received: `${GUARD}/help me` },
    { name: "leading !", sent: "!echo no shell", received: " !echo no shell" },
    { name: "trailing backslash", sent: "ends with \\" },
    { name: "many lines", sent: Array.from({ length: 40 }, (_, i) => `line ${i}`).join("\n") },
  ];
  await session.shows("-- INSERT --");
  for (const example of cases) {
    await step(t, `inserting: ${example.name}`, () => receives(session, example));
  }
  for (const example of cases) {
    await step(t, `normal: ${example.name}`, async () => {
      await session.reaches("idle");
      if ((await session.screen()).includes("-- INSERT --")) await session.press("Escape");
      await sandbox.eventually(async () => !(await session.screen()).includes("-- INSERT --"), {
        what: "vim's normal mode",
      });
      await receives(session, example);
    });
  }
});

async function writeSettings(sandbox: Sandbox, settings: unknown): Promise<void> {
  await Deno.mkdir(sandbox.claudeConfig, { recursive: true });
  await Deno.writeTextFile(join(sandbox.claudeConfig, "settings.json"), JSON.stringify(settings));
}
