/** What may stand where a session is named. */

import { deepStrictEqual, throws } from "node:assert/strict";
import { AppError } from "../../../lib/errors.ts";
import { groupName, sessionId, target } from "../../../lib/cli/parsers.ts";

const refuses = (parse: () => unknown, message: RegExp, detail: RegExp | null) =>
  throws(parse, (error: AppError) => {
    deepStrictEqual([error.code, message.test(error.message)], ["usage", true], error.message);
    deepStrictEqual(detail?.test(error.detail ?? "") ?? error.detail === null, true, error.detail ?? "");
    return true;
  });

Deno.test("target() tells ids and groups apart", () => {
  deepStrictEqual(target("fizz-top"), { kind: "session", id: "fizz-top" });
  for (const name of ["api", "A.b_c-1", "-", "0", "x".repeat(64)]) {
    deepStrictEqual(target(`@${name}`), { kind: "group", group: name });
  }
  for (const name of ["", "@api", "a b", "a/b", "ü", "x".repeat(65), "api\n"]) {
    refuses(() => target(`@${name}`), /^Invalid group: "@/, /^A group is @ and its name, of 1 to 64 letters/);
  }
  for (const name of ["", "Fizz", "fizz@api", "../x"]) {
    refuses(() => target(name), /^Invalid session id: "/, /dev-sessions list --all$/);
  }
});

Deno.test("sessionId() says that a group can't stand there", () => {
  refuses(
    () => sessionId("@api"),
    /^Cannot use the group "@api" here: name one session$/,
    /list --group api$/,
  );
  refuses(() => sessionId("@a b"), /^Invalid session id: "@a b"$/, /list --all$/);
});

Deno.test("groupName() says that it is given without the @", () => {
  refuses(() => groupName("@api"), /^--group must be 1 to 64 letters/, /^Name it without the @$/);
  refuses(() => groupName("a b"), /^--group must be 1 to 64 letters/, null);
});
