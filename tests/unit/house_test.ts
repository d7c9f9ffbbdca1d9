/** Every room of the house imports only from the rooms that it may know: the core knows no agent and no transport. */

import { deepStrictEqual, ok } from "node:assert/strict";
import { dirname, join, normalize } from "node:path";

const CHECKOUT = join(import.meta.dirname ?? "", "..", "..");

/**
 * A room is a folder or one file; a file belongs to the longest name that fits. Its own room each may import, and
 * beside it those that are named here.
 */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  "main.ts": ["lib", "lib/cli", "lib/open_service.ts"],
  "lib": ["lib/open_service.ts", "backends", "backends/registry.ts"],
  // Here alone the core learns that a service may be elsewhere.
  "lib/open_service.ts": ["lib", "gateway"],
  "lib/cli": ["lib", "lib/open_service.ts", "backends", "backends/registry.ts", "gateway"],
  // What all agents have in common.
  "backends": ["lib"],
  "backends/registry.ts": ["lib", "backends", "backends/claude", "backends/codex"],
  // Each agent is started without the marks of all.
  "backends/outer_agents.ts": ["backends/claude", "backends/codex"],
  "backends/claude": ["lib", "backends", "backends/docker", "backends/outer_agents.ts"],
  "backends/codex": ["lib", "backends", "backends/docker", "backends/outer_agents.ts"],
  // A container calls the gateway of its host: it gets a token of it.
  "backends/docker": ["lib", "gateway", "backends/outer_agents.ts"],
  "gateway": ["lib"],
};

function roomOf(path: string): string | null {
  const rooms = Object.keys(MAY_IMPORT).filter((room) => path === room || path.startsWith(`${room}/`));
  return rooms.sort((a, b) => b.length - a.length)[0] ?? null;
}

function importsOf(source: string): string[] {
  // What is mentioned in a text or a comment has no place behind one of these words.
  const found = source.matchAll(/^(?:import|export)\b[^"';]*"(\.[^"]+)"|\bimport\(\s*"(\.[^"]+)"/gm);
  return [...found].map(([, plain, lazy]) => plain ?? lazy ?? "");
}

async function* modulesIn(folder: string): AsyncGenerator<string> {
  for await (const { name, isDirectory } of Deno.readDir(join(CHECKOUT, folder))) {
    if (isDirectory) yield* modulesIn(join(folder, name));
    else if (name.endsWith(".ts")) yield join(folder, name);
  }
}

async function modules(): Promise<string[]> {
  const found = ["main.ts"];
  for (const folder of ["lib", "backends", "gateway"]) {
    for await (const path of modulesIn(folder)) found.push(path);
  }
  return found;
}

Deno.test("a room imports only from the rooms that it may know", async () => {
  const wrong: string[] = [];
  let arrows = 0;
  for (const path of await modules()) {
    const room = roomOf(path);
    ok(room !== null, `"${path}" is in no room: give it one above`);
    for (const name of importsOf(await Deno.readTextFile(join(CHECKOUT, path)))) {
      const target = normalize(join(dirname(path), name));
      if (!target.endsWith(".ts")) continue;
      arrows++;
      const there = roomOf(target);
      if (there !== room && !(there !== null && MAY_IMPORT[room]!.includes(there))) {
        wrong.push(`${path} -> ${target}`);
      }
    }
  }
  deepStrictEqual(wrong, []);
  ok(arrows > 500, `only ${arrows} imports were found`);
});

Deno.test("importsOf() finds imports of every form", () => {
  deepStrictEqual(
    importsOf([
      'import { a } from "./a.ts";',
      'import type { B } from "../b.ts";',
      'import {\n  c,\n  d,\n} from "./c.ts";',
      'import "./e.ts";',
      'export * from "./f.ts";',
      'const { g } = await import("./g.ts");',
      'import * as v from "valibot";',
      'const text = "from ./h.ts";',
    ].join("\n")),
    ["./a.ts", "../b.ts", "./c.ts", "./e.ts", "./f.ts", "./g.ts"],
  );
});
