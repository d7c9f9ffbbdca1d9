/** Examines tmux, in which Claude Code runs: there, of a known version, its server answering, nothing of ours left in it. */

import {
  counted,
  type Finding,
  type Found,
  note,
  ok,
  problem,
  repairable,
  some,
  warning,
  word,
} from "../../lib/doctor/finding.ts";
import type { World } from "../../lib/doctor/world.ts";
import { withoutOuterAgent } from "../outer_agents.ts";
import { tmuxSocket } from "../../lib/paths.ts";
import type { Session } from "../../lib/session.ts";
import { Ending, isOnlyLeft } from "./ending.ts";
import { HandleSchema } from "./handle.ts";
import { type MarkedPane, Tmux, type TmuxResult } from "./tmux.ts";
import * as v from "valibot";

const CHECK = "tmux";
const VERSION_TIMEOUT_MS = 3_000;
/** A healthy server answers in 2 to 40 ms. */
const ANSWER_TIMEOUT_MS = 2_000;
/** Tested: 3.1c, 3.3a, 3.5a, 3.8. */
const OLDEST: readonly [number, number] = [3, 1];
const NEWEST_TESTED: readonly [number, number] = [3, 8];

export async function checkTmux(world: World): Promise<Found[]> {
  const { deps } = world;
  const said = await deps.run("tmux", ["-V"], { env: { ...deps.env }, timeoutMs: VERSION_TIMEOUT_MS });
  if (said.kind === "not_found") return [judgeTmuxVersion(null)];
  const version = judgeTmuxVersion(said.kind === "exited" ? said.stdout.trim() : "");
  const usual = tmuxSocket(deps.env, Deno.uid() ?? 0);
  const sockets = new Set([usual, ...socketsOf(world.rows()?.sessions ?? [])]);
  const servers = await Promise.all(
    [...sockets].map((socket) => checkServer(socket, socket === usual, world)),
  );
  return [version, ...servers.flat()];
}

/** Where agents of live sessions run. */
function socketsOf(sessions: readonly Session[]): string[] {
  return sessions.flatMap((session) => {
    if (session.agent !== "claude" || session.lifecycle !== "active") return [];
    const handle = v.safeParse(HandleSchema, session.handle);
    return handle.success ? [handle.output.socket] : [];
  });
}

async function checkServer(socket: string, isUsual: boolean, world: World): Promise<Found[]> {
  const { deps, paths } = world;
  const tmux = new Tmux(deps, socket, withoutOuterAgent(deps.env));
  const answer = await tmux.unlessExiting(["list-sessions", "-F", "#{session_name}"], ANSWER_TIMEOUT_MS);
  const server = judgeServer(answer, socket, isUsual);
  if (answer.kind !== "ok") return server;
  const marked = await tmux.marked(ANSWER_TIMEOUT_MS);
  // Read after the panes: a row is written before its pane.
  const rows = world.rows();
  if (marked === "unknown" || rows === null) return server;
  const left = judgePanes({ marked, atWork: rows.atWork, registry: paths.state, socket });
  return [
    ...server,
    ...left.map((finding): Found => {
      if (finding.check !== "dead-panes") return finding;
      return repairable(finding, "Remove them, as the next create does", async () => {
        const isLive = (token: string) => world.rows()?.atWork.has(token) ?? true;
        const done = await new Ending(deps, paths, tmux).removeDeadPanes(isLive);
        return done === "done" ? "removed tmux sessions of dead agents" : "nothing: tmux did not answer";
      });
    }),
  ];
}

/** @param said what `tmux -V` printed; null: there is no tmux; empty: it did not say. Pure. */
export function judgeTmuxVersion(said: string | null): Finding {
  const install = "apt install tmux (Debian, Ubuntu), brew install tmux (macOS)";
  if (said === null) {
    return problem(CHECK, "tmux is not installed", {
      why: "Claude Code runs in it",
      fix: `Install it: ${install}`,
    });
  }
  const [, major, minor] = /^tmux (?:next-|openbsd-)?(\d+)\.(\d+)/.exec(said) ?? [];
  if (major === undefined || minor === undefined) {
    return note(
      CHECK,
      said === "" ? "tmux does not tell its version" : `the version of tmux is not known: ${said}`,
      {
        why: `${OLDEST.join(".")} or newer is needed`,
        fix: ["See whether it runs", "tmux -V"],
      },
    );
  }
  const version: readonly [number, number] = [Number(major), Number(minor)];
  if (isBefore(version, OLDEST)) {
    return warning(CHECK, `${said} is older than ${OLDEST.join(".")}`, {
      why: "what it answers and refuses is not known",
      fix: `Install a newer one: ${install}`,
    });
  }
  if (!said.startsWith("tmux openbsd-") && isBefore(NEWEST_TESTED, version)) {
    return note(CHECK, `${said} is newer than ${NEWEST_TESTED.join(".")}, which was tested`, {
      fix: ["Try it", "dev-sessions doctor --selftest"],
    });
  }
  return ok(CHECK, said);
}

function isBefore(one: readonly [number, number], other: readonly [number, number]): boolean {
  return one[0] !== other[0] ? one[0] < other[0] : one[1] < other[1];
}

/** @param isUsual new sessions go there; else it has live ones only. Pure. */
export function judgeServer(answer: TmuxResult, socket: string, isUsual: boolean): Finding[] {
  const check = "tmux-server";
  switch (answer.kind) {
    case "ok":
      return [ok(check, `the tmux server on ${socket} answers`)];
    case "unresponsive":
      return [problem(check, `the tmux server on ${socket} does not answer`, {
        why: "its process is stopped or hangs; sessions in it show as unknown, and none of them is given up",
        fix: [
          "Look for a stopped one (STAT T), and let it go on: kill -CONT <pid>",
          "ps -C tmux -o pid,stat,args",
        ],
      })];
    case "failed":
      break;
  }
  switch (answer.reason) {
    case "no_server":
    case "server_exited":
    case "no_target":
      return isUsual ? [ok(check, `no tmux server runs on ${socket} yet; the first session starts it`)] : [];
    case "duplicate":
    case "other":
      return [problem(check, `the tmux server on ${socket} can't be used: ${answer.message}`, {
        why: isUsual ? "new sessions of Claude Code run there" : "live sessions run there",
        fix: [
          "See whom the socket belongs to",
          `ls -ld ${word(socket.slice(0, socket.lastIndexOf("/")))} ${word(socket)}`,
        ],
      })];
  }
}

/** What tmux still has of sessions that are over. Those of other registries are not looked at. Pure. */
export function judgePanes({ marked, atWork, registry, socket }: {
  readonly marked: ReadonlyMap<string, MarkedPane>;
  /** Tokens of the rows to which an agent may belong. */
  readonly atWork: ReadonlySet<string>;
  readonly registry: string;
  readonly socket: string;
}): Finding[] {
  const left = [...marked].filter(([token, pane]) => pane.registry === registry && !atWork.has(token))
    .map(([, pane]) => pane);
  const findings: Finding[] = [];
  const dead = left.filter(isOnlyLeft);
  if (dead.length > 0) {
    const names = some(dead.map(({ session }) => session));
    findings.push(
      note(
        "dead-panes",
        `tmux still has ${counted(dead.length, "session")} of agents that have ended: ${names}`,
        {
          why: "tmux did not answer when they ended",
        },
      ),
    );
  }
  for (const { session } of left.filter(({ dead }) => !dead)) {
    findings.push(
      warning("stray-agent", `the agent in tmux's session ${session} belongs to no live session`, {
        why:
          "the registry does not have it (any more), so that no command reaches it, and it may go on working",
        fix: ["Look at it, then end it", `tmux -S ${word(socket)} kill-session -t ${word(`=${session}`)}`],
      }),
    );
  }
  return findings;
}
