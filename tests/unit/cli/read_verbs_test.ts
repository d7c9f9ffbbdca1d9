import assert from "node:assert/strict";
import { sessionNotFound } from "../../../lib/errors.ts";
import type { LogEntry, TurnState } from "../../../lib/session.ts";
import { call, checkRows, IDLE, PERMISSION, refused, session } from "./harness.ts";

const WAITING: TurnState = {
  state: "waiting_for_input",
  since: "2026-01-02T03:04:05.000Z",
  evidence: [{ source: "hook log", finding: "PermissionRequest" }, {
    source: "registry",
    finding: "waiting",
  }],
  background: [{ id: "b1", type: "shell", description: "npm run dev" }],
  lastTurn: { kind: "failed", error: "overloaded", at: null },
  pending: PERMISSION,
  others: [],
};

const WAITING_TEXT = `waiting_for_input

a permission (Bash: rm -rf dist)
  approve
  deny
request q1
Answer it with: dev-sessions respond fizz-top --approve
`;

const LOG: LogEntry[] = [
  { role: "human", text: "Run the tests", at: "2026-01-02T03:04:05.000Z" },
  { role: "tool", text: "", at: null, tool: { name: "Bash", input: { command: "npm test" }, result: "ok" } },
  { role: "tool", text: "", at: null, tool: { name: "Read", input: { path: "a" }, result: null } },
  { role: "assistant", text: "All pass\n\nDone", at: null },
];

Deno.test("verbs about one session refuse what is no id, and know what an unknown one is", async (t) => {
  for (const verb of ["status", "last-message", "logs", "inspect"]) {
    await checkRows(
      t,
      refused([
        [[verb], "error: missing required argument 'id'"],
        [[verb, "a/b"], 'Invalid session id: "a/b"'],
        [[verb, ""], 'Invalid session id: ""'],
        [[verb, "fizz-top", "x"], `error: too many arguments for '${verb}'. Expected 1 argument but got 2.`],
      ]),
    );
  }
  const unknown = () => Promise.reject(sessionNotFound("fizz-top"));
  const rows = ["status", "last-message", "inspect"].map((verb) => ({
    name: `${verb} of an unknown session`,
    argv: [verb, "fizz-top"],
    given: { service: { status: unknown, lastMessages: unknown, inspect: unknown } },
    code: 3,
    stdout: "",
    stderr: "Session not found: fizz-top\n  List the sessions with: dev-sessions list --all\n",
  }));
  await checkRows(t, rows);
});

Deno.test("status prints the word, and the evidence when asked", async (t) => {
  const status = (state: TurnState) => ({ service: { status: () => Promise.resolve(state) } });
  const gone: TurnState = { ...IDLE, state: "gone", reason: "exit 1" };
  await checkRows(t, [
    {
      name: "idle",
      argv: ["status", "fizz-top"],
      stdout: "idle\n",
      asked: [{ status: ["fizz-top", { explain: false }] }],
    },
    { name: "waiting", argv: ["status", "fizz-top"], given: status(WAITING), stdout: WAITING_TEXT },
    {
      name: "two requests, one of them of a sub-agent, each with its own command",
      argv: ["status", "fizz-top"],
      given: status({
        ...WAITING,
        others: [{
          ...PERMISSION,
          requestId: "q2",
          subagent: "Explore",
          detail: "ls\nrm x",
          always: "allow it",
        }],
      }),
      stdout: `${WAITING_TEXT.replace("fizz-top", "fizz-top --request q1")}
a permission (Bash: rm -rf dist), asked by its sub-agent Explore
  | ls
  | rm x
  approve
  deny
request q2
Answer it with: dev-sessions respond fizz-top --request q2 --approve
`,
    },
    {
      name: "gone is an answer, no error",
      argv: ["status", "fizz-top"],
      given: status(gone),
      stdout: "gone\n",
    },
    {
      name: "evidence",
      argv: ["status", "fizz-top", "--explain"],
      given: status(WAITING),
      stdout: `${WAITING_TEXT}hook log: PermissionRequest\nregistry: waiting\n`,
    },
  ]);
  const plain = JSON.parse((await call(["status", "fizz-top", "--json"], status(WAITING))).stdout);
  assert.deepEqual(plain, {
    id: "fizz-top",
    state: "waiting_for_input",
    since: "2026-01-02T03:04:05.000Z",
    pending: PERMISSION,
    others: [],
    reason: null,
    lastError: "overloaded",
    lastTurn: WAITING.lastTurn,
    background: WAITING.background,
  });
  const explained = JSON.parse(
    (await call(["status", "fizz-top", "--json", "--explain"], status(WAITING))).stdout,
  );
  assert.deepEqual(explained.evidence, WAITING.evidence);
});

Deno.test("last-message prints blocks complete and apart", async (t) => {
  const messages = (...blocks: string[]) => ({ service: { lastMessages: () => Promise.resolve(blocks) } });
  await checkRows(t, [
    {
      name: "one",
      argv: ["last-message", "fizz-top"],
      stdout: "done\n",
      asked: [{ lastMessages: ["fizz-top", 1] }],
    },
    {
      name: "two",
      argv: ["last-message", "fizz-top", "-n", "2"],
      given: messages("a\n", "b"),
      stdout: "a\n\n\nb\n",
      asked: [{ lastMessages: ["fizz-top", 2] }],
    },
    { name: "none", argv: ["last-message", "fizz-top"], given: messages(), stdout: "" },
    {
      name: "JSON is a compact array",
      argv: ["last-message", "fizz-top", "--json", "-n2"],
      given: messages("a\n", "b"),
      stdout: '["a\\n","b"]\n',
    },
    { name: "none as JSON", argv: ["last-message", "fizz-top", "--json"], given: messages(), stdout: "[]\n" },
    {
      name: "raw to a pipe",
      argv: ["last-message", "fizz-top"],
      given: messages("\x1b[31mred"),
      stdout: "\x1b[31mred\n",
    },
    {
      name: "without control sequences to a terminal",
      argv: ["last-message", "fizz-top"],
      given: { ...messages("\x1b[31mred"), terminals: ["stdout"] },
      stdout: "red\n",
    },
    ...refused([
      [["last-message", "fizz-top", "-n", "0"], "--count must be a positive integer"],
      [["last-message", "fizz-top", "-n", "1.5"], "--count must be a positive integer"],
      [["last-message", "fizz-top", "--output", ""], "--output must not be empty"],
    ]),
  ]);
});

Deno.test("last-message --output writes the file whole and leaves nothing else", async () => {
  const folder = await Deno.makeTempDir();
  const output = `${folder}/reply.md`;
  await Deno.writeTextFile(output, "old");
  const text = await call(["last-message", "fizz-top", "--output", output]);
  assert.deepEqual([text.code, text.stdout, text.stderr], [0, "", `Wrote 1 message(s) to ${output}\n`]);
  assert.equal(await Deno.readTextFile(output), "done\n");
  await call(["last-message", "fizz-top", "--json", "--output", output]);
  assert.equal(await Deno.readTextFile(output), '["done"]\n');
  const failed = await call(["last-message", "fizz-top", "--output", `${folder}/none/reply.md`]);
  assert.equal(failed.code, 1);
  assert.match(failed.stderr, /^Cannot write to ".*\/none\/reply\.md": /);
  assert.deepEqual([...Deno.readDirSync(folder)].map(({ name }) => name), ["reply.md"]);
  await Deno.remove(folder, { recursive: true });
});

Deno.test("logs prints the conversation, with tools when asked", async (t) => {
  const given = {
    service: {
      async *logs() {
        yield* LOG;
      },
    },
  };
  await checkRows(t, [
    {
      name: "text",
      argv: ["logs", "fizz-top"],
      given,
      stdout: "[HUMAN]\nRun the tests\n\n[ASSISTANT]\nAll pass\n\nDone\n",
      asked: [{ logs: "fizz-top" }],
    },
    {
      name: "tools",
      argv: ["logs", "fizz-top", "--tools"],
      given,
      stdout:
        '[HUMAN]\nRun the tests\n\n[TOOL] Bash\n{"command":"npm test"}\n-> ok\n\n[TOOL] Read\n{"path":"a"}\n\n' +
        "[ASSISTANT]\nAll pass\n\nDone\n",
    },
    { name: "nothing", argv: ["logs", "fizz-top"], stdout: "No conversation history available\n" },
    { name: "nothing as JSON", argv: ["logs", "fizz-top", "--json"], stdout: "[]\n" },
    {
      name: "JSON is a compact array",
      argv: ["logs", "fizz-top", "--json"],
      given,
      stdout: `${JSON.stringify([LOG[0], LOG[3]])}\n`,
    },
  ]);
});

Deno.test("reading verbs print each session of a group", async (t) => {
  const expand = () => Promise.resolve({ ids: ["fizz-top", "riven-jg", "vi-mid"], leftOut: [] });
  const riven = (id: string) => id === "riven-jg";
  const given = {
    service: {
      expand,
      status: (id: string) => riven(id) ? Promise.reject(sessionNotFound(id)) : Promise.resolve(WAITING),
      lastMessages: (id: string) => Promise.resolve(riven(id) ? [] : ["a", "b"]),
      async *logs(id: string) {
        if (!riven(id)) yield LOG[0]!;
      },
      inspect: (id: string) => Promise.resolve(session({ id })),
    },
  };
  const asked = { expand: { targets: [{ kind: "group", group: "api" }], action: "read", caller: null } };
  await checkRows(t, [
    {
      name: "status, whatever one of them comes to",
      argv: ["status", "@api"],
      given: { ...given, env: { DEV_SESSIONS_ID: "fizz-top" } },
      asked: [
        asked,
        ...["fizz-top", "riven-jg", "vi-mid"].map((id) => ({ status: [id, { explain: false }] })),
      ],
      code: 3,
      stdout: "fizz-top\twaiting_for_input\nvi-mid\twaiting_for_input\n",
      stderr: "Session not found: riven-jg\n  List the sessions with: dev-sessions list --all\n",
    },
    {
      name: "last-message under headings",
      argv: ["last-message", "@api", "-n", "2"],
      given,
      stdout: "==> fizz-top <==\na\n\nb\n\n==> riven-jg <==\n\n==> vi-mid <==\na\n\nb\n",
    },
    {
      name: "last-message as JSON",
      argv: ["last-message", "@api", "--json"],
      given,
      stdout: '[{"id":"fizz-top","messages":["a","b"]},{"id":"riven-jg","messages":[]},' +
        '{"id":"vi-mid","messages":["a","b"]}]\n',
    },
    {
      name: "logs under headings",
      argv: ["logs", "@api"],
      given,
      stdout:
        "==> fizz-top <==\n[HUMAN]\nRun the tests\n\n==> riven-jg <==\nNo conversation history available\n\n" +
        "==> vi-mid <==\n[HUMAN]\nRun the tests\n",
    },
  ]);
  const states = JSON.parse((await call(["status", "@api", "--json"], given)).stdout);
  assert.deepEqual(states.map((one: { id: string; state: string }) => [one.id, one.state]), [
    ["fizz-top", "waiting_for_input"],
    ["vi-mid", "waiting_for_input"],
  ]);
  const explained = (await call(["status", "@api", "--explain"], given)).stdout.split("\n");
  assert.deepEqual(explained.slice(0, 4), [
    "fizz-top\twaiting_for_input",
    "\thook log: PermissionRequest",
    "\tregistry: waiting",
    "vi-mid\twaiting_for_input",
  ]);
  for (const argv of [["inspect", "@api"], ["inspect", "@api", "--json"]]) {
    const records = JSON.parse((await call(argv, given)).stdout);
    assert.deepEqual(records.map((record: { id: string }) => record.id), ["fizz-top", "riven-jg", "vi-mid"]);
  }
  const folder = await Deno.makeTempDir();
  const output = `${folder}/replies.md`;
  const written = await call(["last-message", "@api", "--output", output], given);
  assert.deepEqual([written.code, written.stdout, written.stderr], [
    0,
    "",
    `Wrote 4 message(s) to ${output}\n`,
  ]);
  assert.match(
    await Deno.readTextFile(output),
    /^==> fizz-top <==\na\n\nb\n\n==> riven-jg <==\n\n==> vi-mid <==\n/,
  );
  await Deno.remove(folder, { recursive: true });
});

Deno.test("inspect prints the whole record, unknown keys of an import included", async () => {
  const process = { pid: 1, start: "2", boot: "3", machine: "4" };
  const given = session({
    lifecycle: "ended",
    endReason: "exit 1",
    description: "d",
    model: "opus",
    agentSessionId: null,
    process,
    legacy: { remoteBin: "x", status: "active" },
  });
  const { stdout } = await call(["inspect", "fizz-top"], {
    service: { inspect: () => Promise.resolve(given) },
  });
  const record = JSON.parse(stdout);
  assert.equal(stdout, `${JSON.stringify(record, null, 2)}\n`);
  assert.deepEqual([record.status, record.remoteBin, record.description, record.model], [
    "inactive",
    "x",
    "d",
    "opus",
  ]);
  assert.deepEqual([record.internalId, record.handle, record.process], [
    given.token,
    { pane: "%1" },
    process,
  ]);
  assert.equal(
    (await call(["inspect", "fizz-top", "--json"], { service: { inspect: () => Promise.resolve(given) } }))
      .stdout,
    stdout,
  );
});
