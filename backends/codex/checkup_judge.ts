/** What is seen of an installed Codex, and of its app-server, means for the sessions that are to run it. Pure. */

import type { AppError } from "../../lib/errors.ts";
import { counted, type Finding, note, ok, problem, some, warning, word } from "../../lib/doctor/finding.ts";
import type { VersionEvidence } from "../program.ts";
import { isTooOld, MINIMUM_VERSION } from "./version.ts";

/** The version that everything was tested with. */
export const TESTED_VERSION = "0.169.0";

const CHECK = "codex";
const INSTALL = "npm install -g @openai/codex@latest";

export function judgeVersion(binary: string, found: VersionEvidence): Finding {
  if (found.kind === "silent") {
    return problem(CHECK, `Codex (${binary}) does not run: ${found.why}`, {
      why: "its sessions can't start",
      fix: ["Install it anew", INSTALL],
    });
  }
  const { version } = found;
  const what = `Codex ${version} (${binary})`;
  if (isTooOld(version)) {
    return problem(CHECK, `${what} is too old`, {
      why: `its app-server lacks what sessions need; ${MINIMUM_VERSION} or newer has it`,
      fix: ["Update it", INSTALL],
    });
  }
  if (version === TESTED_VERSION) return ok(CHECK, what);
  return note(CHECK, `${what} is not ${TESTED_VERSION}, which was tested`, {
    why: "it most likely works: what can't be proven is told as unknown",
    fix: ["Try it", "dev-sessions doctor --selftest"],
  });
}

export interface SignInEvidence {
  /** `auth.json` in Codex's folder holds a key or tokens. */
  readonly stored: boolean;
  /** What `codex login status` says; null: it was not asked, or did not answer. */
  readonly loginStatus: boolean | null;
  /** The configuration names a model provider, which may need no sign-in. */
  readonly ownProvider: boolean;
  /** A server is named by the environment: the sign-in is that server's. */
  readonly elsewhere: boolean;
}

export function judgeSignIn({ stored, loginStatus, ownProvider, elsewhere }: SignInEvidence): Finding {
  const check = "codex-sign-in";
  const unproven = "whether it is accepted shows with the first message only";
  if (elsewhere) {
    return ok(check, "Codex's sign-in is that of the server in DEV_SESSIONS_CODEX_URL", unproven);
  }
  if (stored || loginStatus === true) return ok(check, "Codex is signed in", unproven);
  if (ownProvider) return ok(check, "Codex uses a model provider of its configuration", unproven);
  const fix = ["Sign in", "codex login"] as const;
  if (loginStatus === null) {
    return note(check, "whether Codex is signed in can't be told", {
      why: "codex login status gave no answer",
      fix,
    });
  }
  return problem(check, "Codex is not signed in", { why: "there is no key and no token in its folder", fix });
}

export interface HomeEvidence {
  readonly codexHome: string;
  /** `CODEX_HOME` names it. */
  readonly given: boolean;
  readonly isFolder: boolean;
  /** Of TMPDIR, else /tmp; without symlinks. */
  readonly temporary: string;
}

export function judgeHome({ codexHome, given, isFolder, temporary }: HomeEvidence): Finding[] {
  if (given && !isFolder) {
    return [problem("codex-home", `CODEX_HOME is "${codexHome}", which is not a folder`, {
      why: "Codex makes its usual folder itself, but never one that is named to it",
      fix: ["Make it, or unset the variable", `mkdir -p ${word(codexHome)}`],
    })];
  }
  if (isFolder && (codexHome === temporary || codexHome.startsWith(`${temporary}/`))) {
    return [warning("codex-home", `Codex's folder ${codexHome} is below the temporary folder ${temporary}`, {
      why: "Codex keeps no helper programs there, so that every command it confines fails",
      fix: "Set CODEX_HOME to another folder, or TMPDIR to one that does not hold it",
    })];
  }
  return [];
}

/** What came of looking for its app-server; none is ever started for that. */
export type ServerEvidence =
  | { readonly kind: "none" }
  | { readonly kind: "failed"; readonly error: Pick<AppError, "code" | "message"> }
  | {
    readonly kind: "running";
    readonly where: string;
    /** Null when it does not say. */
    readonly version: string | null;
    readonly pid: number | null;
    /** `ours`: this registry's dev-sessions has started it. */
    readonly owner: "ours" | "foreign" | "configured";
    /** Null: it did not say. */
    readonly loaded: readonly string[] | null;
  };

/** @param version that of the executable; null when it is not known. */
export function judgeServer(found: ServerEvidence, version: string | null): Finding[] {
  const check = "codex-server";
  switch (found.kind) {
    case "none":
      return [ok(check, "no Codex app-server runs; the first session starts it")];
    case "failed":
      return [problem(check, found.error.message, {
        why: found.error.code === "refused"
          ? "somebody else could read the messages and run commands as you"
          : "sessions of Codex can't be started or reached meanwhile",
        fix: found.error.code === "refused"
          ? ["See whose it is", "ls -ld ~/.codex/app-server-control /tmp/codex-daemon-*"]
          : [
            "See which servers run; end one that is stopped or too old",
            "ps -eo pid,stat,args | grep [a]pp-server",
          ],
      })];
    case "running":
      break;
  }
  const { where, version: running, pid, owner, loaded } = found;
  const process = pid === null ? "" : `, process ${pid}`;
  const starter = owner === "ours"
    ? "started by dev-sessions"
    : owner === "foreign"
    ? "started by another program, and used as it is"
    : "named by DEV_SESSIONS_CODEX_URL";
  const threads = loaded === null ? "" : `, ${counted(loaded.length, "thread")} loaded`;
  const what = `Codex's app-server ${
    running ?? "of unknown version"
  } answers at ${where} (${starter}${process}${threads})`;
  if (running !== null && version !== null && running !== version && owner !== "configured") {
    return [note(check, what, {
      why: `codex itself is ${version}: the server goes on with the version that it was started with`,
      fix: pid === null
        ? "End it when no session works; the next one starts a new server"
        : ["End it when no session works; the next one starts a new server", `kill ${pid}`],
    })];
  }
  return [ok(check, what)];
}

/** @param threads of ended sessions, which the server still holds in memory. */
export function judgeLoaded(threads: readonly { readonly id: string; readonly thread: string }[]): Finding[] {
  const [first] = threads;
  if (first === undefined) return [];
  return [
    note("codex-threads", `threads of ended sessions are loaded: ${some(threads.map(({ id }) => id))}`, {
      why: "somebody has opened them in Codex itself, or they were not archived; a goal in one would go on",
      fix: ["Archive what nobody needs", `codex archive ${word(first.thread)}`],
    }),
  ];
}
