/**
 * Examines this installation: every check in bounded time, all at once, and without changing anything; then, when asked
 * to, repairs what can be repaired safely, and examines it again.
 */

import { locatedProgram } from "../../backends/program.ts";
import { EXAMINERS, PROGRAMS } from "../../backends/registry.ts";
import { isClientMode } from "../client_settings.ts";
import { type Config, parseConfig, readConfig } from "../config.ts";
import type { Clock, Deps } from "../deps.ts";
import { AppError, messageOf } from "../errors.ts";
import { pathsFrom } from "../paths.ts";
import { AGENT_KINDS, type AgentKind } from "../session.ts";
import { readRows } from "../store/checkup.ts";
import { weighAgents } from "./agents.ts";
import { checkCommand } from "./command.ts";
import { type Finding, type Found, problem, sorted, warning } from "./finding.ts";
import { checkGateway } from "./gateway.ts";
import { checkConfig, checkRegistry } from "./registry.ts";
import { checkSessions } from "./sessions.ts";
import { checkSkills } from "./skills.ts";
import { checkStateFolder } from "./state_folder.ts";
import { checkHome, checkSurroundings, checkWatches } from "./surroundings.ts";
import type { World } from "./world.ts";

/** Of each check; when all is well, the slowest takes less than a second. */
const CHECK_TIMEOUT_MS = 10_000;

/** Of `create` without `--cli`, where the configuration names none. */
const USUAL_AGENT: AgentKind = "claude";

type Check = (world: World) => readonly Found[] | Promise<readonly Found[]>;

/**
 * What is examined where, in the order in which it is told: on the machine whose sessions these are, or in a container
 * whose commands go to the gateway of its host.
 */
const CHECKS: Readonly<Record<"host" | "container", Readonly<Record<string, Check>>>> = {
  host: {
    "home": checkHome,
    "state-folder": checkStateFolder,
    "config": checkConfig,
    "registry": checkRegistry,
    "agents": checkAgents,
    "sessions": checkSessions,
    "command": checkCommand,
    "skills": checkSkills,
    "surroundings": checkSurroundings,
    "watches": checkWatches,
  },
  container: {
    "gateway": checkGateway,
    "command": checkCommand,
    "skills": checkSkills,
    "surroundings": checkSurroundings,
  },
};

export interface Repaired {
  readonly check: string;
  /** What was done, for people; null when it failed. */
  readonly done: string | null;
  readonly error: string | null;
}

export interface Report {
  /** Worst first. */
  readonly findings: readonly Finding[];
  readonly repaired: readonly Repaired[];
}

/** @throws AppError when HOME is unset or not absolute. */
export async function examine(
  deps: Deps,
  options: { readonly version: string; readonly fix: boolean; readonly service: World["service"] },
): Promise<Report> {
  const found = await runChecks(deps, options);
  if (!options.fix) return { findings: found.map(asData), repaired: [] };
  const repaired: Repaired[] = [];
  for (const { check, repair } of found) {
    if (repair === undefined) continue;
    try {
      repaired.push({ check, done: await repair(), error: null });
    } catch (error) {
      repaired.push({ check, done: null, error: messageOf(error) });
    }
  }
  const after = repaired.length === 0 ? found : await runChecks(deps, options);
  return { findings: after.map(asData), repaired };
}

async function runChecks(
  deps: Deps,
  { version, service }: Pick<World, "version" | "service">,
): Promise<Found[]> {
  const paths = pathsFrom(deps.env);
  const stop = new AbortController();
  const world: World = {
    deps,
    paths,
    version,
    service,
    signal: stop.signal,
    config: usableConfig(paths.config),
    rows: () => readRows(paths.database),
  };
  const checks = CHECKS[isClientMode(deps.env) ? "container" : "host"];
  try {
    const found = await Promise.all(
      Object.entries(checks).map(([name, check]) => bounded(name, check, world, deps.clock)),
    );
    return sorted(found.flat());
  } finally {
    stop.abort(new AppError("failure", "The examination is over"));
  }
}

/** What a check throws, or that it does not end, is a finding, too. */
async function bounded(name: string, check: Check, world: World, clock: Clock): Promise<readonly Found[]> {
  const done = new AbortController();
  const late = clock.sleep(CHECK_TIMEOUT_MS, done.signal).then((): Found[] => [
    warning(name, `the check "${name}" did not end within ${CHECK_TIMEOUT_MS / 1000} s`, {
      why: "a file system or a program that it asks does not answer",
      fix: "Run doctor again; when it stays so, look at the other findings first",
    }),
  ]);
  try {
    return await Promise.race([Promise.try(check, world), late]);
  } catch (error) {
    return [problem(name, `the check "${name}" failed: ${messageOf(error)}`, {
      why: "what it looks at is in a state that nobody foresaw",
      fix: "Look at what it names",
    })];
  } finally {
    done.abort();
  }
}

/** Those that can be started here. */
export async function installedAgents(deps: Deps): Promise<AgentKind[]> {
  const found = await Promise.all(
    AGENT_KINDS.map(async (agent) => {
      const program = await PROGRAMS[agent]?.();
      return program !== undefined && locatedProgram(program, deps) !== null ? [agent] : [];
    }),
  );
  return found.flat();
}

async function checkAgents(world: World): Promise<Found[]> {
  const checkups = await Promise.all(
    AGENT_KINDS.map(async (agent) => await (await EXAMINERS[agent]?.())?.(world) ?? []),
  );
  return weighAgents(checkups.flat(), world.config.defaults.cli ?? USUAL_AGENT);
}

function usableConfig(file: string): Config {
  try {
    return readConfig(file);
  } catch {
    return parseConfig("{}", file);
  }
}

function asData({ check, level, what, why, fix }: Finding): Finding {
  return { check, level, what, why, fix };
}
