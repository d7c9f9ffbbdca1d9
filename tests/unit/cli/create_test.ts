import assert from "node:assert/strict";
import { AppError } from "../../../lib/errors.ts";
import { createRequest } from "../../support/create_request.ts";
import { call, checkRows, receipt, refused, session } from "./harness.ts";

const REQUEST = createRequest();

Deno.test("create makes a request of its arguments", async (t) => {
  const request = (name: string, argv: string[], changes: object, env: Record<string, string> = {}) => ({
    name,
    argv: ["create", ...argv],
    given: { env },
    stderr: /^(\[dev-sessions\] native mode: .*\n)?$/,
    asked: [{ create: { ...REQUEST, ...changes } }],
  });
  await checkRows(t, [
    request("nothing: what is configured, here", [], {}),
    request("a relative path is resolved", ["-p", "../api"], { path: "/src/api" }),
    request("an absolute path", ["--path=/tmp/x"], { path: "/tmp/x" }),
    request(
      "text and names",
      ["-d", "the\nlogin", "--model", "opus", "--group", "a.b_c-D1", "--key", "k 1"],
      {
        description: "the\nlogin",
        model: "opus",
        group: "a.b_c-D1",
        key: "k 1",
      },
    ),
    request("an empty description", ["--description="], { description: "" }),
    request("a description that looks like a flag", ["-d", "--json"], { description: "--json" }),
    request("native mode, trust, an id", ["-m", "native", "--trust", "--id", "fizz-top"], {
      mode: "native",
      trust: true,
      id: "fizz-top",
    }),
    request("the agent's arguments keep their order and dashes", [
      "--agent-arg",
      "--add-dir",
      "--agent-arg=../x",
      "--agent-arg",
      "-h",
      "--agent-arg",
      "--a=b",
      "--agent-arg",
      "--",
      "--agent-arg",
      "",
    ], { agentArgs: ["--add-dir", "../x", "-h", "--a=b", "--", ""] }),
    request("a worktree on a branch of its own", ["--worktree"], { worktree: { branch: null } }),
    request("a worktree, before another option", ["--worktree", "-p", "/tmp/x"], {
      path: "/tmp/x",
      worktree: { branch: null },
    }),
    request("a worktree on a branch that is named", ["--worktree", "fix/login", "--trust"], {
      trust: true,
      worktree: { branch: "fix/login" },
    }),
    request("the same in one argument", ["--worktree=-x"], { worktree: { branch: "-x" } }),
    request("a fraction of seconds", ["--ready-timeout", "0.25"], { readyTimeoutMs: 250 }),
    request("the session that creates", [], { parent: "riven-jg" }, { DEV_SESSIONS_ID: "riven-jg" }),
  ]);
});

Deno.test("create refuses what it can't start", async (t) => {
  await checkRows(
    t,
    refused([
      [
        ["create", "--cli", "gpt"],
        "error: option '--cli <cli>' argument 'gpt' is invalid. Allowed choices are claude, codex.",
      ],
      [
        ["create", "--sandbox", "none"],
        "error: option '--sandbox <sandbox>' argument 'none' is invalid. Allowed choices are read-only, workspace, full.",
      ],
      [["create", "--group", "a b"], "--group must be 1 to 64 letters, digits, dots, underscores or dashes"],
      [
        ["create", "--group", "x".repeat(65)],
        "--group must be 1 to 64 letters, digits, dots, underscores or dashes",
      ],
      [["create", "--ready-timeout", "soon"], "--ready-timeout must be a positive number of seconds"],
      [["create", "--ready-timeout", "0"], "--ready-timeout must be a positive number of seconds"],
      [["create", "--id", "../x"], 'Invalid session id: "../x"'],
      [
        ["create", "--group", "@api"],
        "--group must be 1 to 64 letters, digits, dots, underscores or dashes",
      ],
      [["create", "--key", " "], "--key must be 1 to 200 characters"],
      [["create", "-p", ""], "--path must not be empty"],
      [["create", "-p"], "error: option '--path <path>' argument missing"],
      [
        ["create", "--worktree", "a", "b"],
        "error: too many arguments for 'create'. Expected 0 arguments but got 1.",
      ],
      [["create", "--worktree", ""], "--worktree must not be empty"],
      [["create", "--worktree="], "--worktree must not be empty"],
      [["create", "--worktree", "--worktree"], "error: option '--worktree <branch>' given more than once"],
      [["create", "--message", "a", "-f", "b"], "Provide either --message or --file, not both"],
      [["create", "--model=--verbose"], "--model must be the name of a model"],
      [["create", "--message", " "], "Message is required. Use <message> or --file <path>."],
      [["create", "--render"], "--render belongs to --message and --file"],
      [["create", "--message", "a", "--var", "x=1"], "--var belongs to --render"],
      [["create", "here"], "error: too many arguments for 'create'. Expected 0 arguments but got 1."],
      [["create"], 'DEV_SESSIONS_ID is not the id of a session: "?"', { env: { DEV_SESSIONS_ID: "?" } }],
    ]),
  );
});

Deno.test("create prints what it made", async (t) => {
  const unproven = {
    create: () => Promise.resolve({ session: session(), readyProven: false, repeated: false }),
  };
  const failing = {
    create: () =>
      Promise.reject(new AppError("failure", "Cannot start claude: it has ended", "line 1\nline 2")),
  };
  await checkRows(t, [
    { name: "text", argv: ["create"], stdout: "Created session fizz-top\n" },
    { name: "quiet", argv: ["create", "-q"], stdout: "fizz-top\n" },
    {
      name: "unproven readiness",
      argv: ["create", "-q"],
      given: { service: unproven },
      stdout: "fizz-top\n",
      stderr: "[dev-sessions] fizz-top shows a quiet prompt, but nothing proves that it is ready\n",
    },
    {
      name: "native mode is explained",
      argv: ["create", "-q", "-m", "native"],
      stdout: "fizz-top\n",
      stderr:
        "[dev-sessions] native mode: the agent asks for its own permissions, and someone has to answer; " +
        "what 0.4.4 called native is now yolo, the default\n",
    },
    {
      name: "a failure, with the agent's screen",
      argv: ["create"],
      given: { service: failing },
      code: 1,
      stdout: "",
      stderr: "Cannot start claude: it has ended\n  line 1\n  line 2\n",
    },
    {
      name: "a failure as JSON",
      argv: ["create", "--json"],
      given: { service: failing },
      code: 1,
      stdout: "",
      stderr: '{"error":{"code":"failure","message":"Cannot start claude: it has ended","exitCode":1,' +
        '"detail":"line 1\\nline 2"}}\n',
    },
  ]);
});

Deno.test("create sends its first message as send does, and returns send's failure", async (t) => {
  const message = ["create", "--key", "k", "--message", "{{var.x}}", "--render", "--var", "x=a=b"];
  const refused = {
    send: () =>
      Promise.resolve({
        id: "fizz-top",
        receipt: receipt({ result: "refused", reason: "a draft stands in its input box" }),
        repeated: false,
      }),
  };
  const notes = {
    create: () =>
      Promise.resolve({ session: session(), readyProven: true, repeated: false, notes: ["mind the gap"] }),
  };
  await checkRows(t, [
    {
      name: "with a key that is the create's own",
      argv: message,
      given: { env: { DEV_SESSIONS_ID: "riven-jg" } },
      stdout: "Created session fizz-top\nSent message to fizz-top\n",
      asked: [{ create: { ...REQUEST, key: "k", parent: "riven-jg" } }, {
        send: {
          id: "fizz-top",
          text: "{{var.x}}",
          render: { vars: { x: "a=b" } },
          key: "first message of create k",
          sender: "riven-jg",
        },
      }],
    },
    {
      name: "quiet, from stdin",
      argv: ["create", "-q", "-f", "-"],
      given: { stdin: "go" },
      stdout: "fizz-top\n",
      asked: [{ create: REQUEST }, {
        send: { id: "fizz-top", text: "go", render: null, key: null, sender: null },
      }],
    },
    {
      name: "refused",
      argv: ["create", "-q", "--message", "go"],
      given: { service: refused },
      code: 4,
      stdout: "fizz-top\n",
      stderr: 'Cannot send to "fizz-top": a draft stands in its input box. Nothing was delivered\n' +
        "  The session fizz-top was created and stays\n",
    },
    {
      name: "what should be known of it",
      argv: ["create"],
      given: { service: notes },
      stdout: "Created session fizz-top\n",
      stderr: "[dev-sessions] mind the gap\n",
    },
  ]);
  const { stdout, code } = await call(["create", "--json", "--message", "go"], { service: refused });
  const { id, send } = JSON.parse(stdout);
  assert.deepEqual([code, id, send.result, send.receipt], [4, "fizz-top", "refused", "r-1"]);
});

Deno.test("create --json prints the record and wins over --quiet", async () => {
  const { stdout, stderr, code } = await call(["create", "--json", "-q"]);
  assert.equal(code, 0);
  assert.equal(stderr, "");
  assert.match(stdout, /^\{\n {2}"championId": "fizz-top",\n/);
  assert.deepEqual(JSON.parse(stdout), {
    championId: "fizz-top",
    internalId: "00000000-0000-4000-8000-00000000000a",
    cli: "claude",
    mode: "yolo",
    path: "/src/app",
    status: "active",
    createdAt: "2026-01-02T03:04:05.000Z",
    lastUsed: "2026-01-02T03:05:05.000Z",
    id: "fizz-top",
    lifecycle: "active",
    group: null,
    parent: null,
    endedAt: null,
    endReason: null,
    worktree: null,
    ready: "proven",
    repeated: false,
  });
});

Deno.test("create ends with 130 when it is stopped", async () => {
  const create = (_request: unknown, signal: AbortSignal) =>
    new Promise<never>((_, reject) => signal.addEventListener("abort", () => reject(signal.reason)));
  const { code, stderr } = await call(["create"], { service: { create }, stopAfterMs: 1 });
  assert.deepEqual([code, stderr], [130, "Interrupted\n"]);
});
