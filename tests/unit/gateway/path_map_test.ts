/** A folder has one path on the host and another in the container; neighbours with the same beginning are not in it. */

import { deepStrictEqual, strictEqual, throws } from "node:assert/strict";
import { AppError } from "../../../lib/errors.ts";
import {
  killInContainer,
  listInContainer,
  pruneInContainer,
  sessionInContainer,
  toContainer,
  toHost,
} from "../../../gateway/path_map.ts";
import { session } from "../cli/harness.ts";

const MAP = { host: "/home/u/app", container: "/workspace" };
const NO_HOST = { host: null, container: "/workspace" };

Deno.test("toHost()", () => {
  const rows = [
    ["/workspace", "/home/u/app", MAP],
    ["/workspace/src/a b", "/home/u/app/src/a b", MAP],
    ["/workspacefoo", "/workspacefoo", MAP],
    ["/work", "/work", MAP],
    ["/", "/", MAP],
    ["/home/u/app", "/home/u/app", MAP],
    ["/etc", "/etc", NO_HOST],
    ["/workspacefoo", "/workspacefoo", NO_HOST],
    ["/host/etc", "/etc", { host: "/", container: "/host" }],
    ["/host", "/", { host: "/", container: "/host" }],
    ["/any/where", "/srv/any/where", { host: "/srv", container: "/" }],
    ["/", "/srv", { host: "/srv", container: "/" }],
    ["/workspace/x", "/workspace/real/x", { host: "/workspace/real", container: "/workspace" }],
  ] as const;
  for (const [path, expected, map] of rows) strictEqual(toHost(path, map), expected, path);
});

Deno.test("toHost() without HOST_PATH refuses a path of the workspace, as ever", () => {
  for (const path of ["/workspace", "/workspace/a"]) {
    throws(() => toHost(path, NO_HOST), (error) => {
      if (!(error instanceof AppError)) return false;
      strictEqual(error.code, "usage");
      return error.message ===
        `HOST_PATH is required when running in sandbox mode with /workspace paths (received ${path})`;
    });
  }
});

Deno.test("toContainer() is the way back", () => {
  const rows = [
    ["/home/u/app", "/workspace", MAP],
    ["/home/u/app/src", "/workspace/src", MAP],
    ["/home/u/app2", "/home/u/app2", MAP],
    ["/home/u", "/home/u", MAP],
    ["/home/u/app", "/home/u/app", NO_HOST],
    ["/etc", "/host/etc", { host: "/", container: "/host" }],
    ["/", "/host", { host: "/", container: "/host" }],
    ["/srv/a", "/a", { host: "/srv", container: "/" }],
    ["/srv", "/", { host: "/srv", container: "/" }],
  ] as const;
  for (const [path, expected, map] of rows) strictEqual(toContainer(path, map), expected, path);
});

Deno.test("sessions and results are shown with the container's paths", () => {
  const worktree = {
    repository: "/home/u/app",
    path: "/home/u/app-fizz-top",
    branch: "b",
    newBranch: true,
    base: "c",
  };
  const host = session({ path: "/home/u/app/src", worktree });
  const shown = sessionInContainer(host, MAP);
  strictEqual(shown.path, "/workspace/src");
  deepStrictEqual(shown.worktree, { ...worktree, repository: "/workspace" });
  strictEqual(sessionInContainer(session(), MAP).worktree, null);
  deepStrictEqual(
    listInContainer([{ session: host, state: "idle", pending: null }], MAP).map((one) => one.session.path),
    ["/workspace/src"],
  );
  const removal = { id: "fizz-top", path: "/home/u/app/wt", removed: true, reason: null, command: null };
  deepStrictEqual(
    killInContainer({ killed: [], failed: [], worktrees: [removal] }, MAP).worktrees,
    [{ ...removal, path: "/workspace/wt" }],
  );
  deepStrictEqual(killInContainer({ killed: [], failed: [] }, MAP), { killed: [], failed: [] });
  deepStrictEqual(
    pruneInContainer({
      forgotten: [{ id: "a-top", worktree: null }, { id: "b-top", worktree: "/home/u/app/w" }],
      failed: [],
      keys: 0,
    }, MAP).forgotten.map((one) => one.worktree),
    [null, "/workspace/w"],
  );
});
