/** What the hook prints for each answer, and which of Claude's suggestions are taken. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import {
  decisionOf,
  hookOutput,
  suggestionInWords,
  usableSuggestions,
} from "../../../backends/claude/decision.ts";
import type { FittingAnswer } from "../../../lib/session.ts";

const RULE = { type: "addRules", behavior: "allow", rules: [{ toolName: "Bash", ruleContent: "touch:*" }] };
const FOLDER = { type: "addDirectories", directories: ["/tmp"] };
const EDITS = { type: "setMode", mode: "acceptEdits" };

Deno.test("usableSuggestions() takes what allows certain things, never what skips all permissions", () => {
  const table: [given: unknown, words: string | null][] = [
    [undefined, null],
    ["x", null],
    [[], null],
    [[{ ...RULE, destination: "localSettings" }], "allow Bash(touch:*)"],
    [
      [{ ...RULE, rules: [{ toolName: "WebSearch" }, { toolName: "Bash", ruleContent: "a" }] }],
      "allow WebSearch, Bash(a)",
    ],
    [[FOLDER, EDITS], "allow access to /tmp; accept edits of files without asking"],
    [[{ type: "setMode", mode: "bypassPermissions" }], null],
    [[{ type: "setMode", mode: "auto" }, FOLDER], "allow access to /tmp"],
    [[{ ...RULE, behavior: "deny" }], null],
    [[{ ...RULE, type: "removeRules" }, null, 1, { type: "somethingNew" }], null],
  ];
  for (const [given, words] of table) {
    strictEqual(suggestionInWords(usableSuggestions(given)), words, JSON.stringify(given));
  }
});

Deno.test("decisionOf() says the answer in Claude's words", () => {
  const suggestions = [{ ...RULE, destination: "userSettings" }, {
    ...EDITS,
    destination: "projectSettings",
  }];
  const asks = { questions: [{ question: "Which?", x: 1 }, { question: "And?" }], metadata: { a: 1 } };
  const plan = { kind: "approve" } as const;
  deepStrictEqual(decisionOf(plan, { tool_name: "ExitPlanMode", tool_input: { plan: "x" } }), {
    behavior: "allow",
    updatedInput: { plan: "x" },
  });
  const table: [answer: FittingAnswer, input: unknown, decision: unknown][] = [
    [{ kind: "approve" }, {}, { behavior: "allow" }],
    [{ kind: "always" }, {}, {
      behavior: "allow",
      updatedPermissions: [{ ...RULE, destination: "session" }, { ...EDITS, destination: "session" }],
    }],
    [{ kind: "deny", message: "no, /b" }, {}, { behavior: "deny", message: "no, /b" }],
    [{ kind: "deny", message: null }, {}, { behavior: "deny", message: "The request was denied." }],
    [{ kind: "answers", answers: [["Red"], ["Ham", "Corn"]] }, asks, {
      behavior: "allow",
      updatedInput: { ...asks, answers: { "Which?": "Red", "And?": "Ham, Corn" } },
    }],
  ];
  for (const [answer, tool_input, decision] of table) {
    deepStrictEqual(
      decisionOf(answer, { tool_name: "Bash", tool_input, permission_suggestions: suggestions }),
      decision,
    );
  }
});

Deno.test("hookOutput() is one line, whatever the texts hold", () => {
  const output = hookOutput({ behavior: "deny", message: "a\nb\u2028c" });
  strictEqual(output.indexOf("\n"), output.length - 1);
  deepStrictEqual(JSON.parse(output), {
    hookSpecificOutput: {
      hookEventName: "PermissionRequest",
      decision: { behavior: "deny", message: "a\nb\u2028c" },
    },
  });
});
