/** When a turn may be stopped and what an Escape has come to: each row is one moment of a session's records. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import type { ClaudeEvidence } from "../../../backends/claude/evidence.ts";
import {
  activityOf,
  areDifferent,
  hasMoved,
  judgeEscape,
  queuedBehind,
  vetoEscape,
} from "../../../backends/claude/interrupt_plan.ts";
import { inTurnOrder } from "../../../backends/claude/mark_order.ts";
import type { Mark } from "../../../backends/claude/transcript.ts";
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

const PROMPT = mark.prompt(100, "go");
const QUEUED = mark.prompt(600, "next", "queued");
const BUSY = registry("busy", 110);

/** What `activityOf` says, in short: `turn go`, `rest subagent`, `between -> rest`. */
function activity(given: Partial<ClaudeEvidence>): string {
  const shorten = (found: ReturnType<typeof activityOf>): string => {
    switch (found.kind) {
      case "turn":
        return `turn ${found.turn.texts.join("+") || "?"}`;
      case "rest":
        return ["rest", ...found.background.map(({ type }) => type)].join(" ");
      case "waiting":
        return `waiting ${found.pending.kind}`;
      case "between":
        return `between -> ${shorten(found.otherwise)}`;
      case "gone":
      case "unknown":
        return found.kind;
    }
  };
  return shorten(activityOf(evidence(given)));
}

Deno.test("activityOf() tells a turn that may be stopped from everything else", () => {
  const GO = submitted(100, "go");
  const table: [name: string, given: Partial<ClaudeEvidence>, expected: string][] = [
    ["dead", { process: "dead", registry: BUSY, marks: [PROMPT] }, "gone"],
    [
      "idle",
      { registry: registry("idle", 600), marks: [PROMPT, mark.end(590)], events: [GO, stopped(580)] },
      "rest",
    ],
    ["never prompted", { registry: registry("idle", 0) }, "rest"],
    ["busy", { registry: BUSY, marks: [PROMPT], events: [GO] }, "turn go"],
    ["busy, hooks off", { registry: BUSY, marks: [PROMPT] }, "turn go"],
    [
      "API retries: nothing but a busy registry",
      { registry: BUSY, marks: [PROMPT], events: [GO] },
      "turn go",
    ],
    ["in a tool", { registry: BUSY, marks: [PROMPT, mark.use(200, "u")], events: [GO] }, "turn go"],
    ["messages of the queue are one turn", {
      registry: registry("busy", 610),
      marks: [mark.interrupted(550), mark.prompt(600, "a", "queued"), mark.prompt(601, "b", "queued")],
    }, "turn a+b"],
    [
      "a report's own turn",
      { registry: BUSY, marks: [mark.notification(100)] },
      "turn (a background task's report)",
    ],
    ["a dialog", { registry: registry("waiting", 200, "dialog open"), marks: [PROMPT] }, "waiting dialog"],
    ["a permission", {
      registry: registry("waiting", 200, "permission prompt"),
      marks: [PROMPT],
      events: [GO, asked(190, "Bash")],
    }, "waiting permission"],
    ["a permission that the registry lags behind", {
      registry: BUSY,
      marks: [PROMPT],
      events: [GO, asked(190, "Bash")],
    }, "waiting permission"],
    ["Stop, and no end in the transcript yet", {
      registry: BUSY,
      marks: [PROMPT, mark.text(480)],
      events: [GO, stopped(500)],
    }, "between -> turn go"],
    ["over, the registry lagging", {
      registry: BUSY,
      marks: [PROMPT, mark.end(540)],
      events: [GO, stopped(500)],
    }, "between -> rest"],
    ["over, a new prompt not in the transcript yet", {
      registry: registry("busy", 910),
      marks: [PROMPT, mark.end(540)],
      events: [GO, stopped(500), submitted(900, "new")],
    }, "between -> turn ?"],
    ["sub-agents after the end of their turn", {
      registry: BUSY,
      marks: [PROMPT, mark.end(540, 1)],
      events: [GO, stopped(500, "subagent")],
    }, "rest subagent"],
    ["sub-agents, and a message that is about to be taken up", {
      registry: BUSY,
      marks: [PROMPT, mark.enqueued(300, "more"), mark.end(540, 1)],
      events: [GO, submitted(300, "more"), stopped(500, "subagent")],
    }, "between -> rest subagent"],
    ["sub-agents after an interrupted turn", {
      registry: BUSY,
      marks: [PROMPT, mark.interrupted(700)],
      events: [stopped(50, "subagent"), GO],
    }, "rest subagent"],
    ["a background shell", {
      registry: registry("shell", 520),
      marks: [PROMPT, mark.end(540)],
      events: [GO, stopped(500, "shell")],
    }, "rest shell"],
    ["a background shell that has reported", {
      registry: registry("shell", 520),
      marks: [PROMPT, mark.end(540), {
        kind: "enqueued",
        at: T0 + 600,
        text: "<task-notification>\n<task-id>t0</task-id>",
      }],
      events: [GO, stopped(500, "shell")],
      at: T0 + 9_000,
    }, "rest"],
    ["idle for a moment, the queue not empty", {
      registry: registry("idle", 520),
      marks: [PROMPT, mark.enqueued(300, "more"), mark.interrupted(510)],
      at: T0 + 530,
    }, "between -> unknown"],
    ["idle for a moment, a message out of the queue and not yet a prompt", {
      registry: registry("idle", 520),
      marks: [PROMPT, mark.enqueued(300, "more"), mark.interrupted(510), mark.dequeued(521)],
      at: T0 + 530,
    }, "between -> unknown"],
    ["no registry: hooks and transcript say that it works", { marks: [PROMPT], events: [GO] }, "turn go"],
    ["no registry, over", { marks: [PROMPT, mark.end(540)], events: [GO, stopped(500)] }, "rest"],
    ["no registry, failed", { marks: [PROMPT, mark.error(540)], events: [GO, failed(530)] }, "rest"],
    ["no transcript kept", { registry: BUSY, events: [GO] }, "turn go"],
    ["no transcript kept, over", { registry: BUSY, events: [GO, stopped(500)] }, "between -> rest"],
    ["nothing says anything", { process: "unknown" }, "unknown"],
  ];
  for (const [name, given, expected] of table) strictEqual(activity(given), expected, name);
});

/** What one Escape at 1000 has come to, looked at at `at`. */
function escaped(
  since: Partial<Pick<ClaudeEvidence, "events" | "marks">>,
  live: Partial<ClaudeEvidence>,
  at = 1_500,
): string {
  const turn = { id: "go", texts: ["go"] };
  const recorded = { events: since.events ?? [], marks: since.marks ?? [] };
  const marks = live.marks ?? [PROMPT, ...recorded.marks];
  const found = judgeEscape(
    turn,
    T0 + 1_000,
    recorded,
    evidence({ hooks: true, ...live, marks, at: T0 + at }),
  );
  if (found.kind !== "stopped") return found.kind;
  return [found.how, found.turn.texts.join("+"), ...(found.overtaken ? ["overtaken"] : [])].join(" ");
}

Deno.test("judgeEscape() calls stopped only what the records show", () => {
  const IDLE = registry("idle", 1_120);
  const LATE_NEXT = [
    mark.dequeued(1_130),
    mark.prompt(1_140, "next", "queued"),
    mark.result(1_200, "u"),
    mark.interrupted(1_201),
  ];
  const table: [name: string, got: string, expected: string][] = [
    ["nothing yet", escaped({}, { registry: registry("busy", 110) }), "open"],
    ["nothing for long", escaped({}, { registry: registry("busy", 110) }, 60_000), "open"],
    ["line and rest", escaped({ marks: [mark.interrupted(1_110)] }, { registry: IDLE }), "line go"],
    [
      "line, and a background shell goes on",
      escaped({ marks: [mark.interrupted(1_110)] }, { registry: registry("shell", 1_120) }),
      "line go",
    ],
    [
      "line, the registry lagging",
      escaped({ marks: [mark.interrupted(1_110)] }, { registry: registry("busy", 110) }),
      "open",
    ],
    [
      "line, and sub-agents keep the registry busy",
      escaped({ marks: [mark.interrupted(1_110)] }, { registry: registry("busy", 110) }, 3_000),
      "line go",
    ],
    ["line, no registry", escaped({ marks: [mark.interrupted(1_110)] }, { registry: null }), "line go"],
    [
      "line, and the queue's turn runs",
      escaped({
        marks: [mark.interrupted(1_110), mark.dequeued(1_115), mark.prompt(1_130, "next", "queued")],
      }, {
        registry: registry("busy", 1_130),
      }),
      "line go",
    ],
    [
      "the queue's turn runs before the interrupted tool's line is written",
      escaped({ marks: LATE_NEXT }, { registry: registry("busy", 1_150) }),
      "line go",
    ],
    [
      "the queue's turn runs, and the line is not written yet",
      escaped({ marks: LATE_NEXT.slice(0, 2) }, { registry: registry("busy", 1_150) }),
      "open",
    ],
    [
      "ended by itself",
      escaped({ events: [stopped(1_050)], marks: [mark.end(1_060)] }, { registry: IDLE }),
      "ended",
    ],
    ["failed by itself", escaped({ marks: [mark.error(1_060)] }, { registry: IDLE }), "ended"],
    ["ended, the registry lagging", escaped({ marks: [mark.end(1_060)] }, { registry: BUSY }), "open"],
    ["its Stop only", escaped({ events: [stopped(1_050)] }, { registry: IDLE }), "open"],
    ["its Stop only, for long", escaped({ events: [stopped(1_050)] }, { registry: IDLE }, 5_000), "ended"],
    [
      "its Stop, no transcript kept",
      escaped({ events: [stopped(1_050)] }, { registry: IDLE, marks: [] }),
      "ended",
    ],
    [
      "ended, the next one has begun: the key may have met it",
      escaped({ marks: [mark.end(990), QUEUED] }, { registry: registry("busy", 1_000) }),
      "open",
    ],
    [
      "ended, and the next one goes on",
      escaped({ marks: [mark.end(990), QUEUED] }, { registry: registry("busy", 1_000) }, 3_100),
      "ended",
    ],
    [
      "ended, and the key stopped the next one",
      escaped({ marks: [mark.end(990), QUEUED, mark.interrupted(1_100)] }, { registry: IDLE }),
      "line next overtaken",
    ],
    [
      "the next one begun before its line is written",
      escaped({ marks: [mark.dequeued(1_130), QUEUED, mark.interrupted(1_140)] }, {
        registry: registry("busy", 1_100),
      }, 3_100),
      "line go",
    ],
    [
      "ended, and the key gave the next one's message back",
      escaped({ marks: [mark.end(990), QUEUED] }, { registry: IDLE }, 3_100),
      "rewound next overtaken",
    ],
    ["at rest without an answer", escaped({}, { registry: IDLE }, 2_000), "rewound go"],
    ["at rest without an answer, just now", escaped({}, { registry: IDLE }), "open"],
    ["the same, hooks off", escaped({}, { registry: IDLE, hooks: false }, 2_000), "open"],
    ["the same, hooks off, for longer", escaped({}, { registry: IDLE, hooks: false }, 3_200), "rewound go"],
    [
      "at rest after an answer, and no line",
      escaped({}, { registry: IDLE, marks: [PROMPT, mark.text(300)] }, 60_000),
      "open",
    ],
    ["at rest, no transcript kept", escaped({}, { registry: IDLE, marks: [] }, 2_000), "registry go"],
    [
      "a dialog instead",
      escaped({}, { registry: registry("waiting", 1_050, "dialog open") }, 60_000),
      "open",
    ],
  ];
  for (const [name, got, expected] of table) strictEqual(got, expected, name);
});

Deno.test("inTurnOrder() puts an interrupted tool's late lines before the turn that overtook them", () => {
  const kinds = (marks: readonly Mark[]) => inTurnOrder(marks).map(({ kind }) => kind).join(" ");
  const call = mark.use(200, "u");
  const late = [mark.result(700, "u"), mark.interrupted(701)];
  strictEqual(
    kinds([
      PROMPT,
      call,
      mark.dequeued(590),
      QUEUED,
      mark.prompt(601, "b", "queued"),
      ...late,
      mark.text(800),
    ]),
    "prompt tool_use dequeued tool_result interrupted prompt prompt assistant_text",
  );
  strictEqual(kinds([QUEUED, ...late]), "tool_result interrupted prompt", "the call is before the anchor");
  // Nothing had been said in the turn before: its line alone comes late, and what follows it goes on with ours.
  strictEqual(
    kinds([PROMPT, mark.dequeued(590), QUEUED, mark.interrupted(701), mark.text(800)]),
    "prompt dequeued interrupted prompt assistant_text",
  );
  for (
    const inOrder of [
      [PROMPT, QUEUED, mark.interrupted(701)],
      [PROMPT, QUEUED, mark.interrupted(701), mark.prompt(800, "c", "typed"), mark.text(900)],
      [PROMPT, QUEUED, mark.text(700), mark.interrupted(701), mark.text(800)],
      [PROMPT, call, ...late],
      [PROMPT, call, ...late, QUEUED, mark.use(800, "v"), mark.result(900, "v"), mark.interrupted(901)],
      [QUEUED, mark.text(700), mark.interrupted(800)],
      [PROMPT, mark.result(700, "u"), mark.interrupted(701)],
    ]
  ) {
    strictEqual(inTurnOrder(inOrder), inOrder, kinds(inOrder));
  }
});

Deno.test("queuedBehind() names what waits, and what the queue has begun since", () => {
  const turn = { id: "prompt 1", texts: ["go"] };
  const behind = (marks: readonly Mark[]) => queuedBehind(evidence({ marks }), turn);
  deepStrictEqual(behind([PROMPT, mark.enqueued(200, "a"), mark.enqueued(300, "b")]), ["a", "b"]);
  deepStrictEqual(behind([PROMPT, mark.enqueued(200, "<task-notification> done"), mark.enqueued(300, "b")]), [
    "b",
  ]);
  deepStrictEqual(behind([PROMPT, mark.enqueued(200, "a"), mark.removed(300, "a", "absorbed_mid_turn")]), []);
  deepStrictEqual(
    behind([mark.interrupted(500), QUEUED, mark.prompt(601, "b", "queued"), mark.enqueued(700, "c")]),
    ["next", "b", "c"],
  );
  deepStrictEqual(behind([PROMPT, mark.enqueued(200, "a"), mark.interrupted(300), mark.dequeued(301)]), [
    "a",
  ]);
  deepStrictEqual(behind([PROMPT]), []);
});

Deno.test("a turn is told from the next one, and not from one that is not recorded", () => {
  const [one, two, none] = ["a", "b", null].map((id) => ({ id, texts: [] }));
  strictEqual(areDifferent(one!, two!), true);
  strictEqual(areDifferent(one!, one!), false);
  strictEqual(areDifferent(one!, none!), false);
  strictEqual(
    hasMoved({ events: [submitted(1, "queued")], marks: [mark.enqueued(1, "queued"), mark.text(2)] }),
    false,
  );
  for (
    const moved of [
      mark.end(1),
      mark.end(1, 1),
      mark.interrupted(1),
      mark.error(1),
      PROMPT,
      mark.notification(1),
    ]
  ) {
    strictEqual(hasMoved({ events: [], marks: [moved] }), true, moved.kind);
  }
  strictEqual(hasMoved({ events: [stopped(1)], marks: [] }), true);
});

Deno.test("vetoEscape() keeps Escape from where it means something else", () => {
  const veto = (box: Parameters<typeof vetoEscape>[0]["box"], attached = false, hasRegistry = true) =>
    vetoEscape({ box, attached, vimInsert: false }, hasRegistry) !== null;
  strictEqual(veto({ kind: "empty" }), false);
  strictEqual(veto({ kind: "empty" }, true), false);
  for (const text of ["half a thought", "/usr/bin is a path", "mail me@home.org now"]) {
    strictEqual(veto({ kind: "draft", text }, true), false, text);
  }
  for (const text of ["/mod", "/", "look at @src/ma"]) strictEqual(veto({ kind: "draft", text }), true, text);
  strictEqual(veto({ kind: "other_mode", what: "bash mode" }), true);
  strictEqual(veto({ kind: "unrecognised" }), false);
  strictEqual(veto({ kind: "unrecognised" }, true), true);
  strictEqual(veto({ kind: "unrecognised" }, false, false), true);
});
