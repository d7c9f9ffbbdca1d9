/** `install-skill`: puts the skills where agents look for them; what somebody has changed is kept and named. */

import { buildCommand } from "@stricli/core";
import { AppError } from "../errors.ts";
import { isFolder } from "../files.ts";
import { claudeConfigFolder, codexHomeFolder, pathsFrom, type SkillScope } from "../paths.ts";
import { AGENT_KINDS, type AgentKind } from "../session.ts";
import {
  assertPossible,
  carryOut,
  type PlannedSkill,
  planSkills,
  realPaths,
  type SkillAction,
  type SkillRequest,
} from "../skill_install.ts";
import { skillStates } from "../skills.ts";
import type { Result } from "./output.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

interface Flags {
  readonly global: boolean;
  readonly local: boolean;
  readonly claude: boolean;
  readonly codex: boolean;
  readonly dryRun: boolean;
  readonly uninstall: boolean;
  readonly force: boolean;
  readonly json: boolean;
}

export interface InstallSkillOptions extends SkillRequest {
  readonly scope: SkillScope;
  /** None: those that are set up here; to remove them, all. */
  readonly agents: readonly AgentKind[];
  readonly dryRun: boolean;
}

type Done = "installed" | "removed" | "unchanged" | "kept";

/** @throws AppError (usage) for both scopes at once. */
function installSkillOptions(flags: Omit<Flags, "json">): InstallSkillOptions {
  if (flags.global && flags.local) throw usageError("Cannot use both --global and --local");
  const { claude, codex, dryRun, uninstall, force } = flags;
  return {
    scope: flags.local ? "local" : "global",
    agents: [...(claude ? ["claude"] as const : []), ...(codex ? ["codex"] as const : [])],
    dryRun,
    uninstall,
    force,
  };
}

export async function run(options: InstallSkillOptions, { deps }: CliContext): Promise<Result> {
  const { env, cwd } = deps;
  const { agents, note } = agentsFor(options, env, cwd);
  const found = await skillStates({ agents, scope: options.scope, env, cwd });
  const plan = planSkills(found, await realPaths(found), options);
  assertPossible(plan, options);
  if (!options.dryRun) await carryOut(plan, deps.randomUuid());
  return result(plan, options, note);
}

interface Agents {
  readonly agents: readonly AgentKind[];
  readonly note: string | null;
}

/** Without names: what is taken away may be of any agent, whoever is set up here now. */
function agentsFor(
  { agents, uninstall }: InstallSkillOptions,
  env: Readonly<Record<string, string>>,
  cwd: () => string,
): Agents {
  if (agents.length > 0) return { agents, note: null };
  return uninstall ? { agents: AGENT_KINDS, note: null } : agentsHere(env, cwd);
}

/** Those with a folder of their own; Claude Code when there is none. */
function agentsHere(env: Readonly<Record<string, string>>, cwd: () => string): Agents {
  const { home } = pathsFrom(env);
  const folders: Readonly<Record<AgentKind, string>> = {
    claude: claudeConfigFolder(env, home),
    codex: codexHomeFolder(env, cwd),
  };
  const agents: AgentKind[] = [];
  for (const agent of AGENT_KINDS) if (isFolder(folders[agent])) agents.push(agent);
  if (agents.length > 0) return { agents, note: null };
  const short = (path: string) => path.startsWith(`${home}/`) ? `~${path.slice(home.length)}` : path;
  const note = `No ${short(folders.claude)} or ${short(folders.codex)} found; defaulting to Claude Code.`;
  return { agents: ["claude"], note };
}

function result(plan: readonly PlannedSkill[], options: InstallSkillOptions, note: string | null): Result {
  const { scope, dryRun, uninstall } = options;
  const skills = plan.map(({ skill: { name, agent, path, state }, action }) => ({
    name,
    agent,
    path,
    state,
    action: done(action, uninstall),
  }));
  const lines = skills.flatMap(({ name, path, action }) => {
    const sentence = sentenceOf(action, uninstall, dryRun);
    return sentence === null ? [] : [`${sentence}: ${name} → ${path}`];
  });
  const kept = skills.filter(({ action }) => action === "kept");
  if (lines.length === 0 && kept.length === 0) lines.push("No installed skills found");
  if (note !== null) lines.unshift(note);
  return {
    text: lines.length === 0 ? null : lines.join("\n"),
    json: { scope, dryRun, skills },
    failure: kept.length === 0 ? null : keptFailure(kept.map(({ path }) => path), options),
  };
}

function done(action: SkillAction, uninstall: boolean): Done {
  switch (action) {
    case "install":
      return "installed";
    case "remove":
      return "removed";
    case "linked":
      return uninstall ? "removed" : "installed";
    case "unchanged":
    case "kept":
      return action;
  }
}

/** Null where there is nothing to say. */
function sentenceOf(action: Done, uninstall: boolean, dryRun: boolean): string | null {
  switch (action) {
    case "installed":
      return dryRun ? "Would install skill" : "Installed skill";
    case "removed":
      return dryRun ? "Would remove skill" : "Removed skill";
    case "unchanged":
      return uninstall ? null : "Skill is current";
    case "kept":
      return null;
  }
}

function keptFailure(
  [first, ...others]: readonly string[],
  { scope, agents, uninstall }: InstallSkillOptions,
): AppError {
  const command = [
    "dev-sessions install-skill",
    ...(scope === "local" ? ["--local"] : []),
    ...agents.map((agent) => `--${agent}`),
    ...(uninstall ? ["--uninstall"] : []),
    "--force",
  ].join(" ");
  const sentence = (path: string) =>
    `Cannot ${uninstall ? "remove" : "replace"} ${
      JSON.stringify(path)
    }: it was changed, or dev-sessions 0.4 or somebody else wrote it`;
  return new AppError(
    "failure",
    `${sentence(first!)}. If nothing in it is needed: ${command}`,
    others.length === 0 ? null : others.map(sentence).join("\n"),
  );
}

const switchFlag = (brief: string) =>
  ({ kind: "boolean", default: false, withNegated: false, brief }) as const;

export const command = buildCommand<Flags, [], ParseContext>({
  docs: {
    brief: "Teach agents to use dev-sessions",
    fullDescription: `Install the skills dev-sessions, handoff and delegate where agents look for them:
~/.claude/skills (or $CLAUDE_CONFIG_DIR) and ~/.codex/skills (or $CODEX_HOME), with --local below the current folder.
Without --claude and --codex: for those of the two whose folder is there, else for Claude Code; --uninstall looks
in the places of both.
A skill that was changed since it was installed is kept, and the exit code is 1; --force replaces it.

Examples:
  dev-sessions install-skill

  # For everybody who works in this repository
  dev-sessions install-skill --local --claude

  # What it would do
  dev-sessions install-skill --dry-run

  # Take them away again
  dev-sessions install-skill --uninstall`,
  },
  parameters: {
    flags: {
      global: switchFlag("For the user (the default)"),
      local: switchFlag("For the current folder"),
      claude: switchFlag("For Claude Code"),
      codex: switchFlag("For Codex"),
      dryRun: switchFlag("Only say what would be done"),
      uninstall: switchFlag("Remove them"),
      force: switchFlag("Also those that were changed"),
      json: switchFlag("Print what was done as JSON"),
    },
  },
  func(flags) {
    const options = installSkillOptions(flags);
    this.accept({ json: flags.json, long: false, run: (context) => run(options, context) });
  },
});
