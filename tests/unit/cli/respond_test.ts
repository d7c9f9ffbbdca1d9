import { AppError } from "../../../lib/errors.ts";
import type { RespondResult } from "../../../lib/service.ts";
import { checkRows, PERMISSION, refused } from "./harness.ts";

const request = (answer: unknown, more: Record<string, unknown> = {}) => [
  { respond: { id: "fizz-top", answer, request: null, caller: null, ...more } },
];

Deno.test("respond takes exactly one kind of answer", async (t) => {
  const one = "Provide exactly one of --approve, --always, --deny, --option, or a text";
  await checkRows(
    t,
    refused([
      [["respond"], "error: missing required argument 'id'"],
      [["respond", "fizz-top"], one],
      [["respond", "fizz-top", "--approve", "--deny"], one],
      [["respond", "fizz-top", "--option", "1", "text"], one],
      [["respond", "fizz-top", "--message", "x"], one],
      [["respond", "fizz-top", "--approve", "--message", "x"], "--message belongs to --deny"],
      [["respond", "fizz-top", ""], "The answer must not be empty"],
      [["respond", "fizz-top", "--option", " "], "--option must not be empty"],
      [["respond", "fizz-top", "--deny", "--message", ""], "--message must not be empty"],
      [["respond", "a/b", "--approve"], 'Invalid session id: "a/b"'],
      [["respond", "fizz-top", "--approve"], 'DEV_SESSIONS_ID is not the id of a session: "x y"', {
        env: { DEV_SESSIONS_ID: "x y" },
      }],
    ]),
  );
  await checkRows(t, [
    {
      name: "approve",
      argv: ["respond", "fizz-top", "--approve"],
      stdout: "Approved a permission (Bash: rm -rf dist) for fizz-top\n",
      asked: request({ kind: "approve" }),
    },
    {
      name: "deny with a message that looks like a flag, from inside a session",
      argv: ["respond", "fizz-top", "--deny", "--message", "--no", "--request", "q1"],
      given: { env: { DEV_SESSIONS_ID: "riven-jg" } },
      asked: request({ kind: "deny", message: "--no" }, { request: "q1", caller: "riven-jg" }),
    },
    {
      name: "always",
      argv: ["respond", "fizz-top", "--always"],
      asked: request({ kind: "always" }),
    },
    {
      name: "options keep their order",
      argv: ["respond", "fizz-top", "--option", "2", "--option=text:a, b"],
      asked: request({ kind: "options", options: ["2", "text:a, b"] }),
    },
    { name: "text", argv: ["respond", "fizz-top", "Mauve"], asked: request({ kind: "text", text: "Mauve" }) },
  ]);
});

Deno.test("respond says what was answered, and what failed", async (t) => {
  const result = (given: Partial<RespondResult>) => ({
    service: {
      respond: () =>
        Promise.resolve<RespondResult>({
          id: "fizz-top",
          pending: PERMISSION,
          answer: { kind: "approve" },
          by: "direct",
          evidence: "the transcript",
          note: null,
          ...given,
        }),
    },
  });
  await checkRows(t, [
    {
      name: "always",
      argv: ["respond", "fizz-top", "--always"],
      given: result({ pending: { ...PERMISSION, always: "allow Bash(rm:*)" }, answer: { kind: "always" } }),
      stdout: "Approved a permission (Bash: rm -rf dist) for fizz-top, and until it ends: allow Bash(rm:*)\n",
    },
    {
      name: "answers",
      argv: ["respond", "fizz-top", "--option", "1"],
      given: result({ answer: { kind: "answers", answers: [["Ham", "Corn"], ["a\nb"]] } }),
      stdout: 'Answered "Ham, Corn", "a b" for fizz-top\n',
    },
    {
      name: "a key that did more",
      argv: ["respond", "fizz-top", "--deny"],
      given: result({ answer: { kind: "deny", message: null }, by: "keys", note: "the turn has ended" }),
      stdout: "Denied a permission (Bash: rm -rf dist) for fizz-top\n",
      stderr: "[dev-sessions] the turn has ended\n",
    },
    {
      name: "JSON",
      argv: ["respond", "fizz-top", "--approve", "--json"],
      given: result({}),
      stdout: `{
  "id": "fizz-top",
  "requestId": "q1",
  "kind": "permission",
  "answer": {
    "kind": "approve"
  },
  "by": "direct",
  "evidence": "the transcript",
  "note": null
}
`,
    },
    {
      name: "nothing is pending",
      argv: ["respond", "fizz-top", "--approve"],
      given: {
        service: {
          respond: () => Promise.reject(new AppError("failure", "Cannot answer: nothing is pending")),
        },
      },
      code: 1,
      stdout: "",
      stderr: "Cannot answer: nothing is pending\n",
    },
  ]);
});
