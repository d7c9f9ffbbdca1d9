/** Which hosts a request may name, and where the gateway listens. */

import { deepStrictEqual, match, rejects, strictEqual } from "node:assert/strict";
import { addressesOf, parseBind, shownAddress } from "../../../gateway/bind.ts";
import { allowedHosts, hostOf, rejectionOf } from "../../../gateway/hosts.ts";
import { listeningInodes } from "../../../gateway/port_holder.ts";
import { isHostName } from "../../../lib/host_names.ts";
import type { RunResult } from "../../../lib/deps.ts";

Deno.test("hostOf() takes the port away, and knows what is no host", async (t) => {
  const rows: [string, string | null][] = [
    ["localhost", "localhost"],
    ["localhost:6767", "localhost"],
    ["LocalHost:1", "localhost"],
    ["127.0.0.1:65535", "127.0.0.1"],
    ["127.0.0.1:65536", null],
    ["[::1]:6767", "::1"],
    ["[::1]", "::1"],
    ["::1", null],
    ["", null],
    ["a b", null],
    ["localhost:", null],
    ["localhost:abc", null],
    ["user@localhost", null],
    ["localhost/x", null],
    ["[localhost]:1", null],
    ["evil.example", "evil.example"],
    ["127.0.0.1.evil.example", "127.0.0.1.evil.example"],
    ["localhost,evil", null],
  ];
  for (const [header, host] of rows) {
    await t.step(JSON.stringify(header), () => strictEqual(hostOf(header), host));
  }
});

Deno.test("rejectionOf() lets through what names us once and comes from no web page", async (t) => {
  const allowed = allowedHosts(["10.1.2.3", "Build.Example"]);
  const rows: [string[], 400 | 403 | null][] = [
    [["Host", "localhost:6767"], null],
    [["host", "host.docker.internal:6767"], null],
    [["Host", "[::1]:6767"], null],
    [["Host", "10.1.2.3"], null],
    [["Host", "build.example:80"], null],
    [["Host", "10.1.2.4"], 403],
    [["Host", "evil.example"], 403],
    [["Host", "localhost.evil.example"], 403],
    [[], 400],
    [["Host", "localhost", "Host", "evil.example"], 400],
    [["Host", "localhost", "host", "localhost"], 400],
    [["Host", "localhost", "Authorization", "a", "authorization", "b"], 400],
    [["Host", "localhost", "Origin", "http://localhost:6767"], 403],
    [["Host", "localhost", "ORIGIN", "null"], 403],
    [["Host", "localhost", "Origin", ""], 403],
    // A value is no name.
    [["Host", "localhost", "X-Note", "origin"], null],
  ];
  for (const [headers, status] of rows) {
    await t.step(headers.join(" ") || "no headers", () => {
      strictEqual(rejectionOf(headers, allowed)?.status ?? null, status);
    });
  }
});

Deno.test("isHostName() takes names and addresses without a port", () => {
  for (const name of ["build", "build.example", "10.0.0.1", "::1"]) strictEqual(isHostName(name), true, name);
  for (const name of ["", "a:1", "a b", "http://a", "*", "-a"]) strictEqual(isHostName(name), false, name);
});

Deno.test("parseBind() tells loopback, one network and everywhere apart", async (t) => {
  const rows: [string, string | null][] = [
    ["docker", "docker"],
    ["127.0.0.1", "loopback 127.0.0.1"],
    ["127.8.8.8", "loopback 127.8.8.8"],
    ["localhost", "loopback 127.0.0.1"],
    ["::1", "loopback ::1"],
    ["[::1]", "loopback ::1"],
    ["172.17.0.1", "network 172.17.0.1"],
    ["fe80::1", "network fe80::1"],
    ["0.0.0.0", "everywhere 0.0.0.0"],
    ["*", "everywhere 0.0.0.0"],
    ["::", "everywhere ::"],
    ["[::]", "everywhere ::"],
    ["0:0:0:0:0:0:0:0", "everywhere 0:0:0:0:0:0:0:0"],
    ["0::0", "everywhere 0::0"],
    ["::ffff:0.0.0.0", "everywhere ::ffff:0.0.0.0"],
    ["0", null],
    ["0.0.0", null],
    ["256.1.1.1", null],
    ["example.com", null],
    ["1.2.3.4:80", null],
    ["", null],
    ["eth0", null],
  ];
  for (const [text, expected] of rows) {
    await t.step(JSON.stringify(text), () => {
      const bind = parseBind(text);
      const shown = bind === null
        ? null
        : bind.kind === "docker"
        ? "docker"
        : `${bind.reach} ${bind.address}`;
      strictEqual(shown, expected);
    });
  }
});

Deno.test("addressesOf() has loopback first and once, and finds Docker's bridge on this machine only", async (t) => {
  const said = (stdout: string, code = 0) => ({
    env: {},
    run: (): Promise<RunResult> => Promise.resolve({ kind: "exited", code, stdout, stderr: "" }),
  });
  const none = { env: {}, run: (): Promise<RunResult> => Promise.resolve({ kind: "not_found" }) };
  const bridge = (name: string, address: string) => () => [{ name, family: "IPv4" as const, address }];
  const binds = (...texts: string[]) => texts.map((text) => parseBind(text)!);
  await t.step(
    "nothing asked for",
    async () => deepStrictEqual(await addressesOf([], none, () => []), ["127.0.0.1"]),
  );
  await t.step("twice the same", async () => {
    deepStrictEqual(await addressesOf(binds("127.0.0.1", "::1", "::1"), none, () => []), [
      "127.0.0.1",
      "::1",
    ]);
  });
  await t.step("everywhere is loopback, too", async () => {
    deepStrictEqual(await addressesOf(binds("0.0.0.0"), none, () => []), ["0.0.0.0"]);
  });
  await t.step("as Docker says", async () => {
    const addresses = await addressesOf(binds("docker"), said("10.213.7.1 \n"), bridge("br-x", "10.213.7.1"));
    deepStrictEqual(addresses, ["127.0.0.1", "10.213.7.1"]);
  });
  await t.step("without a docker command, docker0's", async () => {
    const addresses = await addressesOf(binds("docker"), none, bridge("docker0", "172.17.0.1"));
    deepStrictEqual(addresses, ["127.0.0.1", "172.17.0.1"]);
  });
  await t.step("a bridge in another machine", async () => {
    await rejects(
      addressesOf(binds("docker"), said("172.17.0.1"), bridge("en0", "10.0.0.5")),
      /Docker Desktop/,
    );
  });
  await t.step("none at all", async () => {
    await rejects(addressesOf(binds("docker"), said("", 1), () => []), /no bridge was found\. Start Docker/);
  });
  strictEqual(shownAddress("::1", 80), "[::1]:80");
});

Deno.test("listeningInodes() reads the system's table of sockets", () => {
  const table = [
    "  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode",
    "   0: 0100007F:1A6F 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4242 1 0 100 0 0 10 0",
    "   1: 0100007F:1A6F 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1000        0 4243 1 0 100 0 0 10 0",
    "   2: 0100007F:1A70 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 4244 1 0 100 0 0 10 0",
  ].join("\n");
  deepStrictEqual(listeningInodes(table, 6767), ["4242"]);
  deepStrictEqual(listeningInodes("", 6767), []);
  match(String(listeningInodes(table, 0x1a70)), /4244/);
});
