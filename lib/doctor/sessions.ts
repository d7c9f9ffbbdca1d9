/** Sessions that are not as the registry has them: begun and abandoned, dead and not noticed, folders without a row. */

import { BACKENDS } from "../../backends/registry.ts";
import type { Paths } from "../paths.ts";
import type { AgentKind, Liveness, Session } from "../session.ts";
import type { SeenRows } from "../store/checkup.ts";
import { counted, type Finding, type Found, note, ok, repairable, some, warning, word } from "./finding.ts";
import type { World } from "./world.ts";

export interface SessionEvidence {
  readonly rows: SeenRows;
  /** Of the `create` or `resume` that is at work on a row, by its token. */
  readonly workers: ReadonlyMap<string, Liveness>;
  /** Of the agents of active rows, by their token. */
  readonly agents: ReadonlyMap<string, Liveness>;
  /** Names of the folders below `sessions`. */
  readonly folders: readonly string[];
}

export async function checkSessions(world: World): Promise<Found[]> {
  // Before the rows: a folder is made after its row, so that one without a row belongs to no session that begins now.
  const folders = foldersOf(world.paths);
  const rows = world.rows();
  if (rows === null) return [];
  const { sessions } = rows;
  const [workers, agents] = await Promise.all([
    workersOf(sessions, world),
    livenessOf(sessions, world),
  ]);
  const found = judgeSessions({ rows, workers, agents, folders }, world.paths.sessions);
  return found.map((finding) => withRepair(finding, world));
}

function withRepair(finding: Finding, world: World): Found {
  switch (finding.check) {
    case "unfinished":
      return repairable(finding, "Remove what they left, as the next command does", async () => {
        const { openService } = await import("../manager.ts");
        const before = count(world, ({ lifecycle, resumer }) => lifecycle === "creating" || resumer !== null);
        await (await openService(world.deps)).close();
        const after = count(world, ({ lifecycle, resumer }) => lifecycle === "creating" || resumer !== null);
        return `rolled back ${counted(Math.max(0, before - after), "unfinished session")}, ${after} are left`;
      });
    case "dead-sessions":
      return repairable(finding, "Mark them as ended, as the next list does", async () => {
        const ended = await markDead(world);
        return `marked as ended: ${ended.length === 0 ? "none" : some(ended)}`;
      });
    default:
      return finding;
  }
}

function count(world: World, which: (session: Session) => boolean): number {
  return world.rows()?.sessions.filter(which).length ?? 0;
}

/** Only those whose process is proven to be gone. */
async function markDead({ deps, paths }: World): Promise<string[]> {
  const [{ openStore }, { Reach }] = await Promise.all([import("../store.ts"), import("../reach.ts")]);
  const store = openStore(paths, {
    now: () => deps.clock.now(),
    randomUuid: deps.randomUuid,
    warn: (line) => deps.terminal.writeErr(`${line}\n`),
  });
  const reach = new Reach(deps, paths, store);
  try {
    const ended: string[] = [];
    for (const session of await reach.dead(store.list({ lifecycle: "active" }))) {
      if (await reach.noticeDeath(session) !== null) ended.push(session.id);
    }
    return ended;
  } finally {
    await reach.close();
    store.close();
  }
}

function foldersOf({ sessions }: Paths): string[] {
  try {
    return [...Deno.readDirSync(sessions)].map(({ name }) => name);
  } catch {
    return [];
  }
}

function workerOf({ lifecycle, creator, resumer }: Session) {
  return lifecycle === "creating" ? creator : lifecycle === "ended" ? resumer : null;
}

async function workersOf(
  sessions: readonly Session[],
  { deps }: World,
): Promise<ReadonlyMap<string, Liveness>> {
  const unfinished = sessions.flatMap((session) => {
    const worker = workerOf(session);
    return worker === null ? [] : [{ token: session.token, worker }];
  });
  const states = await deps.processStates(unfinished.map(({ worker }) => worker));
  return new Map(unfinished.map(({ token }, index) => [token, states[index] ?? "unknown"]));
}

async function livenessOf(
  sessions: readonly Session[],
  { deps, paths }: World,
): Promise<ReadonlyMap<string, Liveness>> {
  const active = sessions.filter(({ lifecycle }) => lifecycle === "active");
  const byAgent = [...Map.groupBy(active, ({ agent }) => agent)];
  const found = await Promise.all(byAgent.map(async ([agent, some]) => await liveness(agent, some)));
  return new Map(found.flat());

  async function liveness(agent: AgentKind, rows: readonly Session[]): Promise<[string, Liveness][]> {
    const backend = await BACKENDS[agent]?.(deps, paths) ?? null;
    if (backend === null) return [];
    try {
      const states = await backend.liveness(rows);
      return rows.map(({ id, token }) => [token, states.get(id) ?? "unknown"]);
    } finally {
      await backend.close?.(() => false);
    }
  }
}

/** Pure. */
export function judgeSessions(
  { rows: { sessions, unread, tokens }, workers, agents, folders }: SessionEvidence,
  sessionsFolder: string,
): Finding[] {
  const findings: Finding[] = [];
  const abandoned = sessions.filter(({ token }) => workers.get(token) === "dead").map(({ id }) => id);
  if (abandoned.length > 0) {
    const [verb, pronoun] = abandoned.length === 1 ? ["was", "it"] : ["were", "them"];
    findings.push(
      note(
        "unfinished",
        `${counted(abandoned.length, "session")} ${verb} begun and never finished: ${some(abandoned)}`,
        {
          why: `the command that began ${pronoun} is gone`,
        },
      ),
    );
  }
  const active = sessions.filter(({ lifecycle }) => lifecycle === "active");
  const dead = active.filter(({ token }) => agents.get(token) === "dead").map(({ id }) => id);
  if (dead.length > 0) {
    findings.push(
      note(
        "dead-sessions",
        `${counted(dead.length, "session")} ended by ${dead.length === 1 ? "itself" : "themselves"}: ${
          some(dead)
        }`,
        {
          why: "no command has looked since; their messages stay readable, and they can be resumed",
        },
      ),
    );
  }
  const unknown = active.filter(({ token }) => (agents.get(token) ?? "unknown") === "unknown").map(({ id }) =>
    id
  );
  if (unknown.length > 0) {
    findings.push(
      note(
        "unknown-sessions",
        `whether ${counted(unknown.length, "session")} live can't be told: ${some(unknown)}`,
        {
          why: "their agents belong to another machine, another container or a server that does not run now",
          fix: ["See what is known of one", `dev-sessions status ${unknown[0]} --explain`],
        },
      ),
    );
  }
  const strays = folders.filter((name) => !tokens.has(name));
  if (strays.length > 0) {
    findings.push(
      warning(
        "stray-folders",
        `${counted(strays.length, "folder")} in ${sessionsFolder} belong to no session`,
        {
          why: "their sessions are not in the registry (any more); they hold events and nothing else of use",
          fix: [
            "Look at them, then remove them",
            `ls -ld ${strays.slice(0, 3).map((name) => word(`${sessionsFolder}/${name}`)).join(" ")}`,
          ],
        },
      ),
    );
  }
  if (unread.length > 0) {
    const ids = unread.map(({ id }) => id);
    findings.push(
      warning("unread-sessions", `${counted(unread.length, "session")} can't be understood: ${some(ids)}`, {
        why: `no list has them, and whether they live can't be told (${unread[0]?.reason})`,
        fix: "Upgrade dev-sessions: a newer version has made or changed them",
      }),
    );
  }
  const live = active.length - dead.length - unknown.length;
  if (findings.length > 0) return findings;
  const ended = sessions.filter(({ lifecycle }) => lifecycle === "ended").length;
  return [ok("sessions", `${counted(live, "live session")}, ${ended} ended`)];
}
