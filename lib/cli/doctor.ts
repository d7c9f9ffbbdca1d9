/** `doctor`: what keeps this installation from its work, and what to do about it; `--selftest` does the work once. */

import { buildCommand } from "@stricli/core";
import type { Finding } from "../doctor/finding.ts";
import type { Repaired, Report } from "../doctor/doctor.ts";
import type { Step } from "../doctor/selftest.ts";
import { assertOnHost } from "../client_settings.ts";
import { AppError } from "../errors.ts";
import { AGENT_TITLES, type AgentKind } from "../session.ts";
import { VERSION } from "../version.ts";
import { note, oneLine, type Result } from "./output.ts";
import { callingSession } from "./parsers.ts";
import { canAsk } from "./prompts.ts";
import { type CliContext, type ParseContext, usageError } from "./verb.ts";

interface Flags {
  readonly fix: boolean;
  readonly selftest: boolean;
  readonly yes: boolean;
  readonly json: boolean;
}

export type DoctorOptions =
  | { readonly kind: "examine"; readonly fix: boolean }
  | { readonly kind: "selftest"; readonly yes: boolean; readonly json: boolean };

/** @throws AppError (usage) for flags that do not belong together. */
function doctorOptions({ fix, selftest, yes, json }: Flags): DoctorOptions {
  if (selftest && fix) throw usageError("Use only one of --fix, --selftest");
  if (yes && !selftest) throw usageError("--yes belongs to --selftest");
  return selftest ? { kind: "selftest", yes, json } : { kind: "examine", fix };
}

export async function* run(options: DoctorOptions, context: CliContext): AsyncIterable<Result> {
  switch (options.kind) {
    case "examine": {
      const { examine } = await import("../doctor/doctor.ts");
      const report = await examine(context.deps, {
        version: VERSION,
        fix: options.fix,
        service: context.service,
      });
      yield reportResult(report, options.fix);
      return;
    }
    case "selftest":
      yield* runSelftest(options, context);
      return;
  }
}

function reportResult({ findings, repaired }: Report, fix: boolean): Result {
  const problems = findings.filter(({ level }) => level === "problem").length;
  const failed = repaired.filter(({ error }) => error !== null).length;
  const lines = [
    ...repaired.map(repairedLine),
    ...(fix && repaired.length === 0 ? ["Nothing could be repaired automatically."] : []),
    ...(fix ? [""] : []),
    ...findings.flatMap(findingLines),
  ];
  const automatic = findings.filter((finding) => finding.fix?.automatic === true).length;
  if (automatic > 0 && !fix) {
    lines.push("", `${automatic} of these can be repaired with: dev-sessions doctor --fix`);
  }
  return {
    text: lines.join("\n"),
    json: { healthy: problems === 0, findings, repaired },
    failure: problems > 0
      ? new AppError(
        "failure",
        `${problems === 1 ? "1 problem keeps" : `${problems} problems keep`} dev-sessions from its work`,
      )
      : failed > 0
      ? new AppError("failure", `${failed === 1 ? "1 repair" : `${failed} repairs`} failed`)
      : null,
  };
}

function repairedLine({ check, done, error }: Repaired): string {
  return error === null
    ? `Repaired ${check}: ${oneLine(done ?? "")}`
    : `Could not repair ${check}: ${oneLine(error)}`;
}

const LEVEL_WIDTH = "problem".length;
const INDENT = " ".repeat(LEVEL_WIDTH + 2);

/** One line for what was seen; below it, indented, what follows from it and what to do. */
export function findingLines({ level, what, why, fix }: Finding): string[] {
  const lines = [`${level.padEnd(LEVEL_WIDTH)}  ${oneLine(what)}`];
  if (why !== null && level !== "ok") lines.push(`${INDENT}${oneLine(why)}`);
  if (fix !== null) {
    lines.push(
      `${INDENT}Fix: ${oneLine(fix.text)}${fix.command === null ? "" : `: ${oneLine(fix.command)}`}`,
    );
  }
  return lines;
}

async function* runSelftest(
  { yes, json }: Extract<DoctorOptions, { readonly kind: "selftest" }>,
  context: CliContext,
): AsyncIterable<Result> {
  const { deps, signal } = context;
  assertOnHost(deps.env, {
    what: "run the self-test",
    why: "the agents are the host's",
    command: "doctor --selftest",
  });
  const caller = callingSession(deps.env);
  const { installedAgents } = await import("../doctor/doctor.ts");
  const agents = await installedAgents(deps);
  if (agents.length === 0) {
    const { NONE_INSTALLED } = await import("../doctor/agents.ts");
    throw new AppError(
      "failure",
      `Cannot run the self-test: ${NONE_INSTALLED}. See: dev-sessions doctor`,
    );
  }
  const cost = costOf(agents);
  if (!yes) {
    if (!canAsk(deps)) {
      throw usageError(
        `Cannot run the self-test without being asked to: ${cost}`,
        "Run it with: dev-sessions doctor --selftest --yes",
      );
    }
    yield note(cost);
    const { confirm } = await import("./prompts.ts");
    if (!await confirm("Run it?", context)) {
      throw new AppError("interrupted", "Not confirmed: nothing was started");
    }
  } else yield note(cost);

  const { selftest } = await import("../doctor/selftest.ts");
  const steps: Step[] = [];
  for await (const step of selftest(await context.service(), deps, { agents, caller }, signal)) {
    steps.push(step);
    if (!json) yield { text: stepLine(step) };
  }
  const failed = steps.find(({ ok }) => !ok);
  yield {
    json: { passed: failed === undefined && !signal.aborted, steps },
    failure: signal.aborted
      ? new AppError("interrupted", "Interrupted: what the self-test had started is ended")
      : failed === undefined
      ? null
      : new AppError("failure", `The self-test failed: ${failed.agent} ${failed.step}`),
  };
}

/** Said before anything is spent. */
export function costOf(agents: readonly AgentKind[]): string {
  const names = agents.map((agent) => AGENT_TITLES[agent]).join(" and ");
  return `The self-test runs one short turn of ${names}${agents.length > 1 ? " each" : ""}, ` +
    "paid from your own plan or API key, in a new folder that is removed afterwards.";
}

function stepLine({ agent, step, ok, ms, evidence }: Step): string {
  const [first = "", ...others] = evidence.split("\n");
  const line = `${agent.padEnd(6)}  ${step.padEnd(12)}  ${ok ? "ok    " : "FAILED"}  ${
    String(ms).padStart(6)
  } ms  ${first}`;
  return [line, ...others.map((other) => `    ${other}`)].join("\n");
}

export const command = buildCommand<Flags, [], ParseContext>({
  docs: {
    brief: "Examine this installation",
    fullDescription:
      `Examine this installation: tmux, Claude Code and Codex with their versions and sign-ins, the registry, the
folder of dev-sessions, what killed commands have left, the skills and PATH. Each finding says what to do about it. Nothing
is changed and nothing is spent. Exits with 1 when something would keep create, send or wait from working.

--fix repairs what can be repaired safely: file modes, sessions that were begun and never finished, dead ones. Nothing whose
state is unknown is touched, and no file of your own.

--selftest starts each installed agent in a new folder, sends it a message, waits, reads the reply and ends it: one short
turn each, paid from your own plan or API key. It asks first; in a script it needs --yes.

Examples:
  dev-sessions doctor
  dev-sessions doctor --fix

  # What keeps it from its work, for a script
  dev-sessions doctor --json | jq -r '.findings[] | select(.level == "problem") | .what'

  # The main job, for real
  dev-sessions doctor --selftest --yes`,
  },
  parameters: {
    flags: {
      fix: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Repair what can be repaired safely",
      },
      selftest: {
        kind: "boolean",
        default: false,
        withNegated: false,
        brief: "Run each agent for one short turn",
      },
      yes: { kind: "boolean", default: false, withNegated: false, brief: "With --selftest: do not ask" },
      json: { kind: "boolean", default: false, withNegated: false, brief: "Print the findings as JSON" },
    },
  },
  func(flags) {
    const options = doctorOptions(flags);
    this.accept({
      json: flags.json,
      long: options.kind === "selftest",
      run: (context) => run(options, context),
    });
  },
});
