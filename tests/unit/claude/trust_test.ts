/** Which folders Claude's configuration trusts. */

import { deepStrictEqual } from "node:assert/strict";
import { isTrusted } from "../../../backends/claude/trust.ts";
import { claudeStateFile } from "../../../lib/paths.ts";

const config = (projects: unknown) => JSON.stringify({ hasCompletedOnboarding: true, projects });
const YES = { hasTrustDialogAccepted: true, allowedTools: [] };
const NO = { hasTrustDialogAccepted: false };

const TABLE: readonly (readonly [name: string, config: string, trusted: boolean])[] = [
  ["the folder itself", config({ "/src/app": YES }), true],
  ["its folder there", config({ "/src/app": NO, "/src/app/web/api": YES }), true],
  ["a folder between the two", config({ "/src/app/web": YES }), true],
  ["a folder around the repository, where Claude does not look", config({ "/src": YES, "/": YES }), false],
  ["asked, and not trusted", config({ "/src/app": NO }), false],
  ["a folder within it", config({ "/src/app/web/api/sub": YES, "/src/app/other": YES }), false],
  ["a folder of a similar name", config({ "/src/ap": YES, "/src/app2": YES }), false],
  ["nothing", config({}), false],
  ["no projects", "{}", false],
  ["something else than an object", config({ "/src/app": true }), false],
  ["something else than true", config({ "/src/app": { hasTrustDialogAccepted: "yes" } }), false],
  ["no JSON", "{", false],
  ["an empty file", "", false],
];

Deno.test("isTrusted() believes only Claude's own word", async (t) => {
  for (const [name, text, trusted] of TABLE) {
    await t.step(name, () => deepStrictEqual(isTrusted(text, "/src/app/web/api", "/src/app"), trusted));
  }
});

Deno.test("claudeStateFile() is beside the folder, or in the one that CLAUDE_CONFIG_DIR names", () => {
  deepStrictEqual(claudeStateFile("/home/u", null), "/home/u/.claude.json");
  deepStrictEqual(claudeStateFile("/home/u", "/x/claude"), "/x/claude/.claude.json");
});
