/** The gateway over HTTP: who is let in, what is refused before it is looked at, and what nobody ever sees. */

import { deepStrictEqual, doesNotMatch, match, ok, strictEqual } from "node:assert/strict";
import { answerOf, exchange, startGateway } from "../support/gateway.ts";
import { createSandbox } from "../support/harness.ts";
import { created, sql } from "../support/sandbox_state.ts";

const MB = 1024 * 1024;

Deno.test("authentication: a token that is valid, in its header, and nothing else", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  const good = await gateway.token("--root", sandbox.workspace, "--name", "good");
  const revoked = await gateway.token("--root", sandbox.workspace);
  const expired = await gateway.token("--root", sandbox.workspace, "--ttl", "1m");
  const strange = await gateway.token("--root", sandbox.workspace);
  sql(sandbox, "UPDATE tokens SET scope = '{' WHERE id = ?", strange.id);
  strictEqual((await sandbox.run(["gateway", "token", "revoke", revoked.id])).code, 0);
  sql(sandbox, "UPDATE tokens SET expires_at = '2026-01-01T00:00:00.000Z' WHERE id = ?", expired.id);
  const { master } = gateway;
  const other = (text: string) => text.slice(0, -1) + (text.endsWith("A") ? "B" : "A");
  const rows: [string, string | null, number, RegExp?][] = [
    ["none", null, 401, /a token is needed/],
    ["empty", "Bearer ", 401],
    ["nonsense", "Bearer nonsense", 401, /its token is not known/],
    ["another scheme", `Basic ${master}`, 401, /no token was understood/],
    ["no scheme", master, 401],
    ["the master token", `Bearer ${master}`, 200],
    ["in small letters", `bearer ${master}`, 200],
    ["almost the master token", `Bearer ${other(master)}`, 401, /its token is not known/],
    ["a part of it", `Bearer ${master.slice(0, -1)}`, 401, /its token is not known/],
    ["two tokens", `Bearer ${master} ${master}`, 401],
    ["a token that was made", `Bearer ${good.token}`, 200],
    ["almost that", `Bearer ${other(good.token)}`, 401, /its token is not known/],
    ["its id alone", `Bearer ${good.id}`, 401],
    ["its hash", `Bearer ${sql(sandbox, "SELECT hash FROM tokens WHERE id = ?", good.id)[0]!["hash"]}`, 401],
    ["revoked", `Bearer ${revoked.token}`, 401, /no longer valid: it was revoked/],
    ["almost the revoked one", `Bearer ${other(revoked.token)}`, 401, /its token is not known/],
    ["expired", `Bearer ${expired.token}`, 401, /no longer valid: it has expired/],
    [
      "of a scope that is not understood",
      `Bearer ${strange.token}`,
      401,
      /can't be understood: a newer version/,
    ],
  ];
  for (const [name, authorization, status, why] of rows) {
    await t.step(name, async () => {
      const headers: Record<string, string> = authorization === null ? {} : { authorization };
      const answer = await gateway.ask("list", {}, { token: null, headers });
      strictEqual(answer.status, status, answer.text);
      if (status === 200) return deepStrictEqual(answer.json, { result: [] });
      strictEqual(answer.json.error.code, "refused");
      strictEqual(answer.headers.get("www-authenticate"), "Bearer");
      if (why !== undefined) match(answer.json.error.message, why);
    });
  }
  await t.step("one of a scope that is not understood is listed, and can be revoked", async () => {
    const listed = await sandbox.run(["gateway", "token", "list"]);
    match(
      listed.stdout,
      new RegExp(`^${strange.id} .* not understood: made by a newer version, or damaged$`, "m"),
    );
    match(listed.stdout, new RegExp(`^${good.id} +good +valid `, "m"));
    strictEqual((await sandbox.run(["gateway", "token", "revoke", strange.id])).code, 0);
    doesNotMatch((await sandbox.run(["gateway", "token", "list"])).stdout, new RegExp(strange.id));
  });
  await t.step("never from an address", async () => {
    const answer = await answerOf(await gateway.fetch(`/v1/events?token=${good.token}`, { token: null }));
    strictEqual(answer.status, 400);
    match(answer.json.error.message, /send it as Authorization: Bearer <token>.*Revoke this one/);
  });
  await t.step("a new master token counts at once", async () => {
    const file = `${sandbox.home}/.dev-sessions/gateway-token`;
    const mine = "a-token-that-somebody-has-chosen-himself-0123456789";
    await Deno.writeTextFile(file, mine);
    strictEqual((await gateway.ask("list", {}, { token: master })).status, 401);
    strictEqual((await gateway.ask("list", {}, { token: mine })).status, 200);
    await Deno.remove(file);
    strictEqual((await gateway.ask("list", {}, { token: mine })).status, 401);
    strictEqual((await gateway.ask("list", {}, { token: good.token })).status, 200);
  });
  const { stderr } = await gateway.stop();
  for (const secret of [master, good.token, revoked.token, expired.token]) {
    strictEqual(stderr.includes(secret), false, "a token stands in the log");
    strictEqual(stderr.includes(secret.slice(12)), false, "a secret stands in the log");
  }
});

Deno.test("health says that it is well, and nothing more, to everyone", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  await created(sandbox);
  const { json, status } = await answerOf(await gateway.fetch("/health", { token: null }));
  strictEqual(status, 200);
  strictEqual(json.status, "healthy");
  deepStrictEqual(Object.keys(json).sort(), ["protocol", "status", "version"]);
});

Deno.test("requests from web pages, to other names and in other protocols are refused before anything else", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await Deno.mkdir(`${sandbox.home}/.dev-sessions`, { mode: 0o700 });
  await Deno.writeTextFile(`${sandbox.home}/.dev-sessions/config.json`, '{"gatewayHosts": ["configured"]}');
  await using gateway = await startGateway(sandbox, ["--allow-host", "Build.Example"]);
  const { master } = gateway;
  const raw = (...headers: string[]) =>
    gateway.raw(
      ["POST /v1/list HTTP/1.1", `Authorization: Bearer ${master}`, "Connection: close", ...headers].join(
        "\r\n",
      ) +
        "\r\nContent-Length: 2\r\n\r\n{}",
    );
  const rows: [string, string[], number][] = [
    ["localhost", ["Host: localhost:6767"], 200],
    ["a name that was allowed", ["Host: build.example"], 200],
    ["a name in the configuration", ["Host: configured:1"], 200],
    ["Docker's name", ["Host: host.docker.internal:1"], 200],
    ["another name", ["Host: evil.example"], 403],
    ["a name with ours in it", ["Host: localhost.evil.example"], 403],
    ["an Origin", ["Host: localhost", "Origin: http://localhost"], 403],
    ["an empty Origin", ["Host: localhost", "Origin:"], 403],
    ["no Host", [], 400],
    ["two Hosts", ["Host: localhost", "Host: evil.example"], 400],
    ["two tokens", ["Host: localhost", "Authorization: Bearer x"], 400],
    ["our protocol", ["Host: localhost", "Dev-Sessions-Protocol: 1", "Dev-Sessions-Version: 9.9.9"], 200],
    [
      "a newer protocol",
      ["Host: localhost", "Dev-Sessions-Protocol: 99", "Dev-Sessions-Version: 9.9.9"],
      426,
    ],
    ["a protocol that is none", ["Host: localhost", "Dev-Sessions-Protocol: x"], 400],
    ["a key that is none", ["Host: localhost", "Idempotency-Key: %zz"], 400],
    ["a header that is too long", ["Host: localhost", `X-Long: ${"x".repeat(20_000)}`], 431],
    ["two lengths", ["Host: localhost", "Content-Length: 3"], 400],
  ];
  for (const [name, headers, status] of rows) {
    await t.step(name, async () => match(await raw(...headers), new RegExp(`^HTTP/1\\.1 ${status} `)));
  }
  for (const text of ["GARBAGE\r\n\r\n", "\0\0\0\0", "POST /v1/list HTTP/9.9\r\nHost: localhost\r\n\r\n"]) {
    await t.step(`no HTTP: ${JSON.stringify(text.slice(0, 12))}`, async () => {
      match(await gateway.raw(text), /^(HTTP\/1\.1 (400|505) |$)/);
    });
  }
  strictEqual((await gateway.ask("list")).status, 200, "it is well after all that");
});

Deno.test("a client of 0.4.4 is told to upgrade, in the form that it prints", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  const rows: [string, string, string?][] = [
    ["POST", "/create", '{"path":"/tmp"}'],
    ["POST", "/send", '{"sessionId":"fizz-top","message":"x"}'],
    ["POST", "/kill", '{"sessionId":"fizz-top"}'],
    ["GET", "/list"],
    ["GET", "/status?id=fizz-top"],
    ["GET", "/wait?id=fizz-top&timeout=300"],
    ["GET", "/last-message?id=fizz-top&n=1"],
    ["GET", "/logs?id=fizz-top"],
    ["GET", "/inspect?id=fizz-top"],
    ["GET", "/goal?id=fizz-top"],
  ];
  for (const [method, path, body] of rows) {
    await t.step(`${method} ${path}`, async () => {
      const init = { method, token: null, ...(body === undefined ? {} : { body }) };
      const { status, json } = await answerOf(await gateway.fetch(path, init));
      strictEqual(status, 426);
      strictEqual(json.ok, false);
      match(json.error, /^This gateway is dev-sessions \d.*0\.4\.4 or older.*Install the same version/);
    });
  }
});

Deno.test("bodies: 8 MB and no more, JSON in UTF-8, and nobody's before he is known", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  const post = async (body: BodyInit, token?: null) =>
    await answerOf(
      await gateway.fetch("/v1/list", { method: "POST", body, ...(token === null ? { token } : {}) }),
    );
  const padded = (bytes: number) => `{"all":false,"x":"${"x".repeat(bytes - 21)}"}`;
  await t.step("8 MB", async () => strictEqual((await post(padded(8 * MB))).status, 200));
  await t.step("more, as its header says", async () => {
    const head = `POST /v1/list HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${gateway.master}\r\n`;
    const answer = await gateway.raw(`${head}Content-Length: ${8 * MB + 1}\r\n\r\n{`);
    match(answer, /^HTTP\/1\.1 413 [\s\S]*larger than 8 MB/);
  });
  await t.step("more, in chunks without an end", async () => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: gateway.port });
    const head = `POST /v1/list HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${gateway.master}\r\n`;
    const chunk = `100000\r\n${"x".repeat(MB)}\r\n`;
    // It is written for ever, unless it stops reading.
    const answer = await exchange(connection, `${head}Transfer-Encoding: chunked\r\n\r\n${chunk.repeat(12)}`);
    match(answer, /^(HTTP\/1\.1 413 [\s\S]*larger than 8 MB|$)/);
  });
  await t.step("of a caller who is not known, none is asked for", async () => {
    const head =
      `POST /v1/list HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer x\r\nExpect: 100-continue\r\n`;
    const answer = await gateway.raw(`${head}Content-Length: 100\r\nConnection: close\r\n\r\n`);
    match(answer, /^HTTP\/1\.1 401 /);
  });
  await t.step("of one who is, it is asked for", async () => {
    using connection = await Deno.connect({ hostname: "127.0.0.1", port: gateway.port });
    const head = `POST /v1/list HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${gateway.master}\r\n`;
    await connection.write(
      new TextEncoder().encode(
        `${head}Expect: 100-continue\r\nConnection: close\r\nContent-Length: 2\r\n\r\n`,
      ),
    );
    const block = new Uint8Array(100);
    const count = await connection.read(block);
    match(new TextDecoder().decode(block.subarray(0, count ?? 0)), /^HTTP\/1\.1 100 Continue/);
    match(await exchange(connection, "{}"), /^HTTP\/1\.1 200 /);
  });
  const rows: [string, BodyInit, number, RegExp][] = [
    ["nothing", "", 200, /result/],
    ["no JSON", "{", 400, /not valid JSON/],
    ["no UTF-8", new Uint8Array([0x22, 0xff, 0x22]), 400, /not valid UTF-8/],
    ["no object", "[]", 400, /no JSON object/],
    ["a number", "1", 400, /no JSON object/],
    ["the wrong type", '{"all":"yes"}', 400, /all: expected boolean, got a string/],
    ["a prototype", '{"__proto__":{"all":true}}', 200, /result/],
    ["deep", "[".repeat(100_000) + "]".repeat(100_000), 400, /./],
  ];
  for (const [name, body, status, text] of rows) {
    await t.step(name, async () => {
      const answer = await post(body);
      strictEqual(answer.status, status, answer.text);
      match(answer.text, text);
    });
  }
  for (const operation of ["nonsense", "constructor", "attach", "__proto__", "toString"]) {
    await t.step(`no operation: ${operation}`, async () => {
      const { status } = await gateway.ask(operation);
      ok(status === 400 || status === 404, String(status));
    });
  }
  await t.step("an age of before all time", async () => {
    for (const olderThanMs of [9e15, 1e300]) {
      strictEqual((await gateway.ask("prune", { olderThanMs })).status, 400);
    }
    strictEqual((await gateway.ask("prune", { olderThanMs: 1e13 })).status, 200);
  });
  await t.step("what a request expects is looked at after who asks", async () => {
    const head = (host: string, name: string) =>
      `POST /v1/list HTTP/1.1\r\nHost: ${host}\r\n${name}Expect: wonders\r\nConnection: close\r\nContent-Length: 2\r\n\r\n{}`;
    match(await gateway.raw(head("evil.example", "")), /^HTTP\/1\.1 403 /);
    match(await gateway.raw(head("localhost", "")), /^HTTP\/1\.1 401 /);
    const known = `Authorization: Bearer ${gateway.master}\r\n`;
    match(await gateway.raw(head("localhost", known)), /^HTTP\/1\.1 417 /);
  });
  await t.step("--all is no id", async () => {
    for (const body of [{ id: "--all" }, { id: "../x" }, { id: "@g" }, { id: "" }, { id: 1 }, {}]) {
      strictEqual((await gateway.ask("status", body)).status, 400);
    }
  });
});

Deno.test("what one token has under way is bounded, from before its bodies have come", async (t) => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  const { token } = await gateway.token("--root", sandbox.workspace);
  const held: Deno.Conn[] = [];
  const begin = async (length: number, sent: number) => {
    const connection = await Deno.connect({ port: gateway.port });
    held.push(connection);
    const head = `POST /v1/list HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n` +
      `Content-Length: ${length}\r\n\r\n`;
    const bytes = new TextEncoder().encode(head + " ".repeat(sent));
    for (let at = 0; at < bytes.length;) at += await connection.write(bytes.subarray(at));
  };
  const letGo = async () => {
    for (const connection of held.splice(0)) connection.close();
    await sandbox.eventually(async () => (await gateway.ask("list", {}, { token })).status === 200, {
      what: "room again",
    });
  };
  const others = async () => strictEqual((await gateway.ask("list")).status, 200);
  await t.step("requests", async () => {
    for (let count = 0; count < 256; count++) await begin(10, 1);
    await sandbox.eventually(async () => (await gateway.ask("list", {}, { token })).status === 429, {
      what: "too many",
    });
    await others();
    await letGo();
  });
  await t.step("bytes", async () => {
    for (let count = 0; count < 8; count++) await begin(8 * MB, 8 * MB - 1);
    const large = { ids: [], padding: " ".repeat(1_000) };
    await sandbox.eventually(async () => (await gateway.ask("list", large, { token })).status === 429, {
      what: "too much",
    });
    await others();
    await letGo();
  });
});

Deno.test("a header that does not come ends the connection", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  const [silent, slow] = await Promise.all([
    gateway.raw(""),
    gateway.raw("POST /v1/list HTTP/1.1\r\nHost: local"),
  ]);
  for (const answer of [silent, slow]) match(answer, /^(HTTP\/1\.1 408 |$)/);
});

Deno.test("the log has a line for each request, and no body, no token and no query in it", async () => {
  await using sandbox = await createSandbox({ agent: "stub" });
  await using gateway = await startGateway(sandbox);
  const id = await created(sandbox);
  const { token, id: tokenId } = await gateway.token("--root", sandbox.workspace, "--name", "to be logged");
  await gateway.result("send", {
    id,
    text: "a body that nobody may log",
    render: null,
    key: "key-not-to-be-logged",
    sender: null,
  });
  await gateway.ask("status", { id });
  await gateway.ask("status", { id }, { token });
  await gateway.ask("status", { id }, { token: "dst_00000000_aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa" });
  await (await gateway.fetch(`/v1/events?ids=${id}&follow=false&x=${token}`)).text();
  await (await gateway.fetch(`/secret-${token}`)).text();
  await sandbox.eventually(() => gateway.log.filter(({ event }) => event === "request").length === 6, {
    what: "six lines",
  });
  const requests = gateway.log.filter(({ event }) => event === "request");
  const [send, status, foreign, unknown, events, secret] = requests;
  deepStrictEqual(
    [send.operation, send.status, send.caller, send.sessions, send.method, send.via],
    ["send", 200, "master", [id], "POST", "tcp"],
  );
  ok(typeof send.ms === "number" && typeof send.time === "string");
  deepStrictEqual([status.operation, status.status, status.level], ["status", 200, "info"]);
  deepStrictEqual(
    [foreign.status, foreign.caller, foreign.name, foreign.error],
    [404, tokenId, "to be logged", "not_found"],
  );
  deepStrictEqual([unknown.status, unknown.caller, unknown.level], [401, undefined, "warning"]);
  deepStrictEqual([events.status, secret.status], [400, 400]);
  const { stderr } = await gateway.stop();
  doesNotMatch(stderr, /nobody may log|key-not-to-be|aaaaaaaa|secret-/);
  strictEqual(stderr.includes(token), false);
  strictEqual(stderr.includes(gateway.master), false);
});
