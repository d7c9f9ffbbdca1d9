/**
 * What happened in a thread after a position, from its turns, their items and the open requests. Pure. A request that
 * came and went between two reads is in no record, so it is in no event.
 */

import * as v from "valibot";
import { AppError } from "../../lib/errors.ts";
import type { AgentEventBody, EventBatch, Happened } from "../../lib/events.ts";
import { isComplete, textOfInput } from "./conversation.ts";
import { courseOf, endedAt, endOf, itemTime, startedAt } from "./course.ts";
import type { CodexEvidence } from "./evidence.ts";
import type { Turn } from "./frames.ts";
import { openInputs, requestIdOf } from "./pending.ts";

/** From the start of a turn until its message is on record (measured: up to 60 ms), with room to spare. */
const FIRST_ITEM_MS = 1_000;

const position = v.object({
  v: v.literal(1),
  /** The newest turn that was told of; null for none. */
  turn: v.nullable(v.string()),
  /** Whether its end was. */
  over: v.boolean(),
  /** Ids of its items that were told of. */
  told: v.array(v.string()),
  /** The open requests that were told of, with their turn; null where the server did not name it. */
  asked: v.array(v.object({ id: v.string(), turn: v.nullable(v.string()) })),
});
export type CodexPosition = v.InferOutput<typeof position>;

const START: CodexPosition = { v: 1, turn: null, over: false, told: [], asked: [] };

/** @throws AppError for one that another version has stored and this one does not understand. */
export function codexPositionOf(stored: unknown): CodexPosition {
  if (stored === null || stored === undefined) return START;
  const parsed = v.safeParse(position, stored);
  if (parsed.success) return parsed.output;
  throw new AppError(
    "failure",
    "Cannot go on with the events of a session: a newer version has read them. Upgrade dev-sessions",
  );
}

/**
 * @param evidence with all turns from the position's own one on, oldest first, and all their items.
 * @param options.more whether there are newer turns that were not read.
 */
export function eventsAfter(
  stored: unknown,
  evidence: CodexEvidence,
  options: { readonly more: boolean } = { more: false },
): EventBatch {
  const before = codexPositionOf(stored);
  if (evidence.server !== "up" || evidence.thread === null) {
    return { events: [], position: before, moreAfter: null, settling: false };
  }
  const teller = new Teller(before, evidence);
  // The ids are ordered by time, so that a turn that was taken back since does not confuse us.
  for (const turn of evidence.turns.filter(({ id }) => before.turn === null || id >= before.turn)) {
    if (!teller.tellTurn(turn)) break;
  }
  if (!options.more) teller.tellRequests();
  const { events, settling } = teller;
  const last = events.at(-1)?.at ?? startedAt(evidence.turns.at(-1) ?? NO_TURN) ?? 0;
  return { events, position: teller.position(), moreAfter: options.more ? last : null, settling };
}

const NO_TURN = { id: "", startedAt: null };

class Teller {
  readonly events: Happened<AgentEventBody>[] = [];
  /** The records announce something that they do not hold yet. */
  settling = false;
  #turn: string | null;
  #over: boolean;
  #told: Set<string>;
  #asked: CodexPosition["asked"];

  constructor(before: CodexPosition, private readonly evidence: CodexEvidence) {
    this.#turn = before.turn;
    this.#over = before.over;
    this.#told = new Set(before.told);
    this.#asked = before.asked;
  }

  position(): CodexPosition {
    return { v: 1, turn: this.#turn, over: this.#over, told: [...this.#told], asked: this.#asked };
  }

  /** False when what comes behind it must wait. */
  tellTurn(turn: Turn): boolean {
    const start = startedAt(turn) ?? this.evidence.at;
    if (turn.id === this.#turn && this.#over) return true;
    if (turn.id !== this.#turn && !this.#tellStart(turn, start)) return false;
    for (const item of turn.items) {
      if (this.#told.has(item.id) || !isComplete(item, turn)) continue;
      const at = itemTime(item) ?? start;
      switch (item.type) {
        case "userMessage":
          this.#told.add(item.id);
          this.#push(at, { type: "turn_joined", source: "message", text: textOfInput(item.content) });
          break;
        case "agentMessage":
          this.#told.add(item.id);
          this.#push(at, { type: "message", text: item.text });
          break;
        case "commandExecution":
        case "fileChange":
        case "other":
          break;
      }
    }
    return this.#tellEnd(turn);
  }

  #tellStart(turn: Turn, start: number): boolean {
    const first = turn.items.find((item) => item.type === "userMessage" || item.type === "agentMessage");
    const course = courseOf(turn, this.evidence);
    if (turn.items.length === 0 && (course === "running" || course === "unsettled")) {
      // Whether a message began it is not on record yet.
      if (this.evidence.at - start < FIRST_ITEM_MS) {
        this.settling = true;
        return false;
      }
    }
    this.#turn = turn.id;
    this.#over = false;
    this.#told = new Set();
    if (first?.type !== "userMessage") {
      this.#push(start, { type: "turn_started", source: "other", text: null });
      return true;
    }
    this.#told.add(first.id);
    this.#push(start, { type: "turn_started", source: "message", text: textOfInput(first.content) });
    return true;
  }

  #tellEnd(turn: Turn): boolean {
    const course = courseOf(turn, this.evidence);
    if (course === "running") return true;
    if (course === "unsettled") {
      this.settling = true;
      return false;
    }
    const at = endedAt(turn) ?? this.events.at(-1)?.at ?? this.evidence.at;
    this.#resolve(({ turn: asked }) => asked === turn.id, at);
    this.#over = true;
    this.#told = new Set();
    const end = endOf(turn, course);
    switch (end.kind) {
      case "completed":
        this.#push(at, { type: "turn_completed" });
        break;
      case "interrupted":
        this.#push(at, { type: "turn_interrupted" });
        break;
      case "failed":
        this.#push(at, { type: "turn_failed", error: end.error ?? "unknown error" });
        break;
    }
    return true;
  }

  tellRequests(): void {
    const { evidence } = this;
    const inputs = openInputs(evidence);
    if (inputs.some(({ requestId }) => requestId === null)) {
      this.settling = true;
      return;
    }
    const open = new Map(
      inputs.flatMap((input) => input.requestId === null ? [] : [[input.requestId, input]]),
    );
    this.#resolve(({ id }) => !open.has(id), evidence.at);
    for (const { request } of evidence.requests) {
      const id = requestIdOf(request);
      const input = open.get(id);
      if (input === undefined || this.#asked.some((asked) => asked.id === id)) continue;
      const turn = request.method === "other" ? null : request.params.turnId;
      this.#asked = [...this.#asked, { id, turn }];
      const { kind, tool, summary, options } = input;
      this.#push(input.since === null ? evidence.at : Date.parse(input.since), {
        type: "input_requested",
        kind,
        tool,
        summary,
        options,
        requestId: id,
      });
    }
  }

  #resolve(which: (asked: CodexPosition["asked"][number]) => boolean, at: number): void {
    for (const { id } of this.#asked.filter(which)) this.#push(at, { type: "input_resolved", requestId: id });
    this.#asked = this.#asked.filter((asked) => !which(asked));
  }

  #push(at: number, body: AgentEventBody): void {
    this.events.push({ at, body });
  }
}
