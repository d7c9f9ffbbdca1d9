/** What a waiting session asks, in the words of the record that has most of it. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { ClaudeEvidence } from "../../../backends/claude/evidence.ts";
import { describe, openInputs, openRequest, pendingInput } from "../../../backends/claude/pending.ts";
import {
  asked,
  askedBySubagent,
  evidence,
  failed,
  hook,
  mark,
  registry,
  stopped,
  submitted,
  time,
} from "../../support/claude_evidence.ts";

const DECISIONS = ["approve", "deny"];
const ASKED = asked(200, "Bash", { command: "rm -rf dist" });

Deno.test("openRequest() is the newest request that nothing has answered", () => {
  const table: [holds: string, parts: Partial<ClaudeEvidence>, tool: string | null][] = [
    ["nothing", {}, null],
    ["a request", { events: [submitted(100, "go"), ASKED] }, "Bash"],
    ["two requests", { events: [asked(100, "Write"), ASKED] }, "Bash"],
    ["a request, then a queued prompt", { events: [ASKED, submitted(300, "more")] }, "Bash"],
    ["a request, then Stop", { events: [ASKED, stopped(300)] }, null],
    ["a request, then StopFailure", { events: [ASKED, failed(300)] }, null],
    ["a request, then a new conversation", { events: [ASKED, hook("SessionStart", 300)] }, null],
    ["a request, then the end", { events: [ASKED, hook("SessionEnd", 300)] }, null],
    ["a request answered, no registry", { events: [ASKED], marks: [mark.result(300, "u")] }, null],
    ["a request interrupted, no registry", { events: [ASKED], marks: [mark.interrupted(300)] }, null],
    ["another tool's result after the request, no registry", {
      events: [ASKED],
      marks: [
        mark.use(190, "u", "Bash", { command: "rm -rf dist" }),
        mark.use(191, "v"),
        mark.result(300, "v"),
      ],
    }, "Bash"],
    ["its own result after the request, no registry", {
      events: [ASKED],
      marks: [mark.use(190, "u", "Bash", { command: "rm -rf dist" }), mark.result(300, "u")],
    }, null],
    ["a result before the request, no registry", { events: [ASKED], marks: [mark.result(100, "u")] }, "Bash"],
    ["hooks off, an open call", { marks: [mark.use(100, "u", "Write")] }, "Write"],
    ["hooks off, an answered call", { marks: [mark.use(100, "u"), mark.result(200, "u")] }, null],
    ["hooks on, an open call without a request", {
      events: [submitted(1, "go")],
      marks: [mark.use(100, "u")],
    }, null],
  ];
  for (const [holds, parts, tool] of table) {
    strictEqual(openRequest(evidence(parts))?.tool ?? null, tool, holds);
  }
});

Deno.test("pendingInput() has the request's tool, input, id and time", () => {
  const given = evidence({ registry: registry("waiting", 210, "permission prompt"), events: [ASKED] });
  deepStrictEqual(pendingInput(given, "permission prompt"), {
    kind: "permission",
    tool: "Bash",
    input: { command: "rm -rf dist" },
    summary: "Bash: rm -rf dist",
    detail: null,
    options: ["approve", "deny"],
    questions: [],
    always: null,
    subagent: null,
    answerable: "keys",
    requestId: ASKED.name.replace(".json", ""),
    since: time(200),
  });
});

Deno.test("pendingInput() takes a request for what the registry waits for only when it can be that", () => {
  const ended = [ASKED, stopped(300)];
  const table: [holds: string, events: typeof ended, since: number, waitingFor: string, summary: string][] = [
    [
      "a sub-agent's request, then the main turn's Stop",
      ended,
      320,
      "permission prompt",
      "Bash: rm -rf dist",
    ],
    ["an old request", ended, 60_000, "permission prompt", "a permission"],
    ["a kind without a hook", [ASKED], 210, "sandbox request", "sandbox request"],
  ];
  for (const [holds, events, since, waitingFor, summary] of table) {
    const given = evidence({ registry: registry("waiting", since, waitingFor), events });
    strictEqual(pendingInput(given, waitingFor).summary, summary, holds);
  }
});

Deno.test("pendingInput() says what the registry says where no request is recorded", () => {
  const table: [waitingFor: string | null, kind: string, summary: string][] = [
    ["permission prompt", "permission", "a permission"],
    ["input needed", "question", "a question"],
    ["dialog open", "dialog", "a dialog is open in its terminal"],
    ["sandbox request", "dialog", "sandbox request"],
    [null, "dialog", "a dialog is open in its terminal"],
  ];
  for (const [waitingFor, kind, summary] of table) {
    const pending = pendingInput(evidence({ registry: registry("waiting", 210, waitingFor) }), waitingFor);
    deepStrictEqual(pending, {
      kind,
      tool: null,
      input: null,
      summary,
      detail: null,
      options: [],
      questions: [],
      always: null,
      subagent: null,
      answerable: "terminal",
      requestId: null,
      since: time(210),
    });
  }
});

Deno.test("describe() gives kind, one line and options of any tool's request, well-formed or not", () => {
  const question = {
    questions: [
      { question: "Which\ncolour?", options: [{ label: "Red" }, { label: "Blue" }] },
      { question: "Which toppings?", options: [{ label: "Ham" }] },
    ],
  };
  const table: [tool: string, input: unknown, kind: string, summary: string, options: string[]][] = [
    ["Bash", { command: "ls\n  -l", description: "x" }, "permission", "Bash: ls -l", DECISIONS],
    ["Write", { file_path: "/a", content: "x" }, "permission", "Write: /a", DECISIONS],
    ["WebFetch", { url: "https://x" }, "permission", "WebFetch: https://x", DECISIONS],
    ["mcp__a__b", { deep: { n: 1 } }, "permission", 'mcp__a__b: {"deep":{"n":1}}', DECISIONS],
    ["Bash", null, "permission", "Bash: null", DECISIONS],
    ["Bash", undefined, "permission", "Bash:", DECISIONS],
    ["Bash", "text", "permission", 'Bash: "text"', DECISIONS],
    ["AskUserQuestion", question, "question", "Which colour? / Which toppings?", ["Red", "Blue", "Ham"]],
    ["AskUserQuestion", {}, "question", "a question", []],
    ["AskUserQuestion", { questions: "x" }, "question", "a question", []],
    ["AskUserQuestion", { questions: [null, 1, { options: [null] }] }, "question", "/ /", [""]],
    ["ExitPlanMode", { plan: "…" }, "plan", "approval of its plan", DECISIONS],
  ];
  for (const [tool, input, kind, summary, options] of table) {
    const found = describe(tool, input);
    deepStrictEqual([found.kind, found.summary, found.options], [kind, summary, options], tool);
  }
  const long = describe("Bash", { command: "x".repeat(500) });
  strictEqual(long.summary.length, 200);
  strictEqual(long.summary.at(-1), "…");
  strictEqual(long.detail, "x".repeat(500));
  strictEqual(describe("Bash", { command: "ls\nrm x" }).detail, "ls\nrm x");
  strictEqual(describe("Bash", { command: "ls" }).detail, null);
  strictEqual(describe("ExitPlanMode", { plan: "# Plan\n1. a\n" }).detail, "# Plan\n1. a");
});

Deno.test("describe() keeps each question whole, and says what always would allow", () => {
  const asks = {
    questions: [{
      question: "Which colour?",
      header: "Colour",
      multiSelect: true,
      options: [{ label: "Red", description: "warm" }, { label: "Blue" }],
    }],
  };
  deepStrictEqual(describe("AskUserQuestion", asks).questions, [{
    question: "Which colour?",
    header: "Colour",
    multiSelect: true,
    options: [{ label: "Red", description: "warm" }, { label: "Blue", description: "" }],
  }]);
  const rule = {
    type: "addRules",
    behavior: "allow",
    rules: [{ toolName: "Bash", ruleContent: "npm test:*" }],
  };
  const found = describe("Bash", { command: "npm test" }, [rule]);
  deepStrictEqual([found.options, found.always], [
    ["approve", "always", "deny"],
    "allow Bash(npm test:*)",
  ]);
});

Deno.test("openInputs() lists what is open now, what the screen shows first", () => {
  const own = asked(200, "Bash", { command: "rm -rf dist" });
  const second = asked(250, "Write", { file_path: "/a" });
  const sub = askedBySubagent(150, "Bash", { command: "ls" });
  const unread = { ...hook("PermissionRequest", 200), unread: true as const };
  const prompt = registry("waiting", 210, "permission prompt");
  const table: [holds: string, parts: Partial<ClaudeEvidence>, found: string[]][] = [
    ["nothing", { registry: registry("busy", 100) }, []],
    ["a request before the registry knows", { held: [own], registry: registry("busy", 100) }, [
      "direct Bash: rm -rf dist",
    ]],
    ["a request that the registry knows", { held: [own], registry: prompt }, ["direct Bash: rm -rf dist"]],
    ["one that was answered at the terminal", { held: [own], registry: registry("busy", 300) }, []],
    ["one of two was answered", { held: [own, second], registry: registry("busy", 230) }, [
      "direct Write: /a",
    ]],
    ["a sub-agent's, which no dialog shows", { held: [sub], registry: registry("busy", 300) }, [
      "direct Bash: ls (Explore)",
    ]],
    ["its own before a sub-agent's", { held: [sub, own], registry: prompt }, [
      "direct Bash: rm -rf dist",
      "direct Bash: ls (Explore)",
    ]],
    ["a dialog beside a sub-agent's", { held: [sub], registry: registry("waiting", 210, "dialog open") }, [
      "terminal a dialog is open in its terminal",
      "direct Bash: ls (Explore)",
    ]],
    ["a dialog without a hook", { events: [own], registry: prompt }, ["keys Bash: rm -rf dist"]],
    ["one without a hook is not the sub-agent's that is held", {
      events: [own, sub],
      held: [sub],
      registry: prompt,
    }, ["keys Bash: rm -rf dist", "direct Bash: ls (Explore)"]],
    ["two side by side", { held: [own, second], registry: prompt, marks: [mark.use(190, "u")] }, [
      "direct Bash: rm -rf dist",
      "direct Write: /a",
    ]],
    ["two side by side, one of them with its result", {
      held: [own, second],
      registry: prompt,
      marks: [mark.use(190, "u", "Bash", { command: "rm -rf dist" }), mark.result(260, "u")],
    }, ["direct Write: /a"]],
    ["one of an earlier turn, beside that of the next", {
      held: [own, second],
      events: [own, stopped(220), second],
      registry: registry("waiting", 260, "permission prompt"),
    }, ["direct Write: /a"]],
    ["a dialog of another kind, after one that was answered", {
      held: [own],
      registry: registry("waiting", 300, "dialog open"),
    }, ["terminal a dialog is open in its terminal"]],
    ["one that is too large to be read", { held: [unread], events: [unread], registry: prompt }, [
      "terminal a request that is too large to be read",
    ]],
    ["one that is too large, without a hook", { events: [unread], registry: prompt }, [
      "terminal a request that is too large to be read",
    ]],
    ["no registry, held", { held: [own] }, ["direct Bash: rm -rf dist"]],
    ["no registry, no hook that waits", { events: [own] }, ["terminal Bash: rm -rf dist"]],
  ];
  for (const [holds, parts, found] of table) {
    deepStrictEqual(
      openInputs(evidence(parts)).map(({ answerable, summary, subagent }) =>
        `${answerable} ${summary}${subagent === null ? "" : ` (${subagent})`}`
      ),
      found,
      holds,
    );
  }
});
