/** Which addresses name a server, and which sockets may be trusted. */

import { deepStrictEqual, rejects, strictEqual, throws } from "node:assert/strict";
import { join } from "node:path";
import {
  configuredEndpoint,
  describeEndpoint,
  type Entry,
  parseEndpoint,
  trustedSocket,
} from "../../../backends/codex/endpoint.ts";
import { AppError } from "../../../lib/errors.ts";

const ws = (url: string) => ({ kind: "ws", url, token: null });
for (
  const [text, expected] of [
    ["ws://127.0.0.1:4500", ws("ws://127.0.0.1:4500/")],
    ["ws://[::1]:4500/codex", ws("ws://[::1]:4500/codex")],
    ["wss://host.example/", ws("wss://host.example/")],
    ["unix:///run/codex.sock", { kind: "unix", path: "/run/codex.sock" }],
    ["unix:///run/with space.sock", { kind: "unix", path: "/run/with space.sock" }],
    ["unix://", null],
    ["unix://relative.sock", null],
    ["unix:///run/../codex.sock", null],
    ["unix:///run//codex.sock", null],
    ["http://127.0.0.1:4500", null],
    ["127.0.0.1:4500", null],
    ["ws://", null],
    ["ws:///path", null],
    ["ws://user:secret@127.0.0.1:4500", null],
    ["ws://127.0.0.1:4500/?token=secret", null],
    ["ws://127.0.0.1:4500/#x", null],
    ["ws://127.0.0.1:99999", null],
    ["", null],
  ] as const
) {
  Deno.test(`parseEndpoint() of "${text}"`, () => deepStrictEqual(parseEndpoint(text), expected));
}

Deno.test("describeEndpoint() never shows a token", () => {
  strictEqual(describeEndpoint({ kind: "ws", url: "ws://h:1/", token: "secret" }), "ws://h:1/");
  strictEqual(describeEndpoint({ kind: "unix", path: "/s" }), "unix:///s");
});

Deno.test("configuredEndpoint() names the server of the environment, with its token", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = join(folder, "token");
    await Deno.writeTextFile(file, "s3cret-token\n", { mode: 0o600 });
    const env = { DEV_SESSIONS_CODEX_URL: "ws://127.0.0.1:4500", DEV_SESSIONS_CODEX_TOKEN_FILE: file };
    strictEqual(await configuredEndpoint({}), null);
    strictEqual(await configuredEndpoint({ DEV_SESSIONS_CODEX_TOKEN_FILE: file }), null);
    deepStrictEqual(await configuredEndpoint(env), {
      kind: "ws",
      url: "ws://127.0.0.1:4500/",
      token: "s3cret-token",
    });

    const refused = async (why: RegExp, changed: Record<string, string> = {}) => {
      await rejects(configuredEndpoint({ ...env, ...changed }), (error) => {
        return error instanceof AppError && why.test(error.message) && !error.message.includes("s3cret");
      });
    };
    await refused(/neither ws:/, { DEV_SESSIONS_CODEX_URL: "ws://s3cret@127.0.0.1" });
    await refused(/takes no token/, { DEV_SESSIONS_CODEX_URL: "unix:///run/codex.sock" });
    await refused(/no such file/, { DEV_SESSIONS_CODEX_TOKEN_FILE: join(folder, "none") });
    await refused(/not a file/, { DEV_SESSIONS_CODEX_TOKEN_FILE: folder });
    for (const mode of [0o640, 0o604, 0o620]) {
      await Deno.chmod(file, mode);
      await refused(/others may read.*chmod 600/);
    }
    await Deno.chmod(file, 0o600);
    for (
      const text of ["", "\n", "two s3cret words", "s3cret\nlines", "s3cret\u00e9", "s3cret".repeat(1000)]
    ) {
      await Deno.writeTextFile(file, text);
      await refused(/one line with a token/);
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});

const LINK = "/home/u/.codex/app-server-control/app-server-control.sock";
const CONTROL = "/home/u/.codex/app-server-control";
const SHARED = "/tmp/codex-daemon-1000";
const TARGET = `${SHARED}/abc`;
const entry = (kind: Entry["kind"], mode = 0o700, uid = 1000): Entry => ({ kind, mode, uid });
const USUAL: Record<string, Entry | null> = {
  [CONTROL]: entry("folder"),
  [LINK]: entry("symlink", 0o777),
  [SHARED]: entry("folder"),
  [TARGET]: entry("socket", 0o600),
};
const trusted = (changed: Record<string, Entry | null>, target: string | null = TARGET) => {
  const files = { ...USUAL, ...changed };
  return trustedSocket(LINK, 1000, (path) => files[path] ?? null, () => target);
};

Deno.test("trustedSocket() follows Codex's own link to a socket of ours", () => {
  deepStrictEqual(trusted({}), { kind: "unix", path: TARGET });
  deepStrictEqual(trusted({ [LINK]: entry("socket") }), { kind: "unix", path: LINK });
  deepStrictEqual(trusted({ [SHARED]: entry("folder", 0o1777, 0) }), { kind: "unix", path: TARGET });
});

Deno.test("trustedSocket() is null where nothing is", () => {
  strictEqual(trusted({ [LINK]: null }), null);
  strictEqual(trusted({ [LINK]: null, [CONTROL]: null }), null);
  strictEqual(trusted({}, null), null, "taken away meanwhile");
  strictEqual(trusted({ [TARGET]: null }), null);
  strictEqual(trusted({ [TARGET]: null, [SHARED]: null }), null);
});

for (
  const [name, changed, target] of [
    ["a link of another user", { [LINK]: entry("symlink", 0o777, 1001) }],
    ["a link of root", { [LINK]: entry("symlink", 0o777, 0) }],
    ["a socket of another user", { [TARGET]: entry("socket", 0o777, 1001) }],
    ["a folder of another user", { [SHARED]: entry("folder", 0o700, 1001) }],
    ["a folder that others can write", { [SHARED]: entry("folder", 0o777) }],
    ["a folder that the group can write", { [SHARED]: entry("folder", 0o770) }],
    ["a folder that is a link", { [SHARED]: entry("symlink") }],
    ["a control folder that others can write", { [CONTROL]: entry("folder", 0o777) }],
    ["a control folder of another user", { [CONTROL]: entry("folder", 0o700, 1001) }],
    ["a file", { [LINK]: entry("other") }],
    ["a link to a file", { [TARGET]: entry("other") }],
    ["a link to a link", { [TARGET]: entry("symlink") }],
    ["a relative link", {}, "../other.sock"],
  ] as [string, Record<string, Entry>, string?][]
) {
  Deno.test(`trustedSocket() refuses ${name}`, () => {
    throws(() => trusted(changed, target), (error) => error instanceof AppError && error.code === "refused");
  });
}
