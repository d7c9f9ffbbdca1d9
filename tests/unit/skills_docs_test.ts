/**
 * What the skills say of commands and exit codes is what the command tree has, and agents can read their heads. With
 * UPDATE_TABLES=1 in the environment the tables are written instead of compared.
 */

import { deepStrictEqual, fail, match, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { fitAnswer } from "../../lib/answers.ts";
import { exitCodesHelp } from "../../lib/cli/help.ts";
import type { PendingInput } from "../../lib/session.ts";
import { SKILLS } from "../../lib/skills.ts";
import { commands } from "../support/command_tree.ts";
import { PERMISSION } from "./cli/harness.ts";

/** Claude Code's and Codex's own limits. */
const MAX_NAME_CHARS = 64;
const MAX_DESCRIPTION_CHARS = 1024;
/** Every line is read by a model whenever the skill is used. */
const MAX_LINES = 300;

async function verbTable(): Promise<string> {
  const lines = (await commands()).flatMap(({ verb, parameters, brief, options }) => [
    `${[verb, ...parameters].join(" ")}: ${brief}`,
    ...(options.length === 0 ? [] : [`    ${options.join(", ")}`]),
  ]);
  return ["", "```text", ...lines, "```", "", ""].join("\n");
}

function exitCodeTable(): string {
  return ["", "```text", ...exitCodesHelp().split("\n").slice(2), "```", "", ""].join("\n");
}

/** What stands between the marks; null where the skill has no such table. */
function tableIn(text: string, name: string): string | null {
  return between(name).exec(text)?.[2] ?? null;
}

function between(name: string): RegExp {
  return new RegExp(`(<!-- ${name} -->\n)([\\s\\S]*?)(<!-- /${name} -->)`);
}

async function assertTable(skill: string, name: string, found: string | null, expected: string) {
  if (found === expected) return;
  const update = "UPDATE_TABLES=1 deno test -A tests/unit/skills_docs_test.ts";
  const where = `skills/${skill}/SKILL.md: between <!-- ${name} --> and <!-- /${name} -->`;
  if (Deno.env.get("UPDATE_TABLES") !== "1") {
    fail(`${where} must stand (write it with: ${update}):\n${expected}`);
  }
  const file = join(import.meta.dirname ?? "", "..", "..", "skills", skill, "SKILL.md");
  const text = await Deno.readTextFile(file);
  ok(tableIn(text, name) !== null, where);
  await Deno.writeTextFile(
    file,
    text.replace(between(name), (_, open, __, close) => `${open}${expected}${close}`),
  );
}

Deno.test("the table of verbs in the skill dev-sessions is the command tree", async () => {
  for (const { name, text } of SKILLS) {
    const found = tableIn(text, "commands");
    if (found === null) ok(name !== "dev-sessions", "the skill dev-sessions has a table of verbs");
    else await assertTable(name, "commands", found, await verbTable());
  }
});

Deno.test("the table of exit codes in each skill is that of help exit-codes", async () => {
  for (const { name, text } of SKILLS) {
    await assertTable(name, "exit-codes", tableIn(text, "exit-codes"), exitCodeTable());
  }
});

Deno.test("each skill begins with a head that agents can read, and with a look at the context", () => {
  deepStrictEqual(SKILLS.map(({ name }) => name), ["dev-sessions", "handoff", "delegate"]);
  for (const { name, text } of SKILLS) {
    const [, head = "", body = ""] = /^---\n([\s\S]*?)\n---\n([\s\S]*)$/.exec(text) ?? [];
    const keys = head.split("\n").map((line) => /^([a-z]+): (\S.*)$/.exec(line)?.slice(1) ?? [line]);
    deepStrictEqual(
      keys.map(([key]) => key),
      ["name", "description"],
      `one line each, nothing else: ${head}`,
    );
    const [[, called], [, description = ""]] = keys as [string[], string[]];
    strictEqual(called, name);
    match(name, /^[a-z0-9]+(-[a-z0-9]+)*$/);
    ok(name.length <= MAX_NAME_CHARS);
    ok(description.length <= MAX_DESCRIPTION_CHARS, `${name}: the description is too long`);
    // A plain YAML scalar: these would begin something else.
    ok(!/: | #|^[[\]{}&*!|>'"%@`-]/.test(description), `${name}: the description is no plain YAML text`);
    const [first = ""] = [...body.matchAll(/^## (?:\d+\. )?(.*)$/gm)].map(([, title = ""]) => title);
    match(first, /^Check the context/);
    const block = /^```sh\n([\s\S]*?)^```/m.exec(body)?.[1] ?? "";
    for (const word of ["command -v dev-sessions", "DEV_SESSIONS_ID", "DEV_SESSIONS_SANDBOX"]) {
      ok(block.includes(word), `${name} does not check ${word} first`);
    }
    match(body, /`dev-sessions help`/);
    ok(text.split("\n").length <= MAX_LINES, `${name} is too long`);
  }
});

Deno.test("what the skill dev-sessions says of several questions fits them", () => {
  const { text } = SKILLS.find(({ name }) => name === "dev-sessions")!;
  const [, command = ""] = /^Several questions[\s\S]*?`(dev-sessions respond [^`]*)`/m.exec(text) ?? [];
  const options = [...command.matchAll(/--option (?:"([^"]*)"|(\S+))/g)].map(([, quoted, plain]) =>
    quoted ?? plain ?? ""
  );
  const question = (multiSelect: boolean) => ({
    question: "Which?",
    header: "",
    multiSelect,
    options: ["Ham", "Egg", "Corn"].map((label) => ({ label, description: "" })),
  });
  const questions = [question(false), question(true), question(false)];
  const pending: PendingInput = { ...PERMISSION, kind: "question", questions };
  deepStrictEqual(fitAnswer("fizz-top", pending, { kind: "options", options }), {
    kind: "answers",
    answers: [["Egg"], ["Ham", "Corn"], ["keep both"]],
  });
});
