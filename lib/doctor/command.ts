/** Whether the command `dev-sessions` is what a shell or an agent finds on PATH, and is this version. */

import { type Finding, ok, warning, word } from "./finding.ts";
import { firstLine, type World } from "./world.ts";

const VERSION_TIMEOUT_MS = 5_000;

/** One `dev-sessions` on PATH. */
export interface Candidate {
  readonly path: string;
  /** Without symlinks. */
  readonly realPath: string;
  /** Null: it did not say. */
  readonly version: string | null;
}

export interface CommandEvidence {
  readonly candidates: readonly Candidate[];
  /** This program's own file; null where it runs from source. */
  readonly own: string | null;
  readonly version: string;
}

export async function checkCommand({ deps, version }: World): Promise<Finding[]> {
  const folders = new Set((deps.env["PATH"] ?? "").split(":").filter((folder) => folder.startsWith("/")));
  const found = [...folders].flatMap((folder) => executableAt(`${folder}/dev-sessions`) ?? []);
  const candidates = await Promise.all(found.map(async (one): Promise<Candidate> => {
    const said = await deps.run(one.path, ["--version"], {
      env: { ...deps.env },
      timeoutMs: VERSION_TIMEOUT_MS,
    })
      .catch(() => null);
    const version = said?.kind === "exited" && said.code === 0 ? firstLine(said.stdout) : null;
    return { ...one, version };
  }));
  return [judgeCommand({ candidates, own: ownFile(deps), version })];
}

function ownFile(deps: World["deps"]): string | null {
  const program = deps.program();
  switch (program.kind) {
    case "compiled":
    case "launcher":
      return realPath(program.executable);
    case "bundle":
    case "source":
      return null;
  }
}

/** Pure. */
export function judgeCommand({ candidates, own, version }: CommandEvidence): Finding {
  const check = "command";
  const [first, ...others] = candidates;
  if (first === undefined) {
    const at = own === null ? null : own.slice(0, own.lastIndexOf("/"));
    return warning(check, "there is no dev-sessions on PATH", {
      why: "agents that are to start others, and your own shell, do not find it",
      fix: at === null
        ? "Install it, or put a link to it into a folder of your PATH"
        : ["Put its folder on PATH, in your shell's start-up file, too", `export PATH=${word(at)}:"$PATH"`],
    });
  }
  const isOwn = own === null ? first.version === version : first.realPath === own;
  if (isOwn) {
    const shadowed = others.filter(({ realPath }) => realPath !== first.realPath).map(({ path }) => path);
    const beside = shadowed.length === 0 ? null : `also on PATH, behind it: ${shadowed.join(", ")}`;
    return ok(check, `dev-sessions ${version} is ${first.path}`, beside);
  }
  const what = first.version === null
    ? `${first.path} comes first on PATH and does not tell its version`
    : `${first.path} comes first on PATH and is version ${first.version}, not this one (${version})`;
  const old = /^0\.[0-4]\./.test(first.version ?? "");
  const ours = others.find(({ realPath, version: its }) => own === null ? its === version : realPath === own);
  return warning(check, what, {
    why: old
      ? "that version keeps its sessions in another file: each of the two sees only its own"
      : "agents and scripts run that one",
    fix: old
      ? ["Remove it", "npm uninstall -g dev-sessions"]
      : ours === undefined
      ? `Remove ${first.path}, or put this version's folder before it on PATH`
      : `Remove ${first.path}, or put the folder of ${ours.path} before it on PATH`,
  });
}

function executableAt(path: string): Omit<Candidate, "version"> | null {
  try {
    const info = Deno.statSync(path);
    return info.isFile && ((info.mode ?? 0) & 0o111) !== 0
      ? { path, realPath: Deno.realPathSync(path) }
      : null;
  } catch {
    return null;
  }
}

function realPath(path: string): string {
  try {
    return Deno.realPathSync(path);
  } catch {
    return path;
  }
}
