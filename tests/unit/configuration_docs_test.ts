/** docs/configuration.md names every variable that the program heeds or sets, every path of it, and every key of config.json. */

import { deepStrictEqual, ok } from "node:assert/strict";
import { join } from "node:path";
import { parseConfig } from "../../lib/config.ts";
import { messageOf } from "../../lib/errors.ts";

const CHECKOUT = join(import.meta.dirname ?? "", "..", "..");
const PAGE = await Deno.readTextFile(join(CHECKOUT, "docs", "configuration.md"));
/** Where the program itself is. */
const PROGRAM = ["main.ts", "lib", "backends", "gateway", "build"];

/** `env["NAME"]`, `env.get("NAME")`, `FOO_NAME = "NAME"`, and keys of an environment that is made. */
const READ = [
  /"(DOCKER_[A-Z_]+)"/g,
  /\benv\["(\w+)"\]/g,
  /\benv\.(?:get|has|delete)\("(\w+)"/g,
  /\b[A-Z_]+_NAME = "([A-Z][A-Z_]{3,})"/g,
  /^ {4,}([A-Z][A-Z_]{3,}): (?:"|session\.)/gm,
];

async function* sources(path: string, ending: string): AsyncIterable<string> {
  const { isFile } = await Deno.stat(path);
  if (isFile) return yield await Deno.readTextFile(path);
  for await (const { name, isDirectory } of Deno.readDir(path)) {
    if (isDirectory || name.endsWith(ending)) yield* sources(join(path, name), ending);
  }
}

async function namesIn(paths: readonly string[], patterns: readonly RegExp[]): Promise<Set<string>> {
  const names = new Set<string>();
  for (const path of paths) {
    for await (const text of sources(join(CHECKOUT, path), path.endsWith(".sh") ? ".sh" : ".ts")) {
      for (const pattern of patterns) {
        for (const [, name] of text.matchAll(pattern)) if (name !== undefined) names.add(name);
      }
    }
  }
  return names;
}

const stands = (name: string) => new RegExp(`\`[^\`\n]*\\b${name}\\b`).test(PAGE);
const lacking = (names: Iterable<string>) => [...names].filter((name) => !stands(name)).sort();

Deno.test("docs/configuration.md names every variable of the program", async () => {
  const names = await namesIn(PROGRAM, READ);
  ok(names.size > 20 && names.has("HOME") && names.has("DEV_SESSIONS_CODEX_URL"), [...names].join(" "));
  deepStrictEqual(lacking(names), []);
});

Deno.test("docs/configuration.md names every DEV_SESSIONS variable of installer and tests", async () => {
  const own = /\b(DEV_SESSIONS_[A-Z][A-Z_]*[A-Z])\b/g;
  const names = await namesIn([
    "install.sh",
    "main.ts",
    "lib",
    "backends",
    "gateway",
    "tests",
    "bench",
    "demo",
  ], [
    own,
  ]);
  // Prefixes of names, the names of imaginary variables, and one that is Codex's side of a token's file.
  const known = new Set(["DEV_SESSIONS_TEST", "DEV_SESSIONS_CODEX_REMOTE_TOKEN", "DEV_SESSIONS_GATEWAY"]);
  deepStrictEqual(lacking([...names].filter((name) => !known.has(name))), []);
});

Deno.test("docs/configuration.md names no DEV_SESSIONS variable that there is not", async () => {
  const own = /\b(DEV_SESSIONS_[A-Z][A-Z_]*[A-Z])\b/g;
  const names = await namesIn(["install.sh", "main.ts", "lib", "backends", "gateway", "tests"], [own]);
  const told = [...PAGE.matchAll(own)].map(([, name]) => name ?? "");
  deepStrictEqual([...new Set(told)].filter((name) => !names.has(name)), []);
});

Deno.test("docs/configuration.md names every path of lib/paths.ts", async () => {
  const names = await namesIn(["lib/paths.ts"], [/\$\{(?:state|codexHome)\}\/([\w.-]+)/g]);
  const bases = await namesIn(["lib/paths.ts"], [/\$\{base\}(\.\w+)/g]);
  ok(names.size > 8 && bases.size === 3, [...names, ...bases].join(" "));
  const full = [...names].filter((name) => name !== "codex-appserver");
  deepStrictEqual(lacking([...full, ...[...bases].map((end) => `codex-appserver\\${end}`)]), []);
});

Deno.test("docs/configuration.md tells of every key of config.json", () => {
  let said = "";
  try {
    parseConfig('{"nonsense":1}', "config.json");
  } catch (error) {
    said = messageOf(error);
  }
  const keys = /The keys are (.*)$/.exec(said)?.[1]?.split(", ") ?? [];
  ok(keys.length > 3, said);
  deepStrictEqual(keys.filter((key) => !PAGE.includes(`| \`${key}\``)), []);
});
