/** A page of help shows the whole call, and what each option takes. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { commands } from "../../support/command_tree.ts";
import { call } from "./harness.ts";

const CALLS: readonly (readonly [verb: string, call: string])[] = [
  ["send", "dev-sessions send <id> [message] [options]"],
  ["respond", "dev-sessions respond <id> [text] [options]"],
  ["wait", "dev-sessions wait <id...> [options]"],
  ["events", "dev-sessions events [id...] [options]"],
  ["list", "dev-sessions list [options]"],
  ["completions", "dev-sessions completions <shell>"],
  ["gateway token create", "dev-sessions gateway token create --root <path> [options]"],
];

for (const [verb, expected] of CALLS) {
  Deno.test(`help ${verb} begins with the call`, async () => {
    const { stdout } = await call(["help", ...verb.split(" ")]);
    strictEqual(stdout.split("\n")[1], `  ${expected}`);
  });
}

Deno.test("each option of a page stands with what it takes, its text in one column", async () => {
  for (const { verb, options } of await commands()) {
    const { stdout } = await call(["help", ...verb.split(" ")]);
    const lines = stdout.slice(stdout.indexOf("\nFLAGS\n") + 7).split("\n\n")[0]!.trimEnd().split("\n");
    const columns = lines.map((line) =>
      /^.*?\S {2,}(?=\S)(?!-)/.exec(line.replace(/^ +/, (indent) => "_".repeat(indent.length)))?.[0].length
    );
    strictEqual(new Set(columns).size, 1, `${verb}: ${columns}`);
    for (const option of options) {
      const shown = option.replace(/^-\w\//, "");
      match(
        lines.join("\n"),
        new RegExp(`\\[?${shown.replace(/[[\]|.]/g, "\\$&")}(?![\\w<-])`),
        `${verb} ${option}`,
      );
    }
  }
});

Deno.test("a switch takes nothing, an option that may stand alone shows its value in brackets", async () => {
  const { stdout } = await call(["help", "create"]);
  const shown = ["json", "worktree", "path", "agent-arg"].map((name) =>
    new RegExp(`\\[?--${name}\\b(?:(?!  ).)*`).exec(stdout.slice(stdout.indexOf("FLAGS")))?.[0]
  );
  deepStrictEqual(shown, ["[--json]", "[--worktree [branch]]", "[--path <path>]", "[--agent-arg <arg>]..."]);
});
