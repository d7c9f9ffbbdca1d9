/** Looks at threads of the real Codex 0.169.0 (`codex_looks.jsonl`), each within some ms: for tables of decisions. */

import { ok } from "node:assert/strict";
import { join } from "node:path";
import type { CodexAnchor, CodexEvidence, OpenRequest } from "../../backends/codex/evidence.ts";
import { type Method, readFrame, readResult, type Result } from "../../backends/codex/frames.ts";

interface Recorded {
  readonly name: string;
  readonly at: number;
  readonly thread: unknown;
  /** Oldest first. */
  readonly turns: readonly unknown[];
  readonly queue: readonly unknown[];
  readonly goal: unknown;
  readonly requests: readonly unknown[];
}

const looks = new Map(
  Deno.readTextFileSync(join(import.meta.dirname ?? "", "codex_looks.jsonl")).trim().split("\n").map(
    (line) => {
      const recorded: Recorded = JSON.parse(line);
      return [recorded.name, evidenceOf(recorded)];
    },
  ),
);

export const lookNames: readonly string[] = [...looks.keys()];

/** @throws Error when there is none of that name. */
export function look(name: string): CodexEvidence {
  const found = looks.get(name);
  ok(found, `no look "${name}"`);
  return found;
}

/** The anchor of a message that went in so long before a look. */
export function anchorIn(
  evidence: CodexEvidence,
  clientId: string,
  { msBefore = 60_000, afterTurn = evidence.turns[0]?.id ?? null } = {},
): CodexAnchor {
  return { v: 1, clientId, afterTurn, at: evidence.at - msBefore, mode: "queue" };
}

function evidenceOf({ at, thread, turns, queue, goal, requests }: Recorded): CodexEvidence {
  const list = read("thread/turns/list", { data: turns, nextCursor: null }).data;
  return {
    at,
    server: "up",
    thread: thread === null ? null : read("thread/read", { thread }).thread,
    turns: list,
    goal: read("thread/goal/get", { goal }).goal,
    queued: read("thread/queue/list", { data: queue, nextCursor: null }).data,
    requests: requests.map((given): OpenRequest => {
      const frame = readFrame(JSON.stringify(given));
      ok(frame.kind === "request", JSON.stringify(frame));
      const { request } = frame;
      const items = list.flatMap((turn) => turn.items);
      const itemId = request.method === "other" ? null : request.params.itemId;
      return { request, item: items.find(({ id }) => id === itemId) ?? null, since: null };
    }),
    retrying: null,
  };
}

function read<M extends Method>(method: M, value: unknown): Result<M> {
  const result = readResult(method, value);
  ok(result.ok, result.ok ? "" : `${method}: ${result.why}`);
  return result.value;
}
