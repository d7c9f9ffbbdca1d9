/**
 * What a session does, told from every combination of records that Claude Code was seen to leave.
 *
 * Long, because it is one table with registry and one without: what differs shows row by row.
 */

import { deepStrictEqual, match, ok, strictEqual } from "node:assert/strict";
import type { ClaudeEvidence } from "../../../backends/claude/evidence.ts";
import { decideState, explain, lastTurn } from "../../../backends/claude/state.ts";
import {
  asked,
  evidence,
  failed,
  hook,
  mark,
  registry,
  stopped,
  submitted,
  T0,
  time,
} from "../../support/claude_evidence.ts";

interface Row {
  readonly holds: string;
  readonly given: Partial<ClaudeEvidence>;
  /** State; `waiting_for_input` with the kind of what is pending. */
  readonly state: string;
  /** How the newest ended turn went; left out when it does not matter. */
  readonly last?: string | null;
}

const START = hook("SessionStart", 0);
const PROMPT = mark.prompt(100, "go");
const WITH_REGISTRY: Row[] = [
  { holds: "fresh", given: { registry: registry("idle", 0), events: [START] }, state: "idle", last: null },
  { holds: "fresh, hooks off", given: { registry: registry("idle", 0) }, state: "idle", last: null },
  {
    holds: "a prompt that the registry has not caught up with",
    given: { registry: registry("idle", 0), events: [START, submitted(100, "go")] },
    state: "working",
  },
  {
    holds: "hooks off and a prompt in the transcript that the registry has not caught up with",
    given: { registry: registry("idle", 0), marks: [PROMPT] },
    state: "working",
  },
  {
    holds: "registry busy",
    given: { registry: registry("busy", 110), events: [START, submitted(100, "go")], marks: [PROMPT] },
    state: "working",
    last: null,
  },
  {
    holds: "registry still busy after Stop",
    given: {
      registry: registry("busy", 110),
      events: [submitted(100, "go"), stopped(500)],
      marks: [PROMPT, mark.text(490)],
    },
    state: "working",
    last: "completed",
  },
  {
    holds: "turn over, last line not yet written",
    given: { registry: registry("idle", 520), events: [submitted(100, "go"), stopped(500)], marks: [PROMPT] },
    state: "idle",
    last: "completed",
  },
  {
    holds: "turn over",
    given: {
      registry: registry("idle", 520),
      events: [submitted(100, "go"), stopped(500)],
      marks: [PROMPT, mark.text(490), mark.end(540)],
    },
    state: "idle",
    last: "completed",
  },
  {
    holds: "a second prompt before the registry caught up, the first one's end in the records",
    given: {
      registry: registry("idle", 520),
      events: [submitted(100, "go"), stopped(500), submitted(900, "more")],
      marks: [PROMPT, mark.end(540)],
    },
    state: "working",
    last: "completed",
  },
  {
    holds: "Stop newer than the registry's idle of the turn before",
    given: { registry: registry("idle", 0), events: [submitted(100, "go"), stopped(500)], marks: [PROMPT] },
    state: "idle",
    last: "completed",
  },
  {
    holds: "idle for a moment between a turn and the next one of the queue",
    given: {
      at: T0 + 540,
      registry: registry("idle", 520),
      events: [submitted(100, "go"), submitted(200, "more"), stopped(500)],
      marks: [PROMPT, mark.enqueued(200, "more"), mark.end(510)],
    },
    state: "working",
    last: "completed",
  },
  {
    holds: "a queue entry that nothing took up for long",
    given: {
      at: T0 + 5_000,
      registry: registry("idle", 520),
      events: [submitted(100, "go"), submitted(200, "more"), stopped(500)],
      marks: [PROMPT, mark.enqueued(200, "more"), mark.end(510)],
    },
    state: "idle",
    last: "completed",
  },
  {
    holds: "a prompt that a user's own hook refused",
    given: {
      registry: registry("idle", 520),
      events: [submitted(100, "go")],
      marks: [mark.notice(300, "UserPromptSubmit operation blocked by hook:\nno")],
    },
    state: "idle",
    last: "failed",
  },
  {
    holds: "a background shell",
    given: { registry: registry("shell", 520), events: [submitted(100, "go"), stopped(500, "shell")] },
    state: "idle",
    last: "completed",
  },
  {
    holds: "a background sub-agent",
    given: {
      registry: registry("busy", 110),
      events: [submitted(100, "go"), stopped(500, "subagent")],
      marks: [PROMPT, mark.end(540, 1)],
    },
    state: "working",
  },
  {
    holds: "a permission",
    given: { registry: registry("waiting", 200, "permission prompt"), events: [asked(190, "Bash")] },
    state: "waiting_for_input permission",
  },
  {
    holds: "a permission, hooks off",
    given: { registry: registry("waiting", 200, "permission prompt"), marks: [PROMPT, mark.use(190, "u")] },
    state: "waiting_for_input permission",
  },
  {
    holds: "a permission of which no record names the tool",
    given: { registry: registry("waiting", 200, "permission prompt") },
    state: "waiting_for_input permission",
  },
  {
    holds: "a question",
    given: { registry: registry("waiting", 200, "input needed"), events: [asked(190, "AskUserQuestion")] },
    state: "waiting_for_input question",
  },
  {
    holds: "a question as 2.1.197 names it",
    given: {
      registry: registry("waiting", 200, "permission prompt"),
      events: [asked(190, "AskUserQuestion")],
    },
    state: "waiting_for_input question",
  },
  {
    holds: "a question, hooks off",
    given: {
      registry: registry("waiting", 200, "permission prompt"),
      marks: [PROMPT, mark.use(190, "u", "AskUserQuestion")],
    },
    state: "waiting_for_input question",
  },
  {
    holds: "a question of which no record names the tool",
    given: { registry: registry("waiting", 200, "input needed") },
    state: "waiting_for_input question",
  },
  {
    holds: "a plan",
    given: { registry: registry("waiting", 200, "permission prompt"), events: [asked(190, "ExitPlanMode")] },
    state: "waiting_for_input plan",
  },
  {
    holds: "a dialog, although a permission was asked for earlier",
    given: { registry: registry("waiting", 900, "dialog open"), events: [asked(190, "Bash")] },
    state: "waiting_for_input dialog",
  },
  {
    holds: "something this version does not know",
    given: { registry: registry("waiting", 900, "goal proposal") },
    state: "waiting_for_input dialog",
  },
  {
    holds: "an API error",
    given: {
      registry: registry("idle", 520),
      events: [submitted(100, "go"), failed(500)],
      marks: [PROMPT, mark.error(495)],
    },
    state: "idle",
    last: "failed",
  },
  {
    holds: "API retries",
    given: { registry: registry("busy", 110), events: [submitted(100, "go")], marks: [PROMPT] },
    state: "working",
  },
  {
    holds: "an interrupt",
    given: {
      registry: registry("idle", 520),
      events: [submitted(100, "go")],
      marks: [PROMPT, mark.interrupted(500)],
    },
    state: "idle",
    last: "interrupted",
  },
  {
    holds: "an interrupt after an earlier turn that completed",
    given: {
      registry: registry("idle", 920),
      events: [stopped(80), submitted(100, "go")],
      marks: [mark.end(90), PROMPT, mark.interrupted(900)],
    },
    state: "idle",
    last: "interrupted",
  },
  {
    holds: "resume: the file of a crashed turn and a new process",
    given: {
      registry: registry("idle", 5_000),
      events: [submitted(100, "go"), hook("SessionStart", 4_900, { source: "resume" })],
      marks: [PROMPT],
    },
    state: "idle",
    last: null,
  },
  {
    holds: "the process dead, whatever its stale registry says",
    given: { process: "dead", registry: registry("busy", 100), events: [submitted(100, "go")] },
    state: "gone",
  },
  {
    holds: "the process out of sight, its registry idle",
    given: { process: "unknown", registry: registry("idle", 100) },
    state: "idle",
  },
];

const WITHOUT_REGISTRY: Row[] = [
  { holds: "fresh", given: { events: [START] }, state: "idle", last: null },
  {
    holds: "a prompt",
    given: { events: [START, submitted(100, "go")] },
    state: "working",
  },
  {
    holds: "a prompt and its line",
    given: { events: [START, submitted(100, "go")], marks: [PROMPT] },
    state: "working",
  },
  {
    holds: "Stop",
    given: { events: [submitted(100, "go"), stopped(500)], marks: [PROMPT] },
    state: "idle",
    last: "completed",
  },
  {
    holds: "turn_duration, hooks off",
    given: { marks: [PROMPT, mark.text(300), mark.end(500)] },
    state: "idle",
    last: "completed",
  },
  { holds: "a running turn, hooks off", given: { marks: [PROMPT, mark.text(300)] }, state: "working" },
  {
    holds: "no word about what runs, hooks off",
    given: { transcript: "present" },
    state: "unknown",
  },
  { holds: "nothing but the process", given: {}, state: "idle", last: null },
  { holds: "nothing at all", given: { process: "unknown" }, state: "unknown" },
  {
    holds: "sub-agents after Stop",
    given: {
      events: [submitted(100, "go"), stopped(500, "subagent")],
      marks: [PROMPT, mark.end(540, 1)],
    },
    state: "working",
  },
  {
    holds: "sub-agents, hooks off",
    given: { marks: [PROMPT, mark.end(540, 1)] },
    state: "working",
  },
  {
    holds: "an interrupt of the turn that a sub-agent's report began",
    given: {
      events: [submitted(100, "go"), stopped(500, "subagent"), submitted(900, "<task-notification>")],
      marks: [PROMPT, mark.end(540, 1), mark.notification(900), mark.interrupted(950)],
    },
    state: "idle",
    last: "interrupted",
  },
  {
    holds: "a background shell after Stop",
    given: { events: [submitted(100, "go"), stopped(500, "shell")], marks: [PROMPT] },
    state: "idle",
    last: "completed",
  },
  {
    holds: "StopFailure",
    given: { events: [submitted(100, "go"), failed(500)], marks: [PROMPT, mark.error(505)] },
    state: "idle",
    last: "failed",
  },
  {
    holds: "an API error, hooks off",
    given: { marks: [PROMPT, mark.error(505)] },
    state: "idle",
    last: "failed",
  },
  {
    holds: "an interrupt",
    given: { events: [submitted(100, "go")], marks: [PROMPT, mark.interrupted(500)] },
    state: "idle",
    last: "interrupted",
  },
  {
    holds: "a user's hook that stopped the prompt",
    given: {
      events: [stopped(50), submitted(100, "go")],
      marks: [PROMPT, mark.notice(150, "Operation stopped by hook: no")],
    },
    state: "idle",
    last: "failed",
  },
  {
    holds: "a permission",
    given: { events: [submitted(100, "go"), asked(200, "Bash")], marks: [PROMPT, mark.use(190, "u")] },
    state: "waiting_for_input permission",
  },
  {
    holds: "a permission that was answered",
    given: {
      events: [submitted(100, "go"), asked(200, "Bash")],
      marks: [PROMPT, mark.use(190, "u"), mark.result(900, "u")],
    },
    state: "working",
  },
  {
    holds: "a question",
    given: { events: [submitted(100, "go"), asked(200, "AskUserQuestion")], marks: [PROMPT] },
    state: "waiting_for_input question",
  },
  {
    holds: "an open tool call and hooks off, which may run as well as ask",
    given: { marks: [PROMPT, mark.use(190, "u")] },
    state: "working",
  },
  {
    holds: "the process dead in a turn",
    given: { process: "dead", events: [submitted(100, "go")], marks: [PROMPT] },
    state: "gone",
  },
];

for (const [title, rows] of [["registry", WITH_REGISTRY], ["no registry", WITHOUT_REGISTRY]] as const) {
  for (const row of rows) {
    Deno.test(`decideState(), ${title}: ${row.holds}: ${row.state}`, () => {
      const state = decideState(evidence(row.given));
      strictEqual(
        state.state === "waiting_for_input" ? `${state.state} ${state.pending.kind}` : state.state,
        row.state,
      );
      if (row.last !== undefined) strictEqual(state.lastTurn?.kind ?? null, row.last);
    });
  }
}

Deno.test("decideState() lists the newest Stop's background work until another turn begins", () => {
  const idle = evidence({ registry: registry("shell", 520), events: [stopped(500, "shell", "subagent")] });
  deepStrictEqual(decideState(idle).background.map((task) => task.type), ["shell", "subagent"]);
  const working = evidence({
    registry: registry("busy", 900),
    events: [stopped(500, "shell"), submitted(890, "more")],
  });
  deepStrictEqual(decideState(working).background, []);
});

Deno.test("decideState() says since when, as the registry does", () => {
  strictEqual(decideState(evidence({ registry: registry("busy", 110) })).since, time(110));
  strictEqual(decideState(evidence({ registry: registry("idle", 510) })).since, time(510));
});

Deno.test("decideState() does not take the word of a Claude whose wrapper has ended for what it does now", () => {
  const orphan = evidence({
    process: "unknown",
    behindWrapper: "/home/u/.claude/sessions/7.json",
    registry: registry("idle", 0),
  });
  const state = decideState(orphan);
  ok(state.state === "unknown");
  match(
    state.reason,
    /"\/home\/u\/\.claude\/sessions\/7\.json".*its container may still run\. See: docker ps/,
  );
  match(explain(orphan)[0]!.finding, /^unknown: its wrapper has ended/);
});

Deno.test("lastTurn() takes the newest end, whichever record has it", () => {
  const table: [holds: string, parts: Partial<ClaudeEvidence>, kind: string | null, error?: string | null][] =
    [
      ["nothing", {}, null],
      ["Stop alone", { events: [stopped(500)] }, "completed"],
      ["its last words as the error", { events: [failed(500, "Overloaded")] }, "failed", "Overloaded"],
      [
        "the class where there are no words",
        { events: [hook("StopFailure", 1, { error: "rate_limit" })] },
        "failed",
        "rate_limit",
      ],
      ["no words and no class", { events: [hook("StopFailure", 1)] }, "failed", "unknown error"],
      [
        "an interrupt older than Stop",
        { events: [stopped(500)], marks: [mark.interrupted(100)] },
        "completed",
      ],
      [
        "an interrupt newer than Stop",
        { events: [stopped(500)], marks: [mark.interrupted(900)] },
        "interrupted",
      ],
      [
        "a stop by hook newer than Stop",
        { events: [stopped(500)], marks: [mark.notice(900, "Operation stopped by hook: no")] },
        "failed",
        "Operation stopped by hook: no",
      ],
      [
        "a turn that completed after one that failed, its Stop not recorded",
        { events: [failed(100)], marks: [mark.error(90), mark.end(900)] },
        "completed",
      ],
      ["another notice", { marks: [mark.notice(900, "Unknown command: /x")] }, null],
      ["a turn with running sub-agents", { marks: [mark.end(900, 2)] }, null],
      [
        "a mark without a time",
        { events: [stopped(500)], marks: [{ kind: "interrupted", at: null }] },
        "completed",
      ],
      ["only a mark without a time", { marks: [{ kind: "interrupted", at: null }] }, "interrupted"],
    ];
  for (const [holds, parts, kind, error] of table) {
    const last = lastTurn(evidence(parts));
    strictEqual(last?.kind ?? null, kind, holds);
    if (error !== undefined) strictEqual(last?.error, error, holds);
  }
});

Deno.test("explain() names each source, the missing ones too", () => {
  const findings = (parts: Partial<ClaudeEvidence>) =>
    Object.fromEntries(explain(evidence(parts)).map(({ source, finding }) => [source, finding]));
  deepStrictEqual(findings({}), {
    process: "alive",
    "live registry": "none for this process: falling back to hooks and transcript",
    hooks: "no event was ever written: hooks are off, falling back to live registry and transcript",
    transcript: "none yet: no prompt was recorded",
  });
  strictEqual(
    findings({ events: [{ ...stopped(190), unread: true }] }).hooks,
    `Stop at ${time(190)}; of 1 only the name, being larger than an event can be`,
  );
  deepStrictEqual(
    findings({
      registry: registry("waiting", 200, "permission prompt"),
      events: [asked(190, "Bash")],
      marks: [PROMPT],
    }),
    {
      process: "alive",
      "live registry": `waiting (permission prompt) since ${time(200)}`,
      hooks: `PermissionRequest at ${time(190)}`,
      transcript: `prompt at ${time(100)}`,
    },
  );
});
