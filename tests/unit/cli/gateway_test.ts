/** The command line of the gateway, and verbs of several words. */

import { deepStrictEqual, match, strictEqual, throws } from "node:assert/strict";
import { findVerb } from "../../../lib/cli/find_verb.ts";
import { gatewayPort, gatewayPortSet, knownGatewayPort } from "../../../lib/paths.ts";
import { call, checkRows, refused } from "./harness.ts";

const NAMES = ["list", "gateway", "gateway token create", "gateway token list", "a b"];

Deno.test("findVerb() takes the longest name, and says what could stand there", async (t) => {
  const rows: [string[], unknown][] = [
    [["list", "x"], { kind: "verb", name: "list", rest: ["x"] }],
    [["gateway"], { kind: "verb", name: "gateway", rest: [] }],
    [["gateway", "--port", "1"], { kind: "verb", name: "gateway", rest: ["--port", "1"] }],
    [["gateway", "token", "list", "--all"], { kind: "verb", name: "gateway token list", rest: ["--all"] }],
    [["gateway", "token"], { kind: "incomplete", words: "gateway token", rest: [] }],
    [["gateway", "token", "--help"], { kind: "incomplete", words: "gateway token", rest: ["--help"] }],
    [["gateway", "tokn"], { kind: "unknown", words: "gateway tokn", candidates: ["gateway token"] }],
    [["gateway", "token", "x"], {
      kind: "unknown",
      words: "gateway token x",
      candidates: ["gateway token create", "gateway token list"],
    }],
    [["gateway token list"], {
      kind: "unknown",
      words: "gateway token list",
      candidates: ["list", "gateway", "a"],
    }],
    [["a"], { kind: "incomplete", words: "a", rest: [] }],
    [[], { kind: "unknown", words: "", candidates: ["list", "gateway", "a"] }],
  ];
  for (const [argv, expected] of rows) {
    await t.step(argv.join(" ") || "nothing", () => deepStrictEqual(findVerb(argv, NAMES), expected));
  }
});

Deno.test("gateway refuses what it can't understand before it listens", async (t) => {
  await checkRows(t, [
    ...refused([
      [["gateway", "tokn"], "error: unknown command 'gateway tokn'"],
      [["gateway", "token"], "error: 'gateway token' is no command by itself"],
      [["gateway", "token", "creat"], "error: unknown command 'gateway token creat'"],
      [["help", "gateway", "tokn"], "error: unknown command 'gateway tokn'"],
      [["gateway", "--port", "x"], "--port must be a positive integer"],
      [["gateway", "--port", "65536"], "--port must be a positive integer"],
      [["gateway", "--bind", "example.com"], '--bind must be an address or docker: "example.com"'],
      [["gateway", "--allow-host", "a:1"], '--allow-host must be the name of a host, without a port: "a:1"'],
      [["gateway", "token", "create"], "error: option '--root <path>' argument missing"],
      [
        ["gateway", "token", "create", "--root", "/", "--ttl", "soon"],
        "--ttl must be a duration like 30m, 12h, or 7d",
      ],
      [
        ["gateway", "token", "create", "--root", "/", "--verbs", "attach"],
        "error: option '--verbs <verbs>' argument 'attach' is invalid. Allowed choices are create, send, ask, interrupt, wait, respond, status, last-message, logs, events, list, inspect, usage, goal, kill, resume, prune.",
      ],
      [
        ["gateway", "token", "create", "--root", "/", "--max-sessions", "0"],
        "--max-sessions must be a positive integer",
      ],
    ]),
    ...["0.0.0.0", "::", "*", "[::]"].map((address) => ({
      name: `--bind ${address}`,
      argv: ["gateway", "--bind", address],
      code: 2,
      stdout: "",
      stderr: /^Cannot listen on every address of this machine: .*\n .*--insecure-bind\n$/,
      asked: [],
    })),
  ]);
});

Deno.test("a token given in the place of its id is not printed", async () => {
  const { code, stdout, stderr } = await call(["gateway", "token", "revoke", "dst_12345678_secret"]);
  strictEqual(code, 2);
  strictEqual(`${stdout}${stderr}`.includes("secret"), false, stderr);
  match(stderr, /by its id/);
});

Deno.test("help knows verbs of several words", async () => {
  match(
    (await call(["help", "gateway", "token", "create"])).stdout,
    /dev-sessions gateway token create .*--root/,
  );
  match(
    (await call(["gateway", "token", "--help"])).stdout,
    /^Commands:\n {2}dev-sessions gateway token create /,
  );
  strictEqual((await call(["gateway", "token", "--help"])).code, 0);
});

Deno.test("gatewayPort() takes DEV_SESSIONS_GATEWAY_PORT, and never another port than the one that is set", () => {
  const set = (value: string) => ({ DEV_SESSIONS_GATEWAY_PORT: value });
  const rows: [Record<string, string>, set: number | null, port: number][] = [
    [{}, null, 6767],
    [set(""), null, 6767],
    [set("7000"), 7000, 7000],
    [set("65535"), 65535, 65535],
    [set("0"), 0, 0],
  ];
  for (const [env, expected, port] of rows) {
    deepStrictEqual([gatewayPortSet(env), gatewayPort(env)], [expected, port], JSON.stringify(env));
  }
  for (const value of ["x", "65536", "99999", "-1", " 7000", "7e3", "070000"]) {
    for (const read of [gatewayPortSet, gatewayPort, knownGatewayPort]) {
      throws(() => read(set(value)), {
        code: "usage",
        message: `Cannot use DEV_SESSIONS_GATEWAY_PORT="${value}": it must be a port`,
      });
    }
  }
  strictEqual(knownGatewayPort({}), 6767);
  throws(() => knownGatewayPort(set("0")), { code: "usage", message: /DEV_SESSIONS_GATEWAY_PORT=0/ });
});

Deno.test("a port of the environment that can't be used is refused where it is needed", async (t) => {
  const rows: [argv: string[], port: string, stderr: RegExp][] = [
    [["gateway"], "abc", /^Cannot use DEV_SESSIONS_GATEWAY_PORT="abc": it must be a port\n .*1 to 65535/],
    [["gateway"], "99999", /^Cannot use DEV_SESSIONS_GATEWAY_PORT="99999"/],
    [["gateway", "install"], "abc", /^Cannot use DEV_SESSIONS_GATEWAY_PORT="abc"/],
    [["gateway", "install"], "0", /^DEV_SESSIONS_GATEWAY_PORT must be a positive integer\n .*stays/],
    [["gateway", "install", "--port", "0"], "abc", /^--port must be a positive integer\n .*stays/],
  ];
  for (const [argv, port, stderr] of rows) {
    await t.step(`${argv.join(" ")} with ${port}`, async () => {
      const said = await call(argv, { env: { DEV_SESSIONS_GATEWAY_PORT: port } });
      deepStrictEqual([said.code, said.stdout], [2, ""]);
      match(said.stderr, stderr);
    });
  }
});

Deno.test("in a container the gateway is not the container's, and each of its commands says where it works", async (t) => {
  const rows: [argv: string[], onHost?: string][] = [
    [["gateway"]],
    [["gateway", "install"]],
    [["gateway", "uninstall"]],
    [["gateway", "status"]],
    [["gateway", "token", "list"]],
    [["gateway", "token", "create", "--root", "/src"], "gateway token create"],
    [["gateway", "token", "revoke", "1a2b3c4d"]],
  ];
  for (const [argv, onHost = argv.join(" ")] of rows) {
    await t.step(argv.join(" "), async () => {
      const { code, stdout, stderr } = await call(argv, { env: { DEV_SESSIONS_SANDBOX: "1" } });
      deepStrictEqual([code, stdout], [1, ""]);
      match(
        stderr,
        new RegExp(
          `^Cannot .* in a container: the gateway is the host's\\. On the host, run: dev-sessions ${onHost}\n$`,
        ),
      );
      const garbled = await call(argv, { env: { DEV_SESSIONS_SANDBOX: "true" } });
      deepStrictEqual([garbled.code, garbled.stdout], [2, ""]);
      match(garbled.stderr, /^Cannot use DEV_SESSIONS_SANDBOX="true": it must be 1 or 0\n/);
      const page = await call([...argv, "--help"], { env: { DEV_SESSIONS_SANDBOX: "1" } });
      strictEqual(page.code, 0);
    });
  }
});
