/** Stdin that does not end, stdout that can't be written, arguments that are no text: told, and nothing is lost. */

import { deepStrictEqual, doesNotMatch, match, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { cliCommand, type RunSettings, type Sandbox } from "../support/harness.ts";
import type { RunningCommand, RunOutput } from "../support/running_command.ts";
import { json, rows } from "../support/sandbox_state.ts";
import { withSession } from "../support/stub_session.ts";

const END_MS = 20_000;
/** More than a pipe holds: who has written it all has a reader. */
const FILLED = 80_000;

/** Runs the CLI with a stdin that somebody holds open; resolves when it has begun to read. */
async function startReading(sandbox: Sandbox, args: readonly string[]): Promise<RunningCommand> {
  const pipe = join(sandbox.root, crypto.randomUUID());
  const script = `mkfifo "$0" && exec 3<>"$0" || exit 99
    (head -c ${FILLED} /dev/zero >&3; : > "$0.read") &
    exec "$@" <&3`;
  const reading = sandbox.spawn("sh", ["-c", script, pipe, ...cliCommand(), ...args]);
  await sandbox.eventually(() => Deno.stat(`${pipe}.read`).then(() => true, () => false), {
    what: "stdin is read",
  });
  return reading;
}

/** Runs the CLI with a stdout on which there is no room. */
async function runFull(
  sandbox: Sandbox,
  args: readonly string[],
  settings: RunSettings = {},
): Promise<RunOutput> {
  const full = sandbox.spawn("sh", ["-c", 'exec "$@" > /dev/full', "sh", ...cliCommand(), ...args], settings);
  return await full.doneWithin(END_MS, args.join(" "));
}

Deno.test("a signal ends a command that reads its message from stdin, and nothing is done", () =>
  withSession({}, async (session, sandbox) => {
    const before = rows(sandbox);
    const cases: readonly (readonly [Deno.Signal, readonly string[]])[] = [
      ["SIGINT", ["send", session.id, "-f", "-"]],
      ["SIGTERM", ["send", session.id, "-f", "-"]],
      ["SIGINT", ["ask", session.id, "-f", "-"]],
      ["SIGINT", ["create", "-f", "-"]],
    ];
    for (const [signal, args] of cases) {
      await using reading = await startReading(sandbox, args);
      reading.kill(signal);
      const { code, stdout, stderr } = await reading.doneWithin(END_MS, args.join(" "));
      deepStrictEqual([code, stdout, stderr], [
        130,
        "",
        "Interrupted while the message was read from stdin: nothing was done\n",
      ], args.join(" "));
    }
    deepStrictEqual([rows(sandbox), await session.keys()], [before, []]);
  }));

Deno.test("what was done is told on stderr when stdout can't be written", () =>
  withSession({}, async (session, sandbox) => {
    const first =
      /^Cannot write the result to stdout: No space left on device .*The command was carried out; its result was:\n/;
    const sent = await runFull(sandbox, ["send", session.id, "hello", "--json"]);
    strictEqual(sent.code, 1);
    const { error } = JSON.parse(sent.stderr);
    match(error.message, /^Cannot write the result to stdout/);
    deepStrictEqual(JSON.parse(error.detail).result, "submitted");

    const created = await runFull(sandbox, ["create", "-q"]);
    strictEqual(created.code, 1);
    match(created.stderr, first);
    const id = created.stderr.trim().split("\n").at(-1)?.trim();
    deepStrictEqual(rows(sandbox), [`${session.id} active`, `${id} active`]);

    const made = await runFull(sandbox, ["gateway", "token", "create", "-q", "--root", sandbox.workspace]);
    strictEqual(made.code, 1);
    match(made.stderr, first);
    const [token] = await json<{ id: string }[]>(sandbox, ["gateway", "token", "list"]);
    match(
      made.stderr,
      new RegExp(`token ${token!.id}, which nobody has now.*gateway token revoke ${token!.id}\n$`),
    );
    doesNotMatch(made.stderr, /[A-Za-z0-9_-]{32}/);
  }));

Deno.test("an argument that is not UTF-8 is refused, not replaced", () =>
  withSession({}, async (session, sandbox) => {
    const run = (bytes: string, ...args: string[]) =>
      sandbox.spawn("sh", ["-c", `exec "$@" "$(printf '${bytes}')"`, "sh", ...cliCommand(), ...args])
        .doneWithin(END_MS, args.join(" "));
    const refused = await run("caf\\351 \\377", "send", session.id);
    deepStrictEqual([refused.code, refused.stdout], [2, ""]);
    match(
      refused.stderr,
      /^Cannot read the argument "caf\uFFFD \uFFFD": it is not valid UTF-8 at byte 3\n.*iconv/,
    );
    match((await run("\\377", "create", "-p")).stderr, /^Cannot read the argument "\uFFFD"/);
    deepStrictEqual(await session.keys(), []);

    // Somebody may have written the very character.
    const meant = await run("a \\357\\277\\275", "send", session.id);
    deepStrictEqual([meant.code, meant.stderr], [0, ""]);
    deepStrictEqual(await session.prompts(), ["a \uFFFD"]);
  }));
