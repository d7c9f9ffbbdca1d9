/** A kill of several: whatever happens with one, the others are ended, and all is told. */

import { deepStrictEqual } from "node:assert/strict";
import { killSessions } from "../../lib/killing.ts";
import { realClock } from "../../lib/real_deps.ts";
import type { Session } from "../../lib/session.ts";

Deno.test("killSessions() goes on after what nobody foresaw", async () => {
  const sessions = ["fizz-top", "riven-jg"].map((id) =>
    ({
      id,
      token: id,
      lifecycle: "active",
      resumer: null,
      worktree: null,
      createdAt: "",
    }) as unknown as Session
  );
  const find = (id: string) => sessions.find((one) => one.id === id) ?? null;
  const kill = ({ id }: Session) =>
    id === "fizz-top" ? Promise.reject(new Error("Too many open files (os error 24)")) : Promise.resolve();
  const context = {
    deps: { clock: realClock },
    store: { find, list: () => sessions, creating: () => [] },
    reach: {
      reach: (id: string) => Promise.resolve(find(id)),
      backend: () => Promise.resolve({ kill }),
      markKilled: () => {},
      release: () => Promise.resolve(),
    },
    rollBackAbandoned: () => Promise.resolve(),
  } as unknown as Parameters<typeof killSessions>[1];
  const ids = sessions.map(({ id }) => id);
  deepStrictEqual(await killSessions({ ids, tree: false, everyone: true, caller: null }, context), {
    killed: ["riven-jg"],
    failed: [{ id: "fizz-top", reason: "Too many open files (os error 24)" }],
    worktrees: [],
  });
});
