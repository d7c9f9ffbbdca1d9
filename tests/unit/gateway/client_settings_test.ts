/** When commands go to a gateway, which one, and with which token; a variable that can't be used is said at once. */

import { deepStrictEqual, match, rejects, strictEqual, throws } from "node:assert/strict";
import { AppError } from "../../../lib/errors.ts";
import {
  clientSettings,
  gatewayAddress,
  isClientMode,
  pathMap,
  usualWorkspace,
} from "../../../lib/client_settings.ts";

Deno.test("isClientMode()", () => {
  const URL_SET = { DEV_SESSIONS_GATEWAY_URL: "http://h:1" };
  const rows: readonly (readonly [Record<string, string>, boolean])[] = [
    [{}, false],
    [{ DEV_SESSIONS_SANDBOX: "1" }, true],
    [{ DEV_SESSIONS_SANDBOX: "0" }, false],
    [{ IS_SANDBOX: "1" }, false],
    [URL_SET, false],
    [{ IS_SANDBOX: "1", ...URL_SET }, true],
    [{ IS_SANDBOX: "1", DEV_SESSIONS_GATEWAY_URL: "" }, false],
    [{ IS_SANDBOX: "1", DEV_SESSIONS_SANDBOX: "0", ...URL_SET }, false],
    [{ IS_SANDBOX: "1", DEV_SESSIONS_SANDBOX: "", ...URL_SET }, true],
    [{ IS_SANDBOX: "yes", ...URL_SET }, false],
  ];
  for (const [env, expected] of rows) strictEqual(isClientMode(env), expected, JSON.stringify(env));
  for (const value of ["true", "yes", "1 ", " ", "2", "01"]) {
    for (const rest of [{}, { IS_SANDBOX: "1", ...URL_SET }]) {
      throws(() => isClientMode({ DEV_SESSIONS_SANDBOX: value, ...rest }), (error) => {
        strictEqual(error instanceof AppError && error.code, "usage");
        match(String(error), new RegExp(`DEV_SESSIONS_SANDBOX="${value}": it must be 1 or 0$`));
        return true;
      });
    }
  }
});

Deno.test("gatewayAddress() understands http, https and unix addresses", () => {
  const rows: readonly (readonly [string | null, unknown])[] = [
    [null, {
      kind: "http",
      url: "http://host.docker.internal:6767",
      hostname: "host.docker.internal",
      port: 6767,
    }],
    ["", {
      kind: "http",
      url: "http://host.docker.internal:6767",
      hostname: "host.docker.internal",
      port: 6767,
    }],
    ["http://127.0.0.1:6767///", {
      kind: "http",
      url: "http://127.0.0.1:6767",
      hostname: "127.0.0.1",
      port: 6767,
    }],
    ["http://h", { kind: "http", url: "http://h", hostname: "h", port: 80 }],
    ["http://[::1]:1", { kind: "http", url: "http://[::1]:1", hostname: "[::1]", port: 1 }],
    ["https://gw.example", { kind: "https", url: "https://gw.example", hostname: "gw.example" }],
    ["unix:///run/gw/gateway.sock", {
      kind: "unix",
      url: "unix:///run/gw/gateway.sock",
      path: "/run/gw/gateway.sock",
    }],
    ["unix:/run/g.sock", { kind: "unix", url: "unix:/run/g.sock", path: "/run/g.sock" }],
  ];
  for (const [url, expected] of rows) {
    deepStrictEqual(gatewayAddress(url === null ? {} : { DEV_SESSIONS_GATEWAY_URL: url }), expected);
  }
});

Deno.test("gatewayAddress() refuses what it can't use, without showing a password", () => {
  const rows: readonly (readonly [string, RegExp])[] = [
    ["host:6767", /neither http:\/\/<host>:<port> nor unix:\/\/<path>/],
    ["6767", /neither http/],
    ["ftp://h", /neither http/],
    ["unix:relative", /neither http/],
    ["http://h:6767/v1", /more than a host and a port/],
    ["http://h:6767?token=x", /more than a host and a port/],
    ["http://user:secret@h:6767", /it holds a user or password/],
    [`unix:///${"a".repeat(107)}`, /at most 107 bytes/],
  ];
  for (const [url, expected] of rows) {
    throws(() => gatewayAddress({ DEV_SESSIONS_GATEWAY_URL: url }), (error) => {
      if (!(error instanceof AppError)) return false;
      strictEqual(error.code, "usage");
      strictEqual(error.message.includes("secret"), false);
      return expected.test(error.message);
    }, url);
  }
});

Deno.test("pathMap() and usualWorkspace()", () => {
  deepStrictEqual(pathMap({}), { host: null, container: "/workspace" });
  deepStrictEqual(pathMap({ HOST_PATH: "/home/u/app/", CONTAINER_WORKSPACE: "/w/" }), {
    host: "/home/u/app",
    container: "/w",
  });
  deepStrictEqual(pathMap({ HOST_PATH: "/", CONTAINER_WORKSPACE: "/host" }), {
    host: "/",
    container: "/host",
  });
  for (const HOST_PATH of ["app", "~/app", "/a/../b", "/a\0"]) {
    throws(() => pathMap({ HOST_PATH }), /HOST_PATH=/);
  }
  throws(() => pathMap({ CONTAINER_WORKSPACE: "w" }), /CONTAINER_WORKSPACE=/);

  strictEqual(usualWorkspace({}), ".");
  strictEqual(usualWorkspace({ HOST_PATH: "/x" }), ".");
  strictEqual(usualWorkspace({ DEV_SESSIONS_SANDBOX: "1" }), ".");
  strictEqual(usualWorkspace({ DEV_SESSIONS_SANDBOX: "1", HOST_PATH: "/x" }), "/workspace");
});

Deno.test("the token comes from the variable, else from the file, and must be one", async () => {
  const folder = await Deno.makeTempDir();
  try {
    const file = (name: string, text: string) => {
      Deno.writeTextFileSync(`${folder}/${name}`, text);
      return `${folder}/${name}`;
    };
    const tokenOf = async (env: Record<string, string>) => (await clientSettings(env)).token;
    strictEqual(await tokenOf({}), null);
    strictEqual(await tokenOf({ DEV_SESSIONS_GATEWAY_TOKEN: " abc " }), "abc");
    const good = file("good", "from-file\n");
    strictEqual(await tokenOf({ DEV_SESSIONS_GATEWAY_TOKEN_FILE: good }), "from-file");
    strictEqual(
      await tokenOf({ DEV_SESSIONS_GATEWAY_TOKEN: "abc", DEV_SESSIONS_GATEWAY_TOKEN_FILE: good }),
      "abc",
    );
    const bad: readonly (readonly [Record<string, string>, RegExp])[] = [
      [{ DEV_SESSIONS_GATEWAY_TOKEN: "a b" }, /white space or other characters/],
      [{ DEV_SESSIONS_GATEWAY_TOKEN: "a\r\nHost: x" }, /white space or other characters/],
      [{ DEV_SESSIONS_GATEWAY_TOKEN_FILE: `${folder}/none` }, /there is no such file/],
      [{ DEV_SESSIONS_GATEWAY_TOKEN_FILE: folder }, /it is no file with a token/],
      [{ DEV_SESSIONS_GATEWAY_TOKEN_FILE: file("empty", "\n") }, /it is empty/],
      [{ DEV_SESSIONS_GATEWAY_TOKEN_FILE: file("two", "one\ntwo\n") }, /white space/],
      [{ DEV_SESSIONS_GATEWAY_TOKEN_FILE: file("large", "x".repeat(5_000)) }, /it is no file with a token/],
    ];
    for (const [env, said] of bad) {
      await rejects(tokenOf(env), (error) => {
        if (!(error instanceof AppError)) return false;
        strictEqual(error.code, "refused");
        return said.test(error.message);
      });
    }
  } finally {
    await Deno.remove(folder, { recursive: true });
  }
});
