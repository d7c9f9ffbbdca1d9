/**
 * Whether the turn of one message is over: each row is one moment of a session as its records show it.
 *
 * Long, because it is tables: what one row says is understood beside its neighbours.
 */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import type { ClaudeEvidence } from "../../../backends/claude/evidence.ts";
import { judgeTurn, saidInTurn } from "../../../backends/claude/turn.ts";
import { textKey } from "../../../backends/claude/text_match.ts";
import { type Mark, parseLine } from "../../../backends/claude/transcript.ts";
import {
  asked,
  evidence,
  failed,
  mark,
  registry,
  stopped,
  submitted,
  T0,
} from "../../support/claude_evidence.ts";

const GO = submitted(100, "go");
const PROMPT = mark.prompt(100, "go");
const BUSY = registry("busy", 110);

interface Row {
  readonly holds: string;
  /** What was recorded after the anchor; the live evidence has the same and what `live` says. */
  readonly since: Partial<Pick<ClaudeEvidence, "events" | "marks">>;
  readonly live: Partial<ClaudeEvidence>;
  /** Null: not over. */
  readonly outcome: string | null;
  readonly error?: string;
  readonly background?: boolean;
  /** Null: nothing was ever sent. Default: "go". */
  readonly text?: string | null;
}

const PLAIN: Row[] = [
  { holds: "sent, no record yet", since: {}, live: { registry: registry("idle", 0) }, outcome: null },
  {
    holds: "accepted, registry lagging",
    since: { events: [GO] },
    live: { registry: registry("idle", 0) },
    outcome: null,
  },
  {
    holds: "working",
    since: { events: [GO], marks: [PROMPT, mark.text(200)] },
    live: { registry: BUSY },
    outcome: null,
  },
  {
    holds: "Stop while busy: a user's Stop hook may go on",
    since: { events: [GO, stopped(500)], marks: [PROMPT, mark.text(490)] },
    live: { registry: BUSY },
    outcome: null,
  },
  {
    holds: "Stop and an idle registry older than it",
    since: { events: [GO, stopped(500)], marks: [PROMPT, mark.text(490)] },
    live: { registry: registry("idle", 499) },
    outcome: null,
  },
  {
    holds: "Stop and an idle registry, transcript lagging",
    since: { events: [GO, stopped(500)], marks: [PROMPT] },
    live: { registry: registry("idle", 510) },
    outcome: "completed",
  },
  {
    holds: "Stop and a background shell",
    since: { events: [GO, stopped(500, "shell")], marks: [PROMPT] },
    live: { registry: registry("shell", 510) },
    outcome: "completed",
  },
  {
    holds: "turn_duration while the registry still says busy",
    since: { events: [GO, stopped(500)], marks: [PROMPT, mark.end(540)] },
    live: { registry: BUSY },
    outcome: "completed",
  },
  {
    holds: "turn_duration, hooks off",
    since: { marks: [PROMPT, mark.end(540)] },
    live: { registry: registry("idle", 550) },
    outcome: "completed",
  },
  {
    holds: "an idle registry, hooks off, end not written",
    since: { marks: [PROMPT, mark.text(490)] },
    live: { registry: registry("idle", 550) },
    outcome: null,
  },
  {
    holds: "a user's Stop hook went on, and the turn failed then",
    since: { events: [GO, stopped(500), failed(900)], marks: [PROMPT, mark.text(490)] },
    live: { registry: registry("idle", 910) },
    outcome: "failed",
  },
  {
    holds: "a Stop before the message is that of another turn",
    since: { events: [stopped(50), GO], marks: [PROMPT] },
    live: { registry: registry("idle", 400), at: T0 + 900 },
    outcome: null,
  },
  {
    holds: "a prompt that a person typed after ours was over",
    since: {
      events: [GO, stopped(500), submitted(900, "mine")],
      marks: [PROMPT, mark.end(540), mark.prompt(900, "mine")],
    },
    live: { registry: registry("busy", 910) },
    outcome: "completed",
  },
  {
    holds: "a person's prompt that failed after ours was over",
    since: {
      events: [GO, stopped(500), submitted(900, "mine"), failed(990)],
      marks: [PROMPT, mark.end(540), mark.prompt(900, "mine"), mark.error(980)],
    },
    live: { registry: registry("idle", 995) },
    outcome: "completed",
  },
  {
    holds: "a person's prompt that failed after ours was over, transcript lagging",
    since: { events: [GO, stopped(500), submitted(900, "mine"), failed(990)], marks: [PROMPT] },
    live: { registry: registry("idle", 995) },
    outcome: "completed",
  },
  {
    holds: "a person's prompt that waits after ours was over",
    since: {
      events: [GO, stopped(500), submitted(900, "mine"), asked(950, "Bash")],
      marks: [PROMPT, mark.end(540)],
    },
    live: { registry: registry("waiting", 960, "permission prompt") },
    outcome: "completed",
  },
  {
    holds: "interrupted in mid stream",
    since: { events: [GO], marks: [PROMPT, mark.text(300), mark.interrupted(400)] },
    live: { registry: registry("idle", 410) },
    outcome: "interrupted",
  },
  {
    holds: "interrupted tool",
    since: {
      events: [GO],
      marks: [PROMPT, mark.use(300, "u"), mark.result(400, "u"), mark.interrupted(400)],
    },
    live: { registry: registry("idle", 410) },
    outcome: "interrupted",
  },
  {
    holds: "API error",
    since: { events: [GO, failed(500)], marks: [PROMPT, mark.error(495, "Overloaded")] },
    live: { registry: registry("idle", 510) },
    outcome: "failed",
    error: "Overloaded",
  },
  {
    holds: "StopFailure and an idle registry, transcript lagging",
    since: { events: [GO, failed(500, "Overloaded")], marks: [PROMPT] },
    live: { registry: registry("idle", 510) },
    outcome: "failed",
    error: "Overloaded",
  },
  {
    holds: "API error, hooks off",
    since: { marks: [PROMPT, mark.error(495, "Overloaded")] },
    live: { registry: registry("idle", 510) },
    outcome: "failed",
    error: "Overloaded",
  },
  {
    holds: "a user's hook ended it",
    since: { events: [GO], marks: [PROMPT, mark.notice(200, "Operation stopped by hook: no")] },
    live: { registry: registry("idle", 210) },
    outcome: "failed",
    error: "Operation stopped by hook: no",
  },
  {
    holds: "another notice is no end",
    since: { events: [GO], marks: [PROMPT, mark.notice(200, "Auto mode lets Claude handle prompts")] },
    live: { registry: BUSY },
    outcome: null,
  },
  {
    holds: "a permission",
    since: { events: [GO, asked(300, "Bash", { command: "rm -rf dist" })], marks: [PROMPT] },
    live: { registry: registry("waiting", 310, "permission prompt") },
    outcome: "waiting_for_input",
  },
  {
    holds: "the agent died in the turn",
    since: { events: [GO], marks: [PROMPT, mark.text(300)] },
    live: { process: "dead", registry: BUSY },
    outcome: "gone",
  },
  {
    holds: "the agent died before the message was recorded",
    since: {},
    live: { process: "dead" },
    outcome: "gone",
  },
  {
    holds: "the agent died after the turn",
    since: { events: [GO, stopped(500)], marks: [PROMPT, mark.end(540)] },
    live: { process: "dead" },
    outcome: "completed",
  },
  {
    holds: "the agent died after the turn had failed",
    since: { marks: [PROMPT, mark.error(540)] },
    live: { process: "dead" },
    outcome: "failed",
  },
];

const QUEUED: Row[] = [
  {
    holds: "queued",
    since: { events: [GO], marks: [mark.enqueued(110, "go")] },
    live: { registry: registry("busy", 0) },
    outcome: null,
  },
  {
    holds: "the turn before it is over",
    since: { events: [GO, stopped(300)], marks: [mark.enqueued(110, "go"), mark.end(340)] },
    live: { registry: registry("busy", 0) },
    outcome: null,
  },
  {
    holds: "the registry idle for 32 ms between the two turns",
    since: { events: [GO, stopped(300)], marks: [mark.enqueued(110, "go"), mark.end(340)] },
    live: { registry: registry("idle", 320) },
    outcome: null,
  },
  {
    holds: "dequeued, its prompt not yet written",
    since: {
      events: [GO, stopped(300)],
      marks: [mark.enqueued(110, "go"), mark.dequeued(345), mark.end(340)],
    },
    live: { registry: registry("idle", 320) },
    outcome: null,
  },
  {
    holds: "dequeued and at work",
    since: {
      events: [GO, stopped(300)],
      marks: [mark.enqueued(110, "go"), mark.dequeued(335), mark.end(340), mark.prompt(350, "go", "queued")],
    },
    live: { registry: registry("busy", 352) },
    outcome: null,
  },
  {
    holds: "dequeued and over",
    since: {
      events: [GO, stopped(300), stopped(800)],
      marks: [
        mark.enqueued(110, "go"),
        mark.dequeued(335),
        mark.end(340),
        mark.prompt(350, "go", "queued"),
        mark.end(840),
      ],
    },
    live: { registry: registry("idle", 810) },
    outcome: "completed",
  },
  ...["go", "then", "last"].map((text): Row => ({
    holds: `several dequeued as one turn, "${text}" of them`,
    text,
    since: {
      events: [GO, submitted(120, "then"), submitted(130, "last"), stopped(300), stopped(800)],
      marks: [
        mark.enqueued(110, "go"),
        mark.enqueued(120, "then"),
        mark.enqueued(130, "last"),
        mark.end(340),
        mark.prompt(350, "go", "queued"),
        mark.prompt(350, "then", "queued"),
        mark.prompt(350, "last", "queued"),
        mark.end(840),
      ],
    },
    live: { registry: registry("idle", 810) },
    outcome: "completed",
  })),
  {
    holds: "absorbed, the running turn goes on",
    since: {
      events: [GO],
      marks: [
        mark.enqueued(110, "go"),
        mark.removed(200, "go", "absorbed_mid_turn"),
        mark.absorbed(110, "go"),
      ],
    },
    live: { registry: registry("busy", 0) },
    outcome: null,
  },
  {
    holds: "left the queue to be absorbed, its attachment not yet written",
    since: { events: [GO], marks: [mark.enqueued(110, "go"), mark.removed(200, "go", "absorbed_mid_turn")] },
    live: { registry: registry("idle", 320) },
    outcome: null,
  },
  {
    holds: "absorbed, the running turn is over",
    since: {
      events: [GO, stopped(500)],
      marks: [
        mark.enqueued(110, "go"),
        mark.removed(200, "go", "absorbed_mid_turn"),
        mark.absorbed(110, "go"),
        mark.end(540),
      ],
    },
    live: { registry: registry("idle", 520) },
    outcome: "completed",
  },
  {
    holds: "taken back by a person while the turn before it runs",
    since: { events: [GO], marks: [mark.enqueued(110, "go"), mark.removed(200, "go", "popAll")] },
    live: { registry: registry("busy", 0) },
    outcome: null,
  },
  {
    holds: "taken back by a person, the turn before it over",
    since: {
      events: [GO, stopped(500)],
      marks: [mark.enqueued(110, "go"), mark.removed(200, "go", "popAll"), mark.end(540)],
    },
    live: { registry: registry("idle", 520) },
    outcome: "interrupted",
  },
  {
    holds: "taken back and sent again by the person",
    since: {
      events: [GO, stopped(500), submitted(900, "go")],
      marks: [
        mark.enqueued(110, "go"),
        mark.removed(200, "go", "popAll"),
        mark.end(540),
        mark.prompt(900, "go"),
      ],
    },
    live: { registry: registry("busy", 910) },
    outcome: null,
  },
  {
    holds: "the turn before it interrupted in a tool, its lines written after ours has begun",
    since: {
      events: [GO],
      marks: [
        mark.enqueued(110, "go"),
        mark.dequeued(200),
        mark.prompt(210, "go", "queued"),
        mark.result(300, "u"),
        mark.interrupted(301),
      ],
    },
    live: { registry: registry("busy", 212) },
    outcome: null,
  },
  {
    holds: "the same, and ours came to its end",
    since: {
      events: [GO, stopped(500)],
      marks: [
        mark.enqueued(110, "go"),
        mark.dequeued(200),
        mark.prompt(210, "go", "queued"),
        mark.result(300, "u"),
        mark.interrupted(301),
        mark.text(400),
        mark.end(540),
      ],
    },
    live: { registry: registry("idle", 520) },
    outcome: "completed",
  },
  {
    holds: "the turn before it interrupted, its line alone written after ours has begun",
    since: {
      events: [GO],
      marks: [
        mark.enqueued(110, "go"),
        mark.dequeued(200),
        mark.prompt(210, "go", "queued"),
        mark.interrupted(220),
      ],
    },
    live: { registry: registry("busy", 212) },
    outcome: null,
  },
  {
    holds: "the same, and ours goes on",
    since: {
      events: [GO],
      marks: [
        mark.enqueued(110, "go"),
        mark.dequeued(200),
        mark.prompt(210, "go", "queued"),
        mark.interrupted(220),
        mark.text(300),
      ],
    },
    live: { registry: registry("busy", 212) },
    outcome: null,
  },
  {
    holds: "the same, and ours has come to its end",
    since: {
      events: [GO, stopped(500)],
      marks: [
        mark.enqueued(110, "go"),
        mark.dequeued(200),
        mark.prompt(210, "go", "queued"),
        mark.interrupted(220),
        mark.text(300),
        mark.end(540),
      ],
    },
    live: { registry: registry("idle", 520) },
    outcome: "completed",
  },
  {
    holds: "ours interrupted before its first word, and at rest",
    since: {
      events: [GO],
      marks: [mark.enqueued(110, "go"), mark.prompt(210, "go", "queued"), mark.interrupted(220)],
    },
    live: { registry: registry("idle", 230) },
    outcome: "interrupted",
  },
  {
    holds: "the same, and ours was interrupted in its own tool",
    since: {
      events: [GO],
      marks: [
        mark.enqueued(110, "go"),
        mark.prompt(210, "go", "queued"),
        mark.result(300, "u"),
        mark.interrupted(301),
        mark.use(400, "v"),
        mark.result(500, "v"),
        mark.interrupted(501),
      ],
    },
    live: { registry: registry("idle", 520) },
    outcome: "interrupted",
  },
  {
    holds: "given back before the first word, at rest since",
    since: { events: [GO], marks: [PROMPT] },
    live: { registry: registry("idle", 400), at: T0 + 4_000 },
    outcome: "interrupted",
  },
  {
    holds: "at rest a moment ago: its end may not be written yet",
    since: { events: [GO], marks: [PROMPT] },
    live: { registry: registry("idle", 400), at: T0 + 2_000 },
    outcome: null,
  },
  {
    holds: "at rest for long after its Stop",
    since: { events: [GO, stopped(390)], marks: [PROMPT] },
    live: { registry: registry("idle", 400) },
    outcome: "completed",
  },
  {
    holds: "given back, and another message typed after it",
    since: { events: [GO, submitted(900, "other")], marks: [PROMPT, mark.prompt(900, "other")] },
    live: { registry: registry("busy", 910) },
    outcome: "interrupted",
  },
  {
    holds: "given back while sub-agents worked, which have reported since",
    since: {
      events: [GO],
      marks: [PROMPT, mark.enqueued(890, "<task-notification>"), mark.notification(900)],
    },
    live: { registry: registry("busy", 910) },
    outcome: "interrupted",
  },
  {
    holds: "began together with another message of the queue",
    since: {
      events: [GO],
      marks: [mark.prompt(210, "go", "queued"), mark.prompt(211, "other", "queued")],
    },
    live: { registry: registry("busy", 212) },
    outcome: null,
  },
  {
    holds: "the turn before it interrupted, ours starts",
    since: {
      events: [GO],
      marks: [mark.enqueued(110, "go"), mark.interrupted(200), mark.prompt(210, "go", "queued")],
    },
    live: { registry: registry("busy", 212) },
    outcome: null,
  },
  {
    holds: "the agent died while it was queued",
    since: { events: [GO, stopped(300)], marks: [mark.enqueued(110, "go"), mark.end(340)] },
    live: { process: "dead" },
    outcome: "gone",
  },
];

const TWICE: Row[] = [
  {
    holds: "the typed one's turn is over, the queued one waits",
    since: {
      events: [GO, submitted(200, "go"), stopped(300)],
      marks: [PROMPT, mark.enqueued(200, "go"), mark.end(340)],
    },
    live: { registry: BUSY },
    outcome: "completed",
  },
  {
    holds: "the typed one runs, the queued one waits",
    since: { events: [GO, submitted(200, "go")], marks: [PROMPT, mark.enqueued(200, "go")] },
    live: { registry: BUSY },
    outcome: null,
  },
  {
    holds: "ours is queued; the earlier one of the same text, queued before our anchor, is at work",
    since: { events: [], marks: [mark.dequeued(50), mark.prompt(60, "go", "queued"), mark.end(90)] },
    live: { registry: registry("idle", 80) },
    outcome: null,
  },
  {
    holds: "ours is queued behind that one",
    since: {
      events: [GO],
      marks: [mark.prompt(60, "go", "queued"), mark.enqueued(110, "go"), mark.end(340)],
    },
    live: { registry: registry("busy", 65) },
    outcome: null,
  },
  {
    holds: "ours was typed after that one",
    since: { events: [GO, stopped(300)], marks: [mark.prompt(60, "go", "queued"), mark.end(90), PROMPT] },
    live: { registry: BUSY },
    outcome: null,
  },
  {
    holds: "ours, typed after that one, is over",
    since: {
      events: [GO, stopped(300)],
      marks: [mark.prompt(60, "go", "queued"), mark.end(90), PROMPT, mark.end(340)],
    },
    live: { registry: registry("idle", 310) },
    outcome: "completed",
  },
  {
    holds: "both queued, taken up as one turn that is over",
    since: {
      marks: [
        mark.enqueued(110, "go"),
        mark.enqueued(120, "go"),
        mark.end(200),
        mark.prompt(210, "go", "queued"),
        mark.prompt(210, "go", "queued"),
        mark.end(400),
      ],
    },
    live: { registry: registry("idle", 390) },
    outcome: "completed",
  },
];

const SUBAGENTS: Row[] = [
  {
    holds: "turn_duration with pending sub-agents",
    since: { events: [GO, stopped(500, "subagent")], marks: [PROMPT, mark.end(540, 1)] },
    live: { registry: BUSY },
    outcome: null,
  },
  {
    holds: "Stop with running sub-agents and a registry that has only just become idle",
    since: { events: [GO, stopped(500, "subagent")], marks: [PROMPT] },
    live: { registry: registry("idle", 510), at: T0 + 900 },
    outcome: null,
  },
  {
    holds: "Stop with sub-agents that ended without a report: the registry has long been idle",
    since: { events: [GO, stopped(500, "subagent")], marks: [PROMPT, mark.end(540, 1)] },
    live: { registry: registry("idle", 510), at: T0 + 10_000 },
    outcome: "completed",
  },
  {
    holds: "the sub-agent's report is at work",
    since: {
      events: [GO, stopped(500, "subagent"), submitted(900, "<task-notification>")],
      marks: [PROMPT, mark.end(540, 1), mark.notification(900), mark.text(950)],
    },
    live: { registry: registry("busy", 110) },
    outcome: null,
  },
  {
    holds: "the turn of the sub-agent's report is over",
    since: {
      events: [GO, stopped(500, "subagent"), submitted(900, "<task-notification>"), stopped(990)],
      marks: [PROMPT, mark.end(540, 1), mark.notification(900), mark.end(999)],
    },
    live: { registry: registry("idle", 995) },
    outcome: "completed",
  },
  {
    holds: "the turn of the sub-agent's report is over, transcript lagging",
    since: {
      events: [GO, stopped(500, "subagent"), submitted(900, "<task-notification>"), stopped(990)],
      marks: [PROMPT, mark.end(540, 1), mark.notification(900)],
    },
    live: { registry: registry("idle", 995) },
    outcome: "completed",
  },
  {
    holds: "the turn of the sub-agent's report failed, transcript lagging",
    since: {
      events: [GO, stopped(500, "subagent"), submitted(900, "<task-notification>"), failed(990)],
      marks: [PROMPT, mark.end(540, 1), mark.notification(900)],
    },
    live: { registry: registry("idle", 995) },
    outcome: "failed",
  },
];

const SHELL_DONE = {
  events: [GO, stopped(500, "shell"), submitted(900, "<task-notification>")],
  marks: [PROMPT, mark.end(540), mark.notification(900)],
};
const BACKGROUND: Row[] = [
  {
    holds: "a shell runs",
    background: true,
    since: { events: [GO, stopped(500, "shell")], marks: [PROMPT, mark.end(540)] },
    live: { registry: registry("shell", 510) },
    outcome: null,
  },
  {
    holds: "a shell runs, the registry still says busy",
    background: true,
    since: { events: [GO, stopped(500, "shell")], marks: [PROMPT, mark.end(540)] },
    live: { registry: BUSY },
    outcome: null,
  },
  {
    holds: "the shell's report is at work",
    background: true,
    since: SHELL_DONE,
    live: { registry: registry("busy", 910) },
    outcome: null,
  },
  {
    holds: "the shell's report is at work, not asked for",
    since: SHELL_DONE,
    live: { registry: registry("busy", 910) },
    outcome: "completed",
  },
  {
    holds: "all at rest",
    background: true,
    since: { events: [...SHELL_DONE.events, stopped(990)], marks: [...SHELL_DONE.marks, mark.end(999)] },
    live: { registry: registry("idle", 995) },
    outcome: "completed",
  },
  {
    holds: "a shell runs, no registry",
    background: true,
    since: { events: [GO, stopped(500, "shell")], marks: [PROMPT, mark.end(540)] },
    live: {},
    outcome: null,
  },
  {
    holds: "the agent died, and its shells with it",
    background: true,
    since: { events: [GO, stopped(500, "shell")], marks: [PROMPT, mark.end(540)] },
    live: { process: "dead", registry: registry("idle", 510) },
    outcome: "completed",
  },
];

const NO_REGISTRY: Row[] = [
  {
    holds: "Stop, its turn_duration not yet written",
    since: { events: [GO, stopped(500)], marks: [PROMPT] },
    live: {},
    outcome: null,
  },
  {
    holds: "turn_duration",
    since: { events: [GO, stopped(500)], marks: [PROMPT, mark.end(540)] },
    live: {},
    outcome: "completed",
  },
  { holds: "no transcript: at work", since: { events: [GO] }, live: {}, outcome: null },
  { holds: "no transcript: Stop", since: { events: [GO, stopped(500)] }, live: {}, outcome: "completed" },
  { holds: "no transcript: StopFailure", since: { events: [GO, failed(500)] }, live: {}, outcome: "failed" },
  {
    holds: "no transcript: sub-agents",
    since: { events: [GO, stopped(500, "subagent")] },
    live: {},
    outcome: null,
  },
  {
    holds: "no transcript: a permission",
    since: { events: [GO, asked(300, "Bash")] },
    live: {},
    outcome: "waiting_for_input",
  },
  {
    holds: "no transcript: a person's prompt that failed after ours was over",
    since: { events: [GO, stopped(500), submitted(900, "mine"), failed(990)] },
    live: {},
    outcome: "completed",
  },
  { holds: "hooks off, no transcript", since: {}, live: { process: "unknown" }, outcome: null },
];

const NEVER_SENT: Row[] = [
  { holds: "idle", since: {}, live: { registry: registry("idle", 0) }, outcome: "idle" },
  { holds: "working", since: {}, live: { registry: BUSY, marks: [PROMPT] }, outcome: null },
  {
    holds: "waiting",
    since: {},
    live: { registry: registry("waiting", 0, "dialog open") },
    outcome: "waiting_for_input",
  },
  { holds: "gone", since: {}, live: { process: "dead" }, outcome: "gone" },
  { holds: "unknown", since: {}, live: { process: "unknown" }, outcome: null },
  {
    holds: "a person's turn is over",
    since: {},
    live: { registry: registry("idle", 520), events: [GO, stopped(500)], marks: [PROMPT, mark.end(540)] },
    outcome: "completed",
  },
  {
    holds: "a person's turn failed",
    since: {},
    live: { registry: registry("idle", 520), events: [GO, failed(500)] },
    outcome: "failed",
  },
  {
    holds: "a person interrupted",
    since: {},
    live: { registry: registry("idle", 520), marks: [PROMPT, mark.interrupted(500)] },
    outcome: "interrupted",
  },
  {
    holds: "a background shell",
    since: {},
    live: { registry: registry("shell", 520), events: [GO, stopped(500, "shell")] },
    outcome: "completed",
  },
  {
    holds: "a background shell that counts",
    background: true,
    since: {},
    live: { registry: registry("shell", 520), events: [GO, stopped(500, "shell")] },
    outcome: null,
  },
];

const TABLES: [title: string, rows: Row[], text: string | null][] = [
  ["plain turn", PLAIN, "go"],
  ["queued message", QUEUED, "go"],
  ["the same text twice", TWICE, "go"],
  ["sub-agents", SUBAGENTS, "go"],
  ["background", BACKGROUND, "go"],
  ["no registry", NO_REGISTRY, "go"],
  ["never sent", NEVER_SENT, null],
];
for (const [title, rows, usual] of TABLES) {
  for (const row of rows) {
    Deno.test(`judgeTurn(), ${title}: ${row.holds}: ${row.outcome ?? "not over"}`, () => {
      const since = { events: row.since.events ?? [], marks: row.since.marks ?? [] };
      const text = row.text === undefined ? usual : row.text;
      const judged = judgeTurn(
        since,
        evidence({ ...since, ...row.live }),
        text === null ? null : textKey(text),
        { background: row.background ?? false },
      );
      strictEqual(judged?.outcome ?? null, row.outcome);
      if (row.error !== undefined) strictEqual(judged?.outcome === "failed" && judged.error, row.error);
    });
  }
}

Deno.test("judgeTurn() names what a waiting session asks", () => {
  const since = { events: [GO, asked(300, "Bash", { command: "rm -rf dist" })], marks: [PROMPT] };
  const live = evidence({ ...since, registry: registry("waiting", 310, "permission prompt") });
  const judged = judgeTurn(since, live, textKey("go"), { background: false });
  strictEqual(judged?.outcome === "waiting_for_input" && judged.pending.summary, "Bash: rm -rf dist");
});

/** Each conversation of the real program, read line by line: the line that ends the turn of each message. */
Deno.test("judgeTurn() ends at the same line of a real conversation, read up to any line", () => {
  const table: [file: string, text: string, outcome: string, after: Mark["kind"], index: number][] = [
    ["plain", "Say hello", "completed", "turn_end", 0],
    ["tool", "List the files", "completed", "turn_end", 0],
    ["permission", "Touch a file", "completed", "turn_end", 0],
    ["question", "Ask me", "completed", "turn_end", 0],
    ["max_tokens", "Write much", "completed", "turn_end", 0],
    ["background_bash", "Build in the background", "completed", "turn_end", 0],
    ["subagent", "Let another look", "completed", "turn_end", 1],
    ["api_error", "Say hello", "failed", "api_error", 0],
    ["interrupt_mid_stream", "Count", "interrupted", "interrupted", 0],
    ["interrupt_tool", "Wait a while", "interrupted", "interrupted", 0],
    ["queued_absorbed", "Do two things", "completed", "turn_end", 0],
    ["queued_absorbed", "And a third", "completed", "turn_end", 0],
    ["queued_absorbed", "And a fourth", "completed", "turn_end", 0],
    ["queued_dequeued", "Count slowly", "completed", "turn_end", 0],
    ["queued_dequeued", "Then this", "completed", "turn_end", 1],
    ["queued_dequeued", "And that", "completed", "turn_end", 1],
    ["version_2_1_197", "Say hi", "completed", "turn_end", 0],
    ["version_2_1_197", "Count", "interrupted", "interrupted", 0],
  ];
  const folder = join(import.meta.dirname!, "..", "..", "support", "transcripts");
  for (const [file, text, outcome, kind, index] of table) {
    const marks = Deno.readTextFileSync(join(folder, `${file}.jsonl`)).split("\n").flatMap(parseLine);
    const ends = marks.flatMap((mark, at) => mark.kind === kind ? [at] : []);
    const begin = marks.findIndex((mark) => "text" in mark && mark.text === text);
    for (let read = begin; read <= marks.length; read++) {
      const since = { events: [], marks: marks.slice(begin, read) };
      const live = evidence({ marks: marks.slice(0, read), transcript: "present" });
      const judged = judgeTurn(since, live, textKey(text), { background: false });
      const expected = read > ends[index]! ? outcome : null;
      strictEqual(judged?.outcome ?? null, expected, `${file}: "${text}" after ${read} marks`);
    }
  }
});

Deno.test("saidInTurn() has the replies of that message's turn only", () => {
  const marks = [
    mark.text(10, "before"),
    PROMPT,
    mark.text(110, "first"),
    mark.use(120, "u"),
    mark.result(130, "u"),
    mark.text(140, "second"),
    mark.enqueued(150, "go"),
    mark.end(200),
    mark.prompt(210, "go", "queued"),
    mark.text(220, "of the other"),
    mark.end(230),
  ];
  deepStrictEqual(saidInTurn(marks, textKey("go")), { texts: ["first", "second"], ended: true });
  deepStrictEqual(saidInTurn(marks.slice(0, 4), textKey("go")), { texts: ["first"], ended: false });
  deepStrictEqual(saidInTurn(marks, textKey("other")), { texts: [], ended: false });
});
