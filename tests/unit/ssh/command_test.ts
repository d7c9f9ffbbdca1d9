/** What ssh is given: options, a host that is one, and no message. */

import { deepStrictEqual, doesNotMatch, match, ok, strictEqual, throws } from "node:assert/strict";
import { checkHost, checkRemoteBin, sshArguments } from "../../../gateway/ssh/command.ts";
import { fits } from "../../../gateway/ssh/control_path.ts";
import { AppError } from "../../../lib/errors.ts";
import { isSshHost } from "../../../lib/ssh_host.ts";
import { controlFolders } from "../../../lib/paths.ts";

const RPC = { kind: "rpc" } as const;
const at = (host: string, remoteBin: string | null = null) => ({ host, remoteBin });

Deno.test("the options are ours, the host stands behind --, and a connection is shared where it can be", () => {
  const args = sshArguments(at("me@box"), RPC, "/h/.dev-sessions/ssh/%C");
  const line = args.pop();
  deepStrictEqual(args, [
    "-T",
    "-o",
    "BatchMode=yes",
    "-o",
    "StrictHostKeyChecking=accept-new",
    "-o",
    "ServerAliveInterval=15",
    "-o",
    "ServerAliveCountMax=4",
    "-o",
    "ConnectTimeout=10",
    "-o",
    "ClearAllForwardings=yes",
    "-o",
    "RemoteCommand=none",
    "-o",
    "ControlMaster=auto",
    "-o",
    "ControlPersist=60s",
    "-o",
    "ControlPath=/h/.dev-sessions/ssh/%C",
    "--",
    "me@box",
  ]);
  match(line ?? "", /exec dev-sessions rpc/);
  const alone = sshArguments(at("box"), RPC, null);
  ok(alone.includes("ControlPath=none") && alone.includes("ControlMaster=no"));
  ok(sshArguments(at("box"), RPC, "/a b/%C").includes('ControlPath="/a b/%C"'));
  const attach = sshArguments(at("box"), { kind: "attach", id: "fizz-top", utf8: true }, null);
  strictEqual(attach[0], "-t");
  match(attach.at(-1) ?? "", /exec dev-sessions attach fizz-top/);
  match(attach.at(-1) ?? "", /C\.UTF-8/);
  throws(() => sshArguments(at("box"), { kind: "attach", id: "x; rm", utf8: false }, null), AppError);
});

Deno.test("what is no host is refused before ssh is asked", () => {
  for (
    const host of [
      "box",
      "me@box.example",
      "ssh://me@box:22",
      "10.0.0.1",
      "[::1]",
      "fe80::1%eth0",
      "CORP\\me@box",
    ]
  ) {
    ok(isSshHost(host), host);
    strictEqual(checkHost(host), host);
  }
  for (
    const host of [
      "",
      "-x",
      "-oProxyCommand=x",
      " box",
      "box ",
      "a b",
      "@",
      "me@",
      "me@-x",
      "me@-oProxyCommand=x",
      "box;id",
      "box$x",
      "`id`",
      "a\nb",
      "a\0b",
      "a\x1bb",
      "a\u00a0b",
      "x".repeat(256),
    ]
  ) {
    ok(!isSshHost(host), JSON.stringify(host));
    throws(
      () => checkHost(host),
      (error) => error instanceof AppError && error.message === `Invalid SSH host: ${host}`,
    );
  }
});

Deno.test("DEV_SESSIONS_REMOTE_BIN is one line with something in it", () => {
  strictEqual(checkRemoteBin(" env A=1 ds "), "env A=1 ds");
  for (const bin of [" ", "a\nb", "a\0b"]) throws(() => checkRemoteBin(bin), AppError);
});

Deno.test("a message is no part of any argument", () => {
  doesNotMatch(sshArguments(at("box"), RPC, null).join(" "), /message/);
});

Deno.test("the socket of a shared connection fits, with the suffix that ssh adds, or stands elsewhere", () => {
  const rows: readonly [string, boolean][] = [
    ["/home/me/.dev-sessions/ssh", true],
    [`/${"x".repeat(44)}`, true],
    [`/${"x".repeat(45)}`, false],
    [`/${"ü".repeat(22)}`, true],
    [`/${"ü".repeat(23)}`, false],
    ["/a b", true],
    ['/a"b', false],
    ["/a\\b", false],
    ["/a${HOME}", false],
    ["/100%", true],
  ];
  for (const [folder, expected] of rows) strictEqual(fits(folder), expected, folder);
  deepStrictEqual(controlFolders({ HOME: "/h", XDG_RUNTIME_DIR: "/run/user/7" }, 7), [
    "/h/.dev-sessions/ssh",
    "/run/user/7/dev-sessions-ssh",
    "/tmp/dev-sessions-ssh-7",
  ]);
});
