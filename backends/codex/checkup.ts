/** Examines Codex for `doctor`: reads its files and asks a server that runs; starts no server and spends nothing. */

import { note } from "../../lib/doctor/finding.ts";
import type { Checkup, World } from "../../lib/doctor/world.ts";
import { AppError } from "../../lib/errors.ts";
import { isFolder, realPathOf } from "../../lib/files.ts";
import { withoutOuterAgent } from "../outer_agents.ts";
import { serverPaths } from "../../lib/paths.ts";
import { locatedProgram, versionOf } from "../program.ts";
import {
  type HomeEvidence,
  judgeHome,
  judgeLoaded,
  judgeServer,
  judgeSignIn,
  judgeVersion,
  type ServerEvidence,
  type SignInEvidence,
} from "./checkup_judge.ts";
import { describeEndpoint, URL_NAME } from "./endpoint.ts";
import { codexHomeOf, findServer } from "./find_server.ts";
import { parseHandle } from "./handle.ts";
import { CODEX_PROGRAM } from "./program.ts";
import { readMetadata } from "./metadata.ts";
import { pages } from "./pages.ts";
import type { Connection } from "./rpc.ts";

const TOOL_TIMEOUT_MS = 5_000;
/** A server answers within milliseconds; one that is being started, within 0.2 s. */
const CONNECT_TIMEOUT_MS = 2_000;
/** More are not counted. */
const LOADED_PAGES = 10;

export async function checkCodex(world: World): Promise<Checkup> {
  const { deps, signal } = world;
  const binary = locatedProgram(CODEX_PROGRAM, deps);
  if (binary === null) {
    const findings = [
      note("codex", "Codex is not installed", {
        why: "only sessions with --cli codex need it",
        fix: ["Install it", "npm install -g @openai/codex"],
      }),
    ];
    return { agent: "codex", installed: false, findings };
  }
  const codexHome = codexHomeOf({ deps, signal });
  const home = homeEvidence(codexHome, world);
  const [version, signIn, server] = await Promise.all([
    versionOf(CODEX_PROGRAM, binary, deps),
    signInEvidence(binary, codexHome, home.isFolder, world),
    serverEvidence(codexHome, world),
  ]);
  return {
    agent: "codex",
    installed: true,
    findings: [
      judgeVersion(binary, version),
      judgeSignIn(signIn),
      ...judgeHome(home),
      ...judgeServer(server, version.kind === "version" ? version.version : null),
      ...judgeLoaded(loadedOfEnded(server, codexHome, world)),
    ],
  };
}

function homeEvidence(codexHome: string, { deps }: World): HomeEvidence {
  const temporary = deps.env["TMPDIR"] || "/tmp";
  return {
    codexHome,
    given: Boolean(deps.env["CODEX_HOME"]),
    isFolder: isFolder(codexHome),
    temporary: realPathOf(temporary),
  };
}

async function signInEvidence(
  binary: string,
  codexHome: string,
  hasHome: boolean,
  { deps }: World,
): Promise<SignInEvidence> {
  const stored = hasStoredSignIn(`${codexHome}/auth.json`);
  const base = {
    stored,
    ownProvider: namesProvider(`${codexHome}/config.toml`),
    elsewhere: Boolean(deps.env[URL_NAME]),
  };
  if (stored || base.elsewhere) return { ...base, loginStatus: null };
  // It looks into the system's key ring as well. Without its folder there is no configuration that says so.
  if (!hasHome) return { ...base, loginStatus: false };
  const env = { ...withoutOuterAgent(deps.env), CODEX_HOME: codexHome };
  const said = await deps.run(binary, ["login", "status"], { env, timeoutMs: TOOL_TIMEOUT_MS });
  if (said.kind !== "exited") return { ...base, loginStatus: null };
  if (said.code === 0) return { ...base, loginStatus: true };
  return { ...base, loginStatus: /not logged in/i.test(said.stdout + said.stderr) ? false : null };
}

function hasStoredSignIn(path: string): boolean {
  try {
    const { OPENAI_API_KEY: key, tokens } = JSON.parse(Deno.readTextFileSync(path));
    return Boolean(key) || Boolean(tokens);
  } catch {
    return false;
  }
}

/** Before any section, where it holds for all sessions. */
function namesProvider(path: string): boolean {
  try {
    const top = Deno.readTextFileSync(path).split(/^\s*\[/m, 1)[0] ?? "";
    return /^\s*(?:model_provider|profile|openai_base_url)\s*=/m.test(top);
  } catch {
    return false;
  }
}

async function serverEvidence(codexHome: string, { deps, signal }: World): Promise<ServerEvidence> {
  try {
    const server = await findServer({ deps, signal, codexHome, connectTimeoutMs: CONNECT_TIMEOUT_MS });
    if (server === null) return { kind: "none" };
    await using connection = server.connection;
    const pid = await connection.call("server/diagnostics", {}, { signal }).then(({ process }) => process.id)
      .catch(() => null);
    const { servers } = await readMetadata(serverPaths(deps.env).metadata);
    const ours = servers.some((one) => one.codexHome === codexHome && one.process.pid === pid);
    return {
      kind: "running",
      where: describeEndpoint(server.endpoint),
      version: connection.version,
      pid,
      owner: server.origin === "configured" ? "configured" : ours ? "ours" : "foreign",
      loaded: await loadedThreads(connection, signal).catch(() => null),
    };
  } catch (error) {
    if (error instanceof AppError) return { kind: "failed", error };
    throw error;
  }
}

async function loadedThreads(connection: Connection, signal: AbortSignal): Promise<string[]> {
  const found: string[] = [];
  let left = LOADED_PAGES;
  const loaded = pages(
    "thread/loaded/list",
    (cursor) => connection.call("thread/loaded/list", { cursor }, { signal }),
  );
  for await (const page of loaded) {
    found.push(...page);
    if (--left === 0) break;
  }
  return found;
}

function loadedOfEnded(
  server: ServerEvidence,
  codexHome: string,
  world: World,
): { readonly id: string; readonly thread: string }[] {
  if (server.kind !== "running" || server.loaded === null) return [];
  const loaded = new Set(server.loaded);
  const rows = (world.rows()?.sessions ?? []).filter(({ agent }) => agent === "codex");
  const threadOf = ({ handle }: { readonly handle: unknown }) => {
    const parsed = parseHandle(handle);
    return parsed?.codexHome === codexHome ? parsed.threadId : null;
  };
  return rows.flatMap((session) => {
    const thread = threadOf(session);
    const over = session.lifecycle === "ended" && session.resumer === null;
    return over && thread !== null && loaded.has(thread) ? [{ id: session.id, thread }] : [];
  });
}
