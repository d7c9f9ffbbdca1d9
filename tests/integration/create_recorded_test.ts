/** A session that was made is told of, also where the registry can't take the result; its key makes no second one. */

import { deepStrictEqual, match, strictEqual } from "node:assert/strict";
import { createSandbox } from "../support/harness.ts";
import { OtherHost } from "../support/other_host.ts";
import { sql } from "../support/sandbox_state.ts";

for (const [where, args] of [["here", []], ["on another host", ["--host", "box"]]] as const) {
  Deno.test(`create ${where} whose result can't be recorded has made its session, once`, async () => {
    await using sandbox = await createSandbox({ agent: "stub" });
    if (args.length > 0) await OtherHost.of(sandbox);
    await sandbox.run(["list"]);
    sql(
      sandbox,
      `CREATE TRIGGER full BEFORE UPDATE OF result ON keyed WHEN NEW.result IS NOT NULL
        BEGIN SELECT RAISE(ABORT, 'database or disk is full'); END`,
    );
    const command = ["create", "-q", "--key", "k", ...args];
    const made = await sandbox.run(command);
    strictEqual(made.code, 0, made.stderr);
    match(
      made.stderr,
      /^\[dev-sessions\] that key "k" has made \S+ could not be recorded: [^\n]*disk is full/,
    );
    sql(sandbox, "DROP TRIGGER full");
    const again = await sandbox.run(command);
    deepStrictEqual([again.stdout, again.code], [made.stdout, 0], again.stderr);
    const { stdout } = await sandbox.run(["list", "--all", "--json"]);
    strictEqual(JSON.parse(stdout).length, 1);
  });
}
