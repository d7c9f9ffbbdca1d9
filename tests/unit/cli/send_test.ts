import assert from "node:assert/strict";
import { AppError, sessionNotFound } from "../../../lib/errors.ts";
import type { Receipt } from "../../../lib/session.ts";
import { call, checkRows, PERMISSION, receipt, refused } from "./harness.ts";

const LIMIT = 1_048_576;
const answering = (given: Partial<Receipt>) => ({
  service: {
    send: (request: { id: string }) =>
      Promise.resolve({ id: request.id, receipt: receipt(given), repeated: false }),
  },
});

Deno.test("send makes a request of its arguments", async (t) => {
  const file = await Deno.makeTempFile();
  await Deno.writeTextFile(file, "from a file\n");
  const request = (name: string, argv: string[], changes: object, given = {}) => ({
    name,
    argv: ["send", ...argv],
    given,
    asked: [{ send: { id: "fizz-top", text: "hi", render: null, key: null, sender: null, ...changes } }],
  });
  await checkRows(t, [
    request("a message", ["fizz-top", "hi"], {}),
    request("a message and a key", ["fizz-top", "hi", "--key", "k"], { key: "k" }),
    request("an option before", ["--key=k", "fizz-top", "hi"], { key: "k" }),
    request("a message with line ends", ["fizz-top", "a\n  b\n"], { text: "a\n  b\n" }),
    request("a list item", ["fizz-top", "- do this"], { text: "- do this" }),
    request("a number", ["fizz-top", "-1"], { text: "-1" }),
    request("a dash", ["fizz-top", "-"], { text: "-" }),
    request("a flag after --", ["fizz-top", "--", "--help"], { text: "--help" }),
    request("--json after --", ["--", "fizz-top", "--json"], { text: "--json" }),
    request("a file", ["fizz-top", "-f", file], { text: "from a file\n" }),
    request("a file with a short flag attached", ["fizz-top", `-f${file}`], { text: "from a file\n" }),
    request("stdin", ["fizz-top", "--file", "-"], { text: "ü\r\n" }, { stdin: "ü\r\n" }),
    request("exactly the limit", ["fizz-top", "-f", "-"], { text: "x".repeat(LIMIT) }, {
      stdin: "x".repeat(LIMIT),
    }),
    request("--queue, the default", ["fizz-top", "hi", "--queue"], {}),
    request("--steer", ["fizz-top", "hi", "--steer"], { mode: "steer" }),
    request("--interrupt", ["fizz-top", "--interrupt", "hi"], { mode: "interrupt" }),
    request("the session that sends", ["fizz-top", "hi"], { sender: "riven-jg" }, {
      env: { DEV_SESSIONS_ID: "riven-jg" },
    }),
  ]);
  await Deno.remove(file);
});

Deno.test("send to a group: a line for each, the worst counts, no error stops the others", async (t) => {
  const ids = ["fizz-top", "riven-jg", "vi-mid", "zed-adc", "ahri-sup"];
  const expand = () => Promise.resolve({ ids, leftOut: [{ id: "garen-top", why: "it runs this command" }] });
  const send = (request: { id: string; text: string }) => {
    switch (request.id) {
      case "riven-jg":
        return Promise.reject(new AppError("agent_gone", "its agent is gone"));
      case "vi-mid":
        return Promise.reject(new TypeError("undefined is not a function"));
      case "zed-adc":
        return Promise.resolve({
          id: request.id,
          receipt: receipt({ result: "indeterminate", reason: "why" }),
          repeated: false,
        });
      default:
        return Promise.resolve({ id: request.id, receipt: receipt(), repeated: request.id === "ahri-sup" });
    }
  };
  const request = { text: "from stdin", render: null, key: "k", sender: "garen-top" };
  const given = { service: { expand, send }, stdin: "from stdin", env: { DEV_SESSIONS_ID: "garen-top" } };
  const stderr =
    /^Left out garen-top: it runs this command\n(?=[^]*its agent is gone\n)[^]*Cannot send to "vi-mid": undef/;
  await checkRows(t, [
    {
      name: "text",
      argv: ["send", "@api", "-f", "-", "--key", "k"],
      given,
      asked: [
        { expand: { targets: [{ kind: "group", group: "api" }], action: "send", caller: "garen-top" } },
        ...ids.map((id) => ({ send: { ...request, id } })),
      ],
      code: 9,
      stderr,
    },
    {
      name: "interrupted before all had it",
      argv: ["send", "@api", "hi"],
      given: {
        service: {
          expand: () =>
            Promise.resolve({ ids: Array.from({ length: 10 }, (_, i) => `vi-mid-${i + 2}`), leftOut: [] }),
          async send({ id }: { id: string }, signal: AbortSignal) {
            await new Promise((resolve) => signal.addEventListener("abort", resolve));
            return { id, receipt: receipt(), repeated: false };
          },
        },
        stopAfterMs: 1,
      },
      code: 130,
      stderr: "Interrupted: nothing was sent to vi-mid-10, vi-mid-11\n",
    },
  ]);
  const lines = (await call(["send", "@api", "hi"], given)).stdout.trimEnd().split("\n").toSorted();
  assert.deepEqual(lines, [
    "ahri-sup\tsubmitted",
    "fizz-top\tsubmitted",
    "riven-jg\tagent_gone",
    "vi-mid\tfailure",
    "zed-adc\tindeterminate",
  ]);
  const json = (await call(["send", "@api", "hi", "--json"], given)).stdout.trimEnd().split("\n")
    .map((line) => JSON.parse(line));
  const byId = Object.fromEntries(
    json.map((one) => [one.id, [one.result, one.receipt, one.repeated, one.error]]),
  );
  assert.deepEqual(byId, {
    "ahri-sup": ["submitted", "r-1", true, undefined],
    "fizz-top": ["submitted", "r-1", false, undefined],
    "riven-jg": [null, null, false, "agent_gone"],
    "vi-mid": [null, null, false, "failure"],
    "zed-adc": ["indeterminate", "r-1", false, undefined],
  });
});

Deno.test("send to a group reaches all of it when nobody reads what it prints", async () => {
  const { asked, code } = await call(["send", "@api", "hi"], { pipeBreaksAfter: 0 });
  assert.deepEqual([asked.filter((one) => "send" in one).length, code], [2, 0]);
});

Deno.test("send refuses what it can't send before it opens the registry", async (t) => {
  const required = "Message is required. Use <message> or --file <path>.";
  const tooLong = `Cannot send stdin: it is longer than the limit of ${LIMIT} bytes (1 MB). ` +
    "Save it to a file in the workspace and send the path";
  await checkRows(
    t,
    refused([
      [["send"], "error: missing required argument 'id'"],
      [["send", "fizz-top"], required],
      [["send", "fizz-top", ""], required],
      [["send", "fizz-top", " \n\t"], required],
      [["send", "fizz-top", "-f", "-"], required, { stdin: " \n" }],
      [["send", "fizz-top", "hi", "-f", "x"], "Provide either <message> or --file, not both"],
      [["send", "fizz-top", "", "-f", "x"], "Provide either <message> or --file, not both"],
      [["send", "@a b", "hi"], 'Invalid group: "@a b"'],
      [["send", "fizz-top,@api", "hi"], 'Invalid session id: "fizz-top,@api"'],
      [["send", "Fizz Top", "hi"], 'Invalid session id: "Fizz Top"'],
      [["send", "../../etc", "hi"], 'Invalid session id: "../../etc"'],
      [
        ["send", "fizz-top", "-f", "nowhere"],
        'Cannot read the message from "nowhere": there is no such file',
      ],
      [["send", "fizz-top", "-f", "/"], 'Cannot read the message from "/": it is a folder'],
      [["send", "fizz-top", "-f", ""], "--file must not be empty"],
      [["send", "fizz-top", "hi", "--steer", "--queue"], "Use only one of --queue, --steer, --interrupt"],
      [["send", "fizz-top", "hi", "--interrupt", "--steer"], "Use only one of --queue, --steer, --interrupt"],
      [
        ["send", "fizz-top", "a", "b"],
        "error: too many arguments for 'send'. Expected 2 arguments but got 3.",
      ],
      [["send", "fizz-top", "--constructor", "x"], "error: unknown option '--constructor'"],
      [["send", "fizz-top", "-f", "/dev/zero"], tooLong.replace("stdin", '"/dev/zero"')],
      [["send", "fizz-top", "-f", "-", "--"], tooLong, { stdin: "x".repeat(LIMIT + 1) }],
      [
        ["send", "-f", "-", "fizz-top"],
        "Cannot send stdin: it is not valid UTF-8 at byte 3. Convert it with: iconv -f LATIN1 -t UTF-8",
        { stdin: new Uint8Array([0x68, 0xc3, 0xbc, 0xfc, 0x68]) },
      ],
    ]),
  );
});

Deno.test("send says what became of the message", async (t) => {
  const result = (name: string, given: Partial<Receipt>, code: number, stdout: string, stderr: string) => ({
    name,
    argv: ["send", "fizz-top", "hi"],
    given: answering(given),
    code,
    stdout,
    stderr,
  });
  await checkRows(t, [
    result("submitted", {}, 0, "Sent message to fizz-top\n", ""),
    result("queued", { result: "queued" }, 0, "Queued message for fizz-top\n", ""),
    result(
      "queued, and how it goes on",
      { result: "queued", reason: "the running turn was interrupted; another turn runs first" },
      0,
      "Queued message for fizz-top\n",
      "fizz-top: the running turn was interrupted; another turn runs first\n",
    ),
    result(
      "refused: it waits for a permission",
      { result: "refused", reason: "it waits", pending: PERMISSION },
      5,
      "",
      'Cannot send to "fizz-top": it waits for a permission (Bash: rm -rf dist). ' +
        "Answer it with: dev-sessions respond fizz-top --approve\n  approve\n  deny\n",
    ),
    result(
      "refused for another reason",
      { result: "refused", reason: "a person is typing." },
      4,
      "",
      'Cannot send to "fizz-top": a person is typing. Nothing was delivered\n',
    ),
    result(
      "typed, not submitted",
      { result: "typed_not_submitted", reason: "no record of it" },
      9,
      "",
      'Cannot send to "fizz-top": the text stands in its input box, but was not accepted: no record of it. ' +
        "Look before you send again: dev-sessions attach fizz-top\n",
    ),
    result(
      "indeterminate",
      { result: "indeterminate", reason: "tmux\ndid not answer" },
      9,
      "",
      'Cannot send to "fizz-top": it may have been delivered, but nothing proves it: tmux did not answer. ' +
        "Look before you send again: dev-sessions status fizz-top --explain\n",
    ),
    {
      name: "no such session",
      argv: ["send", "fizz-top", "hi"],
      given: { service: { send: () => Promise.reject(sessionNotFound("fizz-top")) } },
      code: 3,
      stdout: "",
      stderr: "Session not found: fizz-top\n  List the sessions with: dev-sessions list --all\n",
    },
  ]);
});

Deno.test("send --json prints the result whatever it is", async (t) => {
  const results = [["submitted", 0], ["queued", 0], ["refused", 4], ["typed_not_submitted", 9], [
    "indeterminate",
    9,
  ]] as const;
  for (const [result, exitCode] of results) {
    await t.step(result, async () => {
      const reason = exitCode === 0 ? null : "why";
      const { code, stdout, stderr } = await call(
        ["send", "fizz-top", "hi", "--json"],
        answering({ result, reason }),
      );
      const expected = {
        id: "fizz-top",
        result,
        receipt: "r-1",
        reason,
        evidence: "hook UserPromptSubmit",
        repeated: false,
      };
      assert.equal(stdout, `${JSON.stringify(expected, null, 2)}\n`);
      assert.equal(code, exitCode);
      assert.equal(stderr === "", exitCode === 0);
      if (stderr !== "") assert.equal(JSON.parse(stderr).error.exitCode, exitCode);
    });
  }
});

Deno.test("send --render hands the template over as it is", async (t) => {
  await checkRows(t, [
    {
      name: "with variables",
      argv: ["send", "fizz-top", "--render", "--var", "a=1", "--var=b=", "{{var.a}}{{var.b}}"],
      asked: [{
        send: {
          id: "fizz-top",
          text: "{{var.a}}{{var.b}}",
          render: { vars: { a: "1", b: "" } },
          key: null,
          sender: null,
        },
      }],
    },
    ...refused([
      [["send", "fizz-top", "--var", "a=1", "hi"], "--var belongs to --render"],
      [
        ["send", "fizz-top", "--render", "--var", "a=1", "--var", "a=2", "hi"],
        "--var a was given more than once",
      ],
      [["ask", "fizz-top", "--render", "--var", "=1", "hi"], '--var must be NAME=value, not "=1"'],
    ]),
  ]);
});
