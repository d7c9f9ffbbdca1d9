/** What README, docs and help say of commands, options and exit codes is what the command tree has. */

import { strict as assert } from "node:assert";
import { join } from "node:path";
import { findVerb } from "../../lib/cli/find_verb.ts";
import { exitCodesHelp } from "../../lib/cli/help.ts";
import { EXIT_CODES } from "../../lib/errors.ts";
import { type Command, commands } from "../support/command_tree.ts";
import { call } from "./cli/harness.ts";

const CHECKOUT = join(import.meta.dirname ?? "", "..", "..");
/** What may stand in a verb's place. */
const FREE_WORDS = new Set(["help", "--help", "-h", "--version", "-V", "rpc", "not"]);

async function pages(): Promise<Map<string, string>> {
  const found = new Map<string, string>();
  for (const name of ["README.md", "CHANGELOG.md", "CONTRIBUTING.md"]) {
    found.set(name, await Deno.readTextFile(join(CHECKOUT, name)));
  }
  for await (const { name } of Deno.readDir(join(CHECKOUT, "docs"))) {
    if (name.endsWith(".md")) {
      found.set(`docs/${name}`, await Deno.readTextFile(join(CHECKOUT, "docs", name)));
    }
  }
  for await (const { name } of Deno.readDir(join(CHECKOUT, "skills"))) {
    found.set(`skills/${name}`, await Deno.readTextFile(join(CHECKOUT, "skills", name, "SKILL.md")));
  }
  return found;
}

/** The rows of the table between `<!-- name -->` and `<!-- /name -->`, without its head, cells without padding. */
function tableIn(page: string, name: string): string[][] {
  const between = new RegExp(`<!-- ${name} -->\n([\\s\\S]*?)<!-- /${name} -->`).exec(page)?.[1];
  assert.ok(between !== undefined, `there is no table between <!-- ${name} --> and <!-- /${name} -->`);
  return between.trim().split("\n").slice(2).map((row) =>
    row.replaceAll("\\|", "\u0000").split("|").slice(1, -1).map((cell) =>
      cell.trim().replaceAll("\u0000", "|")
    )
  );
}

function markdown(rows: readonly (readonly string[])[]): string {
  return rows.map((row) => `| ${row.map((cell) => cell.replaceAll("|", "\\|")).join(" | ")} |`).join("\n");
}

/** With UPDATE_TABLES=1 the table is written instead (`deno fmt` pads its cells). */
async function assertTable(file: string, name: string, expected: readonly string[][]): Promise<void> {
  const page = (await pages()).get(file) ?? "";
  if (Deno.env.get("UPDATE_TABLES") !== "1") {
    const update = "UPDATE_TABLES=1 deno test -A tests/unit/docs_test.ts && deno fmt README.md docs";
    assert.deepEqual(
      tableIn(page, name),
      expected,
      `the table in ${file} is out of date; write it with: ${update}`,
    );
    return;
  }
  const table = new RegExp(`(<!-- ${name} -->\n\n.*\n.*\n)[\\s\\S]*?(<!-- /${name} -->)`);
  assert.match(page, table);
  const written = page.replace(table, (_, head, end) => `${head}${markdown(expected)}\n\n${end}`);
  await Deno.writeTextFile(join(CHECKOUT, file), written);
}

/** Each use of the command in a text: the words that follow its name, without what is quoted. */
function uses(text: string): string[][] {
  const code = text.replace(/\\\n\s*/g, " ").replace(/"(?:[^"\\\n]|\\.)*"|'[^'\n]*'/g, "Q");
  return [...code.matchAll(/(?:^|[\s`$(])dev-sessions((?: +[^\s`|;&)#]+)+)/gm)].map((match) =>
    (match[1] ?? "").trim().split(/ +/)
  );
}

/** Uses in a page: only what stands in code. */
function usesInPage(page: string): string[][] {
  const blocks = [...page.matchAll(/^```.*\n([\s\S]*?)^```/gm)].map((match) => match[1] ?? "");
  const spans = [...page.replace(/^```[\s\S]*?^```/gm, "").matchAll(/`([^`\n]+)`/g)].map((match) =>
    match[1] ?? ""
  );
  return [...blocks, ...spans].flatMap(uses);
}

function problemOf(words: readonly string[], known: readonly Command[]): string | null {
  const [first = ""] = words;
  // A version, in what a program says of itself.
  if (FREE_WORDS.has(first) || first.startsWith("<") || /^\d/.test(first)) return null;
  const found = findVerb(words, known.map(({ verb }) => verb));
  if (found.kind !== "verb") return `there is no command "${found.words}"`;
  const { name: verb, rest } = found;
  const command = known.find((one) => one.verb === verb)!;
  const end = rest.indexOf("--");
  for (const word of end === -1 ? rest : rest.slice(0, end)) {
    if (!/^--?[a-zA-Z]/.test(word)) continue;
    const flag = word.split("=")[0] ?? "";
    // The value of --agent-arg is an option of the agent.
    if (rest[rest.indexOf(word) - 1] === "--agent-arg") continue;
    if (!command.accepted.has(flag)) return `"${verb}" has no option ${flag}`;
  }
  return null;
}

Deno.test("README's table of commands, and the one with their options, are the command tree", async () => {
  const calls = (await commands()).map(({ verb, parameters, brief, options }) => ({
    call: `\`${[verb, ...parameters].join(" ")}\``,
    brief,
    options: options.map((option) => `\`${option}\``).join(", "),
  }));
  await assertTable("README.md", "commands", calls.map(({ call, brief }) => [call, brief]));
  await assertTable("docs/commands.md", "options", calls.map(({ call, options }) => [call, options]));
});

Deno.test("README's table of exit codes is that of help exit-codes, and has every code once", async () => {
  const rows = exitCodesHelp().split("\n").flatMap((line) => {
    const [, code, meaning, then] = /^ *(\d+) {2}(\S.*?) {2,}(\S.*)$/.exec(line) ?? [];
    return code === undefined ? [] : [[code, meaning ?? "", then ?? ""]];
  });
  const codes = [0, ...Object.values(EXIT_CODES)].sort((a, b) => a - b);
  assert.deepEqual(rows.map(([code]) => Number(code)), codes);
  await assertTable("README.md", "exit-codes", rows);
});

Deno.test("help names every command, and the help of each command its options", async () => {
  const { stdout } = await call(["help"]);
  for (const { verb, brief, accepted } of await commands()) {
    assert.match(stdout, new RegExp(`^  ${verb} +${brief}$`, "m"));
    const page = (await call(["help", ...verb.split(" ")])).stdout;
    for (const name of accepted) {
      if (name === "--id" || !name.startsWith("--")) continue;
      assert.ok(page.includes(name), `help ${verb} does not name ${name}`);
    }
  }
});

Deno.test("every command and option that help, README and docs use exists", async () => {
  const known = await commands();
  const texts = new Map<string, string[][]>([["help", uses((await call(["help"])).stdout)]]);
  for (const { verb, description } of known) texts.set(`help ${verb}`, uses(description));
  for (const [name, page] of await pages()) texts.set(name, usesInPage(page));
  const problems = [...texts].flatMap(([name, found]) =>
    found.flatMap((words) => {
      const problem = problemOf(words, known);
      return problem === null ? [] : [`${name}: dev-sessions ${words.join(" ")}: ${problem}`];
    })
  );
  assert.deepEqual(problems, []);
  for (const name of ["help", "README.md"]) {
    assert.ok((texts.get(name)?.length ?? 0) > 2, `${name} uses the command nowhere`);
  }
});
