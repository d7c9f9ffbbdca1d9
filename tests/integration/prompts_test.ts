/** What `create` and `kill --all` ask a person at a real terminal, and that they ask nobody else. */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import { createSandbox, type Sandbox } from "../support/harness.ts";
import { writeCommand } from "../support/live_session.ts";
import { created, type Json, json, registryFile, rows, sql, tmuxSessions } from "../support/sandbox_state.ts";
import { ShellPane } from "../support/shell_pane.ts";

async function terminal(): Promise<
  { sandbox: Sandbox; pane: ShellPane; [Symbol.asyncDispose](): Promise<void> }
> {
  const sandbox = await createSandbox({ agent: "stub" });
  await writeCommand(sandbox);
  const pane = await ShellPane.open(sandbox, "bash");
  return { sandbox, pane, [Symbol.asyncDispose]: () => sandbox.close() };
}

/** Runs it and what the shell says of its exit code, without waiting for either. */
const run = (pane: ShellPane, command: string) => pane.type(`${command}; echo "exit=$?"`, "Enter");

/** The screen once the command has ended. */
const ended = (pane: ShellPane) => pane.shows(/exit=\d/);

/** The frame of a question that waits for an answer. */
const asks = (pane: ShellPane, question: string) => pane.shows(`◆  ${question}`);

function exists(path: string): boolean {
  try {
    Deno.statSync(path);
    return true;
  } catch {
    return false;
  }
}

Deno.test("create without arguments asks for agent, folder, mode and description", async () => {
  await using world = await terminal();
  const { sandbox, pane } = world;
  await sandbox.folder("home/src/api");
  await run(pane, "dev-sessions create");
  await asks(pane, "Which agent?");
  await pane.type("Down", "Up", "Enter");
  await asks(pane, "In which folder?");
  await pane.type("~/src/nothing", "Enter");
  await pane.shows("There is no such folder");
  for (let count = 0; count < "nothing".length; count++) await pane.type("BSpace");
  await pane.type("api", "Enter");
  await asks(pane, "In which mode?");
  await pane.type("Down", "Enter");
  await asks(pane, "What is it for?");
  await pane.type("the login form", "Enter");
  await ended(pane);
  const [record, ...others] = await json<Json[]>(sandbox, ["list"]);
  deepStrictEqual(others, []);
  const { cli, path, mode, description } = record!;
  deepStrictEqual([cli, path, mode, description], [
    "claude",
    `${sandbox.home}/src/api`,
    "native",
    "the login form",
  ]);
});

Deno.test("create's questions begin with what is set, and empty lines mean here and nothing", async () => {
  await using world = await terminal();
  const { sandbox, pane } = world;
  await sandbox.folder("home/.dev-sessions");
  await Deno.writeTextFile(
    `${sandbox.home}/.dev-sessions/config.json`,
    '{"defaults":{"cli":"codex","mode":"native"}}',
  );
  await run(pane, "dev-sessions create");
  match(await asks(pane, "Which agent?"), /● codex/);
  await pane.type("Up", "Enter");
  await asks(pane, "In which folder?");
  await pane.type("Enter");
  match(await asks(pane, "In which mode?"), /● native/);
  await pane.type("Up", "Enter");
  await asks(pane, "What is it for?");
  await pane.type("Enter");
  match(await ended(pane), /Created session \S+\nexit=0/);
  const [record] = await json<Json[]>(sandbox, ["list"]);
  const { cli, path, mode, description } = record!;
  deepStrictEqual([cli, path, mode, description], ["claude", sandbox.workspace, "yolo", undefined]);
});

Deno.test("Ctrl-C, Ctrl-D and Escape at any question are exit code 130, and nothing is created", async (t) => {
  await using world = await terminal();
  const { sandbox, pane } = world;
  const questions = ["Which agent?", "In which folder?", "In which mode?", "What is it for?"];
  const keys = ["C-c", "C-d", "Escape", "C-c"];
  for (const [index, question] of questions.entries()) {
    await t.step(`${keys[index]} at ${question}`, async () => {
      await run(pane, "dev-sessions create");
      for (const earlier of questions.slice(0, index)) {
        await asks(pane, earlier);
        await pane.type("Enter");
      }
      await asks(pane, question);
      await pane.type(keys[index]!);
      match(await ended(pane), /Cancelled: nothing has changed\nexit=130/);
      // The terminal takes lines again, as it did before.
      await pane.clear();
      await pane.type("stty -a | grep -ow -- '-*icanon'", "Enter");
      await pane.shows(/^icanon$/m);
      await pane.clear();
    });
  }
  deepStrictEqual([rows(sandbox), await tmuxSessions(sandbox)], [[], []]);
  strictEqual(exists(registryFile(sandbox)), false);
});

Deno.test("create asks nobody who has said something, who is a script or an agent", async (t) => {
  await using world = await terminal();
  const { sandbox, pane } = world;
  const calls = [
    "dev-sessions create --yes",
    "dev-sessions create -q",
    "dev-sessions create < /dev/null",
    "dev-sessions create | cat",
    "echo $(dev-sessions create)",
    "dev-sessions create 2> /dev/null",
    "DEV_SESSIONS_ID=fizz-top dev-sessions create",
    "TERM=dumb dev-sessions create",
  ];
  for (const [index, line] of calls.entries()) {
    await t.step(line, async () => {
      await run(pane, line);
      const screen = await ended(pane);
      match(screen, /exit=0/);
      ok(!screen.includes("◆"), screen);
      strictEqual(rows(sandbox).length, index + 1);
      await pane.clear();
    });
  }
});

Deno.test("kill --all shows what it would end, and ends that after a yes", async () => {
  await using world = await terminal();
  const { sandbox, pane } = world;
  const a = await created(sandbox, ["-d", "the login form"]);
  const b = await created(sandbox);
  await run(pane, "dev-sessions kill --all > killed.txt");
  // A pipe or a file at stdout is a script.
  await ended(pane);
  strictEqual(
    (await Deno.readTextFile(`${sandbox.workspace}/killed.txt`)).includes("Killed 2 session(s)"),
    true,
  );
  await pane.clear();
  deepStrictEqual(rows(sandbox), [`${a} ended`, `${b} ended`]);

  const [c, d] = [await created(sandbox, ["-d", "the login form"]), await created(sandbox)];
  await run(pane, "dev-sessions kill --all");
  const question = await asks(pane, "End these 2 sessions?");
  match(question, new RegExp(`^${c} +claude +idle .* the login form`, "m"));
  match(question, new RegExp(`^${d} +claude`, "m"));
  ok(!question.includes(a), question);
  // Started while the question stood: nobody agreed to its end.
  const late = await created(sandbox);
  await pane.type("y");
  match(await ended(pane), /Killed 2 session\(s\)\nexit=0/);
  deepStrictEqual(rows(sandbox).slice(2), [`${c} ended`, `${d} ended`, `${late} active`]);
});

Deno.test("kill --all that is turned down ends nothing, with exit code 130", async (t) => {
  await using world = await terminal();
  const { sandbox, pane } = world;
  const id = await created(sandbox);
  const table: readonly (readonly [key: string, said: string])[] = [
    ["n", "Not confirmed: no session was ended"],
    ["Enter", "Not confirmed: no session was ended"],
    ["C-c", "Cancelled: nothing has changed"],
    ["C-d", "Cancelled: nothing has changed"],
  ];
  for (const [key, said] of table) {
    await t.step(key, async () => {
      await run(pane, "dev-sessions kill --all --json");
      await asks(pane, "End this session?");
      await pane.type(key);
      match(await ended(pane), new RegExp(`${said}.*\\s+exit=130`));
      deepStrictEqual(rows(sandbox), [`${id} active`]);
      await pane.clear();
    });
  }
});

Deno.test("kill --older-than asks for the old ones, and spares one that is used meanwhile", async () => {
  await using world = await terminal();
  const { sandbox, pane } = world;
  const [a, b, c] = [await created(sandbox), await created(sandbox), await created(sandbox)];
  for (const id of [a, b]) {
    sql(sandbox, "UPDATE sessions SET last_used_at = '2026-01-01T00:00:00.000Z' WHERE id = ?", id);
  }
  await run(pane, "dev-sessions kill --older-than 24h");
  const question = await asks(pane, "End these 2 sessions?");
  ok(question.includes(a) && question.includes(b) && !question.includes(c), question);
  strictEqual((await sandbox.run(["send", b, "go on"])).code, 0);
  await pane.type("y");
  match(await ended(pane), new RegExp(`Killed session ${a}\nKilled 1 session\\(s\\)\nexit=0`));
  deepStrictEqual(rows(sandbox), [`${a} ended`, `${b} active`, `${c} active`]);
});

Deno.test("kill asks nothing with --yes, where nothing is live and for what is named", async (t) => {
  await using world = await terminal();
  const { sandbox, pane } = world;
  const cases: readonly (readonly [argument: (id: string) => string, said: RegExp])[] = [
    [() => "--all --yes", /Killed 1 session\(s\)\nexit=0/],
    [(id) => id, /Killed session \S+\nexit=0/],
    [() => "@api", /Killed 1 session\(s\)\nexit=0/],
  ];
  for (const [argument, said] of cases) {
    const id = await created(sandbox, ["--group", "api"]);
    await t.step(`kill ${argument("<id>")}`, async () => {
      await run(pane, `dev-sessions kill ${argument(id)}`);
      match(await ended(pane), said);
      await pane.clear();
    });
  }
  await run(pane, "dev-sessions kill --all");
  match(await ended(pane), /No matching sessions to kill\nexit=0/);
});
