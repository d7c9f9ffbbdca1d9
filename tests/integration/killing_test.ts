/** A kill of several: whatever happens with one, the others are ended, and all is told. */

import { deepStrictEqual, ok, strictEqual } from "node:assert/strict";
import { killSessions } from "../../lib/killing.ts";
import { Reach } from "../../lib/reach.ts";
import { realDeps } from "../../lib/real_deps.ts";
import type { ProcessIdentity } from "../../lib/session.ts";
import type { Store } from "../../lib/store.ts";
import { DRAFT, StoreHome } from "../support/store_home.ts";

/** Of a process that has ended. */
async function ended(): Promise<ProcessIdentity> {
  const child = new Deno.Command("cat", { stdin: "piped", stdout: "null" }).spawn();
  const identity = await realDeps().identify(child.pid);
  await child.stdin.close();
  await child.status;
  ok(identity !== null);
  return identity;
}

async function live(store: Store, id: string, handle: unknown): Promise<void> {
  const row = store.reserve({ ...DRAFT, parent: null }, { id, exclude: new Set() });
  store.recordHandle(row, { handle, process: await ended(), agentSessionId: null });
  store.activate(row);
}

Deno.test("killSessions() goes on after one that can't be killed", async () => {
  using home = new StoreHome();
  const store = home.open();
  const env = { HOME: home.home, PATH: Deno.env.get("PATH") ?? "" };
  const deps = { ...realDeps(), env };
  await live(store, "fizz-top", { from: "a version that nobody knows" });
  await live(store, "riven-jg", {
    socket: `${home.home}/none`,
    tmuxSession: "dev-riven-jg",
    pane: "%0",
    configFolder: `${home.home}/.claude`,
    realPath: "/work",
  });
  const result = await killSessions(
    { ids: ["fizz-top", "riven-jg"], tree: false, everyone: true, caller: null },
    { deps, store, reach: new Reach(deps, home.paths, store), rollBackAbandoned: () => Promise.resolve() },
  );
  deepStrictEqual(result, {
    killed: ["riven-jg"],
    failed: [{
      id: "fizz-top",
      reason: 'Cannot reach "fizz-top": its record does not say where its agent runs. ' +
        "See it with: dev-sessions inspect fizz-top",
    }],
    worktrees: [],
  });
  strictEqual(store.find("fizz-top")?.lifecycle, "active");
  strictEqual(store.find("riven-jg")?.lifecycle, "ended");
});
