/** What stands in a sandbox beside the CLI's word for it: registry rows, tmux sessions, session folders, agents. */

import { deepStrictEqual, strictEqual } from "node:assert/strict";
import { join } from "node:path";
import { DatabaseSync, type SQLInputValue, type SQLOutputValue } from "node:sqlite";
import type { RunSettings, Sandbox } from "./harness.ts";
import type { FoundProcess } from "./processes.ts";

export type Json = Record<string, unknown>;

/** The registry's file. */
export function registryFile(sandbox: Sandbox): string {
  return join(sandbox.home, ".dev-sessions", "dev-sessions.db");
}

/** Runs SQL on the registry without the CLI, which would tidy up first; no rows where there is no registry yet. */
export function sql(
  sandbox: Sandbox,
  text: string,
  ...values: SQLInputValue[]
): Record<string, SQLOutputValue>[] {
  try {
    Deno.statSync(registryFile(sandbox));
  } catch {
    return [];
  }
  const database = new DatabaseSync(registryFile(sandbox), { timeout: 5_000 });
  try {
    return database.prepare(text).all(...values);
  } finally {
    database.close();
  }
}

/** `id lifecycle` of every row, in the order of their creation. */
export function rows(sandbox: Sandbox): string[] {
  return sql(sandbox, "SELECT id, lifecycle FROM sessions ORDER BY created_at, rowid")
    .map((row) => `${row["id"]} ${row["lifecycle"]}`);
}

/** Names of all tmux sessions on a socket (the sandbox's default one), sorted. */
export async function tmuxSessions(sandbox: Sandbox, ...options: string[]): Promise<string[]> {
  const { stdout } = await sandbox.tmux(...options, "list-sessions", "-F", "#{session_name}");
  return stdout.split("\n").filter((name) => name !== "").sort();
}

/** Names of the folders that sessions have below the registry's. */
export function sessionFolders(sandbox: Sandbox): string[] {
  try {
    return [...Deno.readDirSync(join(sandbox.home, ".dev-sessions", "sessions"))].map(({ name }) => name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return [];
    throw error;
  }
}

/** The stub agents that run, without the shells and tmux clients that name them. */
export async function agents(sandbox: Sandbox): Promise<FoundProcess[]> {
  return (await sandbox.processesOf()).filter(({ command }) => /stub_agent\.ts( |$)/.test(command));
}

/** @throws AssertionError when a `create` has left anything. */
export async function assertNothingLeft(sandbox: Sandbox): Promise<void> {
  // The agent ends a moment after its terminal.
  await sandbox.eventually(async () => (await agents(sandbox)).length === 0, { what: "no agent is left" });
  const left = {
    rows: rows(sandbox),
    tmux: (await tmuxSessions(sandbox)).filter((name) => name.startsWith("dev-")),
    folders: sessionFolders(sandbox),
  };
  deepStrictEqual(left, { rows: [], tmux: [], folders: [] });
}

/** Runs `create` and returns the new session's id. */
export async function created(
  sandbox: Sandbox,
  args: readonly string[] = [],
  settings: RunSettings = {},
): Promise<string> {
  const { code, stdout, stderr } = await sandbox.run(["create", "-q", ...args], settings);
  strictEqual(code, 0, stderr);
  return stdout.trim();
}

/** Runs a verb that must succeed; returns what it printed, parsed. */
export async function json<T = Json>(
  sandbox: Sandbox,
  args: readonly string[],
  settings: RunSettings = {},
): Promise<T> {
  const { code, stdout, stderr } = await sandbox.run([...args, "--json"], settings);
  strictEqual(code, 0, stderr);
  return JSON.parse(stdout);
}

/** Pid of a session's agent, from the registry. */
export function agentPid(sandbox: Sandbox, id: string): number {
  const [row] = sql(sandbox, "SELECT process FROM sessions WHERE id = ?", id);
  return Number(JSON.parse(String(row?.["process"])).pid);
}

/** The environment that a process was started with. */
export function environmentOf(pid: number): Map<string, string> {
  const entries = Deno.readTextFileSync(`/proc/${pid}/environ`).split("\0").filter((entry) => entry !== "");
  return new Map(entries.map((entry) => {
    const at = entry.indexOf("=");
    return [entry.slice(0, at), entry.slice(at + 1)];
  }));
}

/** The argument list of a process. */
export function argumentsOf(pid: number): string[] {
  return Deno.readTextFileSync(`/proc/${pid}/cmdline`).split("\0").slice(0, -1);
}
