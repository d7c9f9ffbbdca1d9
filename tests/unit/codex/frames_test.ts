/** Frames of the real Codex are read; frames of another form are named, and never break us. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import type * as v from "valibot";
import {
  type Frame,
  type Method,
  type NOTIFICATIONS,
  readFrame,
  readResult,
  type RESULTS,
  type SERVER_REQUESTS,
} from "../../../backends/codex/frames.ts";
import type {
  ClientRequests,
  ServerNotifications,
  ServerRequests,
} from "../../../backends/codex/protocol/types.ts";

/** Recorded from 0.169.0; answers to us carry the method in `asked`. */
const RECORDED = join(import.meta.dirname ?? "", "..", "..", "support", "codex_frames.jsonl");

/** A compile error names the method whose generated type our schema would refuse. */
type Refused<Generated, Schemas> = {
  [M in keyof Generated & keyof Schemas]: Schemas[M] extends v.GenericSchema
    ? Generated[M] extends v.InferInput<Schemas[M]> ? never : M
    : M;
}[keyof Generated & keyof Schemas];
type Results = { [M in keyof ClientRequests]: ClientRequests[M]["result"] };
type Questions = { [M in keyof ServerRequests]: ServerRequests[M]["params"] };
const REFUSED: [
  ...(Refused<Results, typeof RESULTS> extends never ? [] : [Refused<Results, typeof RESULTS>]),
  ...(Refused<ServerNotifications, typeof NOTIFICATIONS> extends never ? []
    : [Refused<ServerNotifications, typeof NOTIFICATIONS>]),
  ...(Refused<Questions, typeof SERVER_REQUESTS> extends never ? []
    : [Refused<Questions, typeof SERVER_REQUESTS>]),
] = [];

const frame = (value: unknown): Frame => readFrame(JSON.stringify(value));

Deno.test("the schemas take what the generated types allow", () => {
  strictEqual(REFUSED.length, 0);
});

Deno.test("readFrame() and readResult() read recorded frames", async () => {
  const kinds = new Map<string, number>();
  for (const line of (await Deno.readTextFile(RECORDED)).trim().split("\n")) {
    const { asked } = JSON.parse(line);
    const read = readFrame(line);
    kinds.set(read.kind, (kinds.get(read.kind) ?? 0) + 1);
    if (read.kind !== "result") {
      ok(read.kind !== "unexpected" && read.kind !== "garbled", `${JSON.stringify(read)}: ${line}`);
      continue;
    }
    const result = readResult(asked as Method, read.result);
    ok(result.ok, `${asked}: ${JSON.stringify(result)}`);
  }
  deepStrictEqual([...kinds.keys()].sort(), ["error", "ignored", "notification", "result"]);
});

const OF_ITEM = { threadId: "t", turnId: "u", itemId: "call_1" };
for (
  const [method, params] of [
    ["item/commandExecution/requestApproval", {
      ...OF_ITEM,
      kind: "command",
      command: "/bin/bash -lc 'touch f'",
      cwd: "/w",
      reason: "please",
      availableDecisions: ["accept", { acceptWithExecpolicyAmendment: { execpolicy_amendment: ["touch"] } }],
    }],
    ["item/fileChange/requestApproval", { ...OF_ITEM, startedAtMs: 1, reason: null, grantRoot: null }],
    ["item/permissions/requestApproval", {
      ...OF_ITEM,
      reason: null,
      permissions: { network: { enabled: true } },
    }],
    ["item/tool/requestUserInput", {
      ...OF_ITEM,
      questions: [{
        id: "q1",
        header: "Colour",
        question: "Which?",
        isOther: true,
        isSecret: false,
        options: null,
      }],
      isBlocking: true,
    }],
  ] as const
) {
  Deno.test(`readFrame() reads the request ${method}`, () => {
    const read = frame({ method, id: 0, params });
    ok(read.kind === "request" && read.request.method === method, JSON.stringify(read));
    strictEqual(read.request.id, 0);
    strictEqual(read.request.params.itemId, "call_1");
  });
}

const TURN = { id: "u", status: "completed", items: [], error: null, startedAt: 1, completedAt: 2 };
const STATUS = "thread/status/changed";
const unknownForms: [name: string, value: unknown, expected: unknown][] = [
  ["a notification that we don't read", { method: "thread/new/thing", params: 5 }, { kind: "ignored" }],
  ["a request that we can't answer", { method: "attestation/generate", id: "a", params: { x: 1 } }, {
    kind: "request",
    request: { method: "other", id: "a", name: "attestation/generate", params: { x: 1 } },
  }],
  ["a status of a later version", { method: STATUS, params: { threadId: "t", status: { type: "asleep" } } }, {
    kind: "notification",
    notification: { method: STATUS, params: { threadId: "t", status: { type: "unknown", name: "asleep" } } },
  }],
  ["an item of another kind", {
    method: "item/started",
    params: { threadId: "t", turnId: "u", item: { type: "sleep", id: "i", ms: 5 } },
  }, {
    kind: "notification",
    notification: {
      method: "item/started",
      params: {
        threadId: "t",
        turnId: "u",
        item: { type: "other", id: "i", kind: "sleep", content: { ms: 5 } },
      },
    },
  }],
  ["a turn with a status of a later version", {
    method: "turn/completed",
    params: { threadId: "t", turn: { ...TURN, status: "halted" } },
  }, {
    kind: "unexpected",
    name: "turn/completed",
    why:
      'turn.status: Invalid type: Expected ("inProgress" | "completed" | "interrupted" | "failed") but received "halted"',
  }],
  ["an agent message without text", {
    method: "item/completed",
    params: { threadId: "t", turnId: "u", item: { type: "agentMessage", id: "i" } },
  }, {
    kind: "unexpected",
    name: "item/completed",
    why: 'item.text: Invalid key: Expected "text" but received undefined',
  }],
  ["an answer with neither result nor error", { id: 3 }, { kind: "result", id: 3, result: undefined }],
  ["an error", { id: 3, error: { code: -32600, message: "no", data: { reason: "serverShuttingDown" } } }, {
    kind: "error",
    id: 3,
    error: { code: -32600, message: "no", data: { reason: "serverShuttingDown" } },
  }],
  ["a list", [1], { kind: "garbled", why: "neither a method nor an id" }],
  ["an empty object", {}, { kind: "garbled", why: "neither a method nor an id" }],
  ["null", null, { kind: "garbled", why: "Invalid type: Expected Object but received null" }],
];
for (const [name, value, expected] of unknownForms) {
  Deno.test(`readFrame() tells ${name}`, () => {
    const read = frame(value);
    deepStrictEqual(JSON.parse(JSON.stringify(read)), JSON.parse(JSON.stringify(expected)));
  });
}

Deno.test("readFrame() tells what is no JSON, or no text", () => {
  for (const data of ["{", "", new ArrayBuffer(2), undefined]) {
    deepStrictEqual(readFrame(data), { kind: "garbled", why: "not JSON" });
  }
});

Deno.test("readResult() says what is wrong with an answer", () => {
  deepStrictEqual(readResult("turn/steer", { turnId: 5 }), {
    ok: false,
    why: "turnId: Invalid type: Expected string but received 5",
  });
  deepStrictEqual(readResult("turn/steer", undefined), {
    ok: false,
    why: "Invalid type: Expected Object but received undefined",
  });
  deepStrictEqual(readResult("turn/interrupt", { later: "addition" }), {
    ok: true,
    value: { later: "addition" },
  });
});
