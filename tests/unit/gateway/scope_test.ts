/** What a token permits, and how tokens look. */

import { deepStrictEqual, match, strictEqual, throws } from "node:assert/strict";
import { HttpError } from "../../../gateway/http_answers.ts";
import { routeOf, targetOf } from "../../../gateway/http_routes.ts";
import {
  assertPermittedTemplate,
  isNamedBelow,
  isReallyBelow,
  permittedCreate,
  type Scope,
} from "../../../gateway/scope.ts";
import { isWithin } from "../../../lib/posix_path.ts";
import {
  hashToken,
  isSameHash,
  LOOKS_LIKE_TOKEN,
  newMasterToken,
  newScopedToken,
  parseToken,
  validityOf,
} from "../../../gateway/tokens.ts";
import { permits } from "../../../gateway/verbs.ts";
import { AppError } from "../../../lib/errors.ts";
import type { CreateRequest } from "../../../lib/service.ts";
import { createRequest } from "../../support/create_request.ts";

const SCOPE: Scope = {
  roots: [{ named: "/home/u/link", real: "/data/work" }],
  mode: "docker",
  agents: ["claude", "codex"],
  verbs: null,
  maxSessions: 3,
  boundTo: null,
};
const REQUEST = createRequest({ path: "/data/work/api" });

Deno.test("permittedCreate() refuses every option that is not on its list, and every laxer mode", async (t) => {
  const rows: [string, Partial<Scope>, Partial<CreateRequest> & Record<string, unknown>, RegExp][] = [
    ["an argument for the agent", {}, { agentArgs: ["--mcp-config", "x"] }, /--agent-arg is not permitted/],
    ["trust", {}, { trust: true }, /--trust is not permitted/],
    ["a worktree", {}, { worktree: { branch: null } }, /--worktree is not permitted/],
    ["an id", {}, { id: "fizz-top" }, /--id is not permitted/],
    ["another host", {}, { host: "build.example" }, /--host is not permitted/],
    ["an environment", {}, { env: { LD_PRELOAD: "x" } }, /--env is not permitted/],
    ["an option of later", {}, { remoteBin: "sh" }, /--remoteBin is not permitted/],
    [
      "yolo with a docker token",
      {},
      { mode: "yolo" },
      /--mode yolo is not permitted with this token, only docker/,
    ],
    ["native with a docker token", {}, { mode: "native" }, /--mode native is not permitted/],
    ["yolo with a native token", { mode: "native" }, { mode: "yolo" }, /only native, docker/],
    [
      "another agent",
      { agents: ["codex"] },
      { agent: "claude" },
      /--cli claude is not permitted with this token, only codex/,
    ],
    ["a sandbox that is none", { mode: "native" }, { sandbox: "full" }, /--sandbox full/],
    ["a model that is a flag", {}, { model: "--dangerously-skip-permissions" }, /--model must be/],
    ["a model with a blank", {}, { model: "opus --x" }, /--model must be/],
    ["a long description", {}, { description: "x".repeat(1_001) }, /--description is limited/],
  ];
  for (const [name, scope, request, why] of rows) {
    await t.step(name, () => {
      throws(() => permittedCreate({ ...SCOPE, ...scope }, { ...REQUEST, ...request }), (error) => {
        match((error as Error).message, why);
        return error instanceof AppError && error.code === "refused";
      });
    });
  }
});

Deno.test("permittedCreate() settles what was left open within what is permitted", () => {
  strictEqual(permittedCreate(SCOPE, REQUEST).mode, "docker");
  strictEqual(permittedCreate({ ...SCOPE, mode: "yolo" }, { ...REQUEST, mode: "native" }).mode, "native");
  strictEqual(permittedCreate({ ...SCOPE, agents: ["codex"] }, REQUEST).agent, "codex");
  strictEqual(permittedCreate(SCOPE, REQUEST).agent, null);
  strictEqual(permittedCreate(SCOPE, { ...REQUEST, readyTimeoutMs: 1e9 }).readyTimeoutMs, 600_000);
  strictEqual(
    permittedCreate(SCOPE, { ...REQUEST, model: "claude-opus-4-5[1m]" }).model,
    "claude-opus-4-5[1m]",
  );
  // Nothing is passed on that nobody looked at.
  deepStrictEqual(Object.keys(permittedCreate(SCOPE, REQUEST)).sort(), Object.keys(REQUEST).sort());
});

Deno.test("paths are below a root by whole names, as they are named and as they are", () => {
  for (const path of ["/work", "/work/a", "/work/a/b"]) strictEqual(isWithin(path, "/work"), true, path);
  for (const path of ["/workspace", "/work-x", "/wor", "/", "/a/work"]) {
    strictEqual(isWithin(path, "/work"), false, path);
  }
  strictEqual(isWithin("/a", "/"), true);
  for (const path of ["/home/u/link", "/home/u/link/api", "/data/work/api"]) {
    strictEqual(isNamedBelow(SCOPE, path), true, path);
  }
  for (const path of ["/home/u/linked", "/home/u", "/data/workspace"]) {
    strictEqual(isNamedBelow(SCOPE, path), false, path);
  }
  // What is named so may have become a way to somewhere else.
  strictEqual(isReallyBelow(SCOPE, "/home/u/link/api"), false);
  strictEqual(isReallyBelow(SCOPE, "/data/work/api"), true);
});

Deno.test("assertPermittedTemplate() refuses only what would ask git", () => {
  assertPermittedTemplate("{{session.id}} {{date}} {{var.A}}", { vars: { A: "1" } });
  for (const name of ["git.branch", "git.head"]) {
    throws(
      () => assertPermittedTemplate(`on {{ ${name} }}`, { vars: {} }),
      /is not permitted with this token/,
    );
  }
});

Deno.test("permits() knows the operations behind each verb", () => {
  for (const operation of ["expand", "send", "wait", "lastMessages"] as const) {
    strictEqual(permits(["ask"], operation), true, operation);
  }
  for (const operation of ["create", "kill", "list", "attachCommand"] as const) {
    strictEqual(permits(["ask"], operation), false, operation);
  }
  strictEqual(permits(null, "kill"), true);
  strictEqual(permits(null, "attachCommand"), false);
  strictEqual(permits([], "status"), false);
});

Deno.test("tokens are understood only as they are made", async (t) => {
  const { id, token } = newScopedToken();
  deepStrictEqual(parseToken(token), { kind: "scoped", id });
  deepStrictEqual(parseToken(newMasterToken()), { kind: "master" });
  strictEqual(new Set([newMasterToken(), newMasterToken()]).size, 2);
  for (
    const text of ["", "x", "short", "a b".repeat(20), "é".repeat(40), "x".repeat(300), "a\n".repeat(30)]
  ) {
    await t.step(JSON.stringify(text.slice(0, 12)), () => strictEqual(parseToken(text), null));
  }
  // A scoped token with anything more or less is no scoped one.
  for (const text of [`${token}x`, token.slice(0, -1), token.toUpperCase(), token.replace("dst_", "dst-")]) {
    strictEqual(parseToken(text)?.kind === "scoped", false, text);
  }
  match(token, LOOKS_LIKE_TOKEN);
  match(newMasterToken(), LOOKS_LIKE_TOKEN);
  strictEqual(await hashToken("abc"), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  strictEqual(isSameHash("aa", "aa"), true);
  for (const [a, b] of [["aa", "ab"], ["aa", "a"], ["", "a"]] as const) strictEqual(isSameHash(a, b), false);
});

Deno.test("validityOf(): revoked before expired, and an end that can't be read has come", () => {
  const now = Date.parse("2026-01-02T00:00:00Z");
  const at = (expiresAt: string | null, revokedAt: string | null = null) =>
    validityOf({ expiresAt, revokedAt }, now);
  strictEqual(at(null), "valid");
  strictEqual(at("2026-01-02T00:00:00.001Z"), "valid");
  strictEqual(at("2026-01-02T00:00:00.000Z"), "expired");
  strictEqual(at("nonsense"), "expired");
  strictEqual(at("2027-01-01T00:00:00Z", "2026-01-01T00:00:00Z"), "revoked");
});

Deno.test("routeOf() knows its paths and methods, and takes no token from an address", async (t) => {
  const rows: [string, string, string | number][] = [
    ["GET", "/health", "health"],
    ["HEAD", "/health", "health"],
    ["POST", "/health", 405],
    ["POST", "/v1/list", "operation"],
    ["GET", "/v1/list", 405],
    ["POST", "/v1/cancel", "cancel"],
    ["GET", "/v1/events", "events"],
    ["GET", "/v1/events?since=now&ids=fizz-top,riven-jg&follow=false", "events"],
    ["GET", "/v1/events?since=e1-0123abcd-7", "events"],
    ["GET", "/v1/events?since=yesterday", 400],
    ["GET", "/v1/events?ids=--all", 400],
    ["GET", "/v1/events?follow=maybe", 400],
    ["GET", "/v1/events?token=x", 400],
    ["GET", `/v1/events?access_token=${newScopedToken().token}`, 400],
    ["GET", `/health?x=${newMasterToken()}`, 400],
    ["POST", "/v1/list?x=1", 400],
    ["POST", "/v1/../health", 404],
    ["POST", "/v1/", 404],
    ["POST", "/v1/list/", 404],
    ["GET", "/", 404],
    ["GET", "http://localhost/health", 400],
    ["OPTIONS", "*", 400],
    ["POST", "/create", "legacy"],
    ["GET", "/list", "legacy"],
    ["GET", "/wait?id=fizz-top&timeout=3", "legacy"],
  ];
  for (const [method, url, expected] of rows) {
    await t.step(`${method} ${url.slice(0, 50)}`, () => {
      if (typeof expected === "string") return strictEqual(routeOf(method, url, undefined).kind, expected);
      throws(() => routeOf(method, url, undefined), (error) => {
        strictEqual(error instanceof HttpError && error.status, expected);
        return true;
      });
    });
  }
  deepStrictEqual(routeOf("GET", "/v1/events?since=now", "e1-0123abcd-9"), {
    kind: "events",
    request: { ids: null, since: { log: "0123abcd", seq: 9 }, follow: true },
  });
});

Deno.test("targetOf() takes our own name away, and goes nowhere else", () => {
  const allowed = new Set(["localhost", "::1"]);
  const rows: [string, string][] = [
    ["/health", "/health"],
    ["*", "*"],
    ["http://localhost:6767/v1/list?x=1", "/v1/list?x=1"],
    ["HTTP://LOCALHOST/", "/"],
    ["http://[::1]:1", "/"],
    ["http://localhost?x", "/?x"],
  ];
  for (const [url, target] of rows) strictEqual(targetOf(url, allowed), target, url);
  for (
    const url of [
      "http://evil.example/health",
      "http://localhost@evil.example/",
      "http:///x",
      "http://localhost:x/",
    ]
  ) {
    throws(() => targetOf(url, allowed), (error) => error instanceof HttpError && error.status === 403, url);
  }
  // Left as it is, it is no path.
  strictEqual(targetOf("https://localhost/health", allowed), "https://localhost/health");
});
