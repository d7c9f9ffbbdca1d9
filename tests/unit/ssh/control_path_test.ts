/** The folder of shared connections is this user's alone, or there is none. */

import { match, strictEqual } from "node:assert/strict";
import { controlPath } from "../../../gateway/ssh/control_path.ts";

const uid = Deno.uid() ?? 0;

/** With `/tmp/dev-sessions-ssh-<uid>` out of the question. */
async function inFolder(body: (root: string) => void | Promise<void>): Promise<void> {
  const root = await Deno.makeTempDir({ dir: "/tmp", prefix: "c" });
  try {
    await Deno.mkdir(`${root}/.dev-sessions`);
    await body(root);
  } finally {
    await Deno.remove(root, { recursive: true });
  }
}

/** Afterwards a folder that was not there is gone again, unless somebody uses it by now. */
function leftAsItWas(folder: string): Disposable {
  const wasThere = [...Deno.readDirSync("/tmp")].some(({ name }) => folder === `/tmp/${name}`);
  return {
    [Symbol.dispose]() {
      if (wasThere) return;
      try {
        Deno.removeSync(folder);
      } catch (error) {
        if (!(error instanceof Deno.errors.NotFound) && !/not empty/i.test(String(error))) throw error;
      }
    },
  };
}

Deno.test("the state folder comes first, private", () =>
  inFolder((root) => {
    strictEqual(controlPath({ HOME: root }, uid), `${root}/.dev-sessions/ssh/%C`);
    strictEqual((Deno.statSync(`${root}/.dev-sessions/ssh`).mode ?? 0) & 0o777, 0o700);
    Deno.chmodSync(`${root}/.dev-sessions/ssh`, 0o755);
    controlPath({ HOME: root }, uid);
    strictEqual((Deno.statSync(`${root}/.dev-sessions/ssh`).mode ?? 0) & 0o777, 0o700);
  }));

Deno.test("a home that is too long has it in the runtime folder; a link is not followed", () =>
  inFolder((root) => {
    const HOME = `${root}/${"h".repeat(60)}`;
    const runtime = `${root}/r`;
    Deno.mkdirSync(runtime);
    strictEqual(controlPath({ HOME, XDG_RUNTIME_DIR: runtime }, uid), `${runtime}/dev-sessions-ssh/%C`);
    Deno.removeSync(`${runtime}/dev-sessions-ssh`);
    Deno.mkdirSync(`${root}/elsewhere`);
    Deno.symlinkSync(`${root}/elsewhere`, `${runtime}/dev-sessions-ssh`);
    using _ = leftAsItWas(`/tmp/dev-sessions-ssh-${uid}`);
    match(`${controlPath({ HOME, XDG_RUNTIME_DIR: runtime }, uid)}`, /^(?!.*\/r\/dev-sessions-ssh)/);
  }));

Deno.test("a folder of another user is no folder", () =>
  inFolder((root) => {
    // Everything here is ours, so that to somebody else none of it is.
    strictEqual(controlPath({ HOME: root }, uid + 4_000_000), null);
    Deno.removeSync(`/tmp/dev-sessions-ssh-${uid + 4_000_000}`);
  }));

Deno.test("a percent sign is no token", () =>
  inFolder((root) => {
    Deno.mkdirSync(`${root}/%h/.dev-sessions`, { recursive: true });
    strictEqual(controlPath({ HOME: `${root}/%h` }, uid), `${root}/%%h/.dev-sessions/ssh/%C`);
  }));
