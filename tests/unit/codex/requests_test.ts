/** What the agent asks for and the answers that it gets, from recorded requests of the real Codex. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { decisionOf } from "../../../backends/codex/decision.ts";
import type { OpenRequest } from "../../../backends/codex/evidence.ts";
import { openInputs, withoutShell } from "../../../backends/codex/pending.ts";
import { fitAnswer } from "../../../lib/answers.ts";
import type { PendingInput } from "../../../lib/session.ts";
import { look } from "../../support/codex_looks.ts";

const COMMAND = "a command waits for approval";
const PATCH = "a file change waits for approval";
const QUESTION = "a question waits for its answer";
const PERMISSIONS = "permissions are asked for";

function pendingOf(name: string): PendingInput {
  const [pending, ...others] = openInputs(look(name));
  ok(pending !== undefined && others.length === 0);
  return pending;
}
function requestOf(name: string): OpenRequest["request"] {
  const [open] = look(name).requests;
  ok(open);
  return open.request;
}

Deno.test("openInputs() names what is asked for", () => {
  const table: [name: string, pending: Partial<PendingInput>][] = [
    [COMMAND, {
      kind: "permission",
      tool: "shell",
      input: {
        command: "/bin/bash -lc 'touch esc.txt'",
        cwd: "/home/u/ws",
        reason: "The script wants it.",
      },
      summary: "shell: touch esc.txt",
      detail: "The script wants it.\ntouch esc.txt",
      options: ["approve", "always", "deny"],
      always: "run this same command without asking",
      requestId: "call_1_0.0",
      since: "2026-11-22T12:16:46.281Z",
    }],
    [PATCH, {
      kind: "permission",
      tool: "file change",
      input: { changes: [{ kind: "add", path: "/home/u/ws/pp.txt", diff: "some words\n" }], reason: null },
      summary: "file change: add /home/u/ws/pp.txt",
      detail: "add /home/u/ws/pp.txt\nsome words",
      always: "change these files without asking",
      requestId: "call_7_0.2",
    }],
    [QUESTION, {
      kind: "question",
      summary: "Which colour?",
      options: ["Red", "Blue"],
      questions: [{
        question: "Which colour?",
        header: "Colour",
        multiSelect: false,
        options: [{ label: "Red", description: "warm" }, { label: "Blue", description: "cold" }],
      }],
      always: null,
      requestId: "call_11_0.4",
    }],
    [PERMISSIONS, {
      kind: "permission",
      tool: "permissions",
      summary: "permissions: network, write /tmp/zz",
      detail: "needs the net\nnetwork\nwrite /tmp/zz",
      always: "keep these permissions for the rest of this session",
      requestId: "call_17_0.7",
    }],
  ];
  for (const [name, expected] of table) {
    const pending = pendingOf(name);
    const keys = Object.keys(expected) as (keyof PendingInput)[];
    deepStrictEqual(Object.fromEntries(keys.map((key) => [key, pending[key]])), expected, name);
    strictEqual(pending.answerable, "direct", name);
  }
});

Deno.test("openInputs() of a thread that waits, when no request reached us", () => {
  for (const [name, kind] of [[COMMAND, "permission"], [QUESTION, "question"]] as const) {
    const [pending] = openInputs({ ...look(name), requests: [] });
    deepStrictEqual([pending?.kind, pending?.requestId, pending?.answerable], [kind, null, "terminal"]);
  }
});

Deno.test("openInputs() ignores requests of a turn that is over", () => {
  const { requests } = look(COMMAND);
  deepStrictEqual(openInputs({ ...look("a command was declined"), requests }), []);
});

Deno.test("openInputs() of a file change whose item is not known names no file, and asks all the same", () => {
  const evidence = look(PATCH);
  const [pending] = openInputs({
    ...evidence,
    requests: evidence.requests.map((open) => ({ ...open, item: null })),
  });
  deepStrictEqual([pending?.summary, pending?.detail], ["file change: files", null]);
});

Deno.test("openInputs() of a request that this version does not know leaves it to a person", () => {
  const evidence = look(COMMAND);
  const request = { method: "other", id: 9, name: "mcpServer/elicitation/request", params: {} } as const;
  const [pending] = openInputs({ ...evidence, requests: [{ request, item: null, since: 5 }] });
  deepStrictEqual(
    [pending?.kind, pending?.summary, pending?.answerable, pending?.requestId],
    [
      "dialog",
      "a request that this version can't answer (mcpServer/elicitation/request)",
      "terminal",
      "request.9",
    ],
  );
  strictEqual(decisionOf(request, { kind: "approve" }), null);
});

Deno.test("withoutShell() takes away what the server puts around a command, and nothing else", () => {
  const table: [given: string, expected: string][] = [
    ["/bin/bash -lc 'touch a && echo b'", "touch a && echo b"],
    [String.raw`/bin/bash -lc 'echo '\''x'\'''`, "echo 'x'"],
    ["/usr/bin/zsh -lc ls", "ls"],
    ["/bin/sh -c pwd", "pwd"],
    ["/bin/bash -lc 'a' 'b'", "/bin/bash -lc 'a' 'b'"],
    ["git status", "git status"],
  ];
  for (const [given, expected] of table) strictEqual(withoutShell(given), expected);
});

Deno.test("decisionOf() says each answer as the server understands it", () => {
  const asked = {
    network: { enabled: true },
    fileSystem: {
      read: null,
      write: ["/tmp/zz"],
      entries: [{ path: { type: "path", path: "/tmp/zz" }, access: "write" }],
    },
  };
  const table: [name: string, answer: Parameters<typeof fitAnswer>[2], result: unknown, say?: string][] = [
    [COMMAND, { kind: "approve" }, { decision: "accept" }],
    [COMMAND, { kind: "always" }, { decision: "acceptForSession" }],
    [COMMAND, { kind: "deny", message: null }, { decision: "decline" }],
    [COMMAND, { kind: "deny", message: "Use make" }, { decision: "decline" }, "Use make"],
    [PATCH, { kind: "approve" }, { decision: "accept" }],
    [PATCH, { kind: "always" }, { decision: "acceptForSession" }],
    [PATCH, { kind: "deny", message: null }, { decision: "decline" }],
    [PERMISSIONS, { kind: "approve" }, { permissions: asked, scope: "turn" }],
    [PERMISSIONS, { kind: "always" }, { permissions: asked, scope: "session" }],
    [PERMISSIONS, { kind: "deny", message: null }, { permissions: {}, scope: "turn" }],
    [QUESTION, { kind: "options", options: ["2"] }, { answers: { colour: { answers: ["Blue"] } } }],
    [QUESTION, { kind: "text", text: "Green" }, { answers: { colour: { answers: ["Green"] } } }],
    [QUESTION, { kind: "deny", message: "Neither" }, { answers: {} }, "Neither"],
  ];
  for (const [name, answer, result, say = null] of table) {
    const request = requestOf(name);
    const decision = decisionOf(request, fitAnswer("x", pendingOf(name), answer));
    deepStrictEqual(decision, { frame: { method: request.method, result }, say }, JSON.stringify(answer));
  }
});
