/** What a session's thread runs with: the same words at its start, when it is loaded anew and with each turn. Pure. */

import type { SandboxKind, Session } from "../../lib/session.ts";
import { threadConfig } from "./agent_args.ts";
import type { Params } from "./frames.ts";

type Settings = Pick<Session, "id" | "mode" | "model" | "launch">;

/** Of a session that an earlier version started: everything, as it started it. */
const SANDBOX_OF_MODE = { yolo: "full", native: "workspace", docker: "full" } as const;

export function sandboxOf({ mode, launch }: Pick<Settings, "mode" | "launch">): SandboxKind {
  return launch?.sandbox ?? SANDBOX_OF_MODE[mode];
}

/** For `thread/start` and `thread/resume`. */
export function threadSettings(
  session: Settings,
): Pick<Params<"thread/start">, "approvalPolicy" | "sandbox" | "permissions" | "model" | "config"> {
  const { id, launch, model } = session;
  const sandbox = sandboxOf(session);
  return {
    approvalPolicy: approvalPolicyOf(session),
    ...(sandbox === "full" ? { sandbox: "danger-full-access" } : { permissions: PROFILES[sandbox] }),
    ...(model === null ? {} : { model }),
    config: {
      ...threadConfig(launch?.agentArgs ?? []),
      // The server's own environment belongs to all of its threads.
      "shell_environment_policy.set.DEV_SESSIONS_ID": id,
      "shell_environment_policy.set.DEV_SESSIONS_SANDBOX": session.mode === "docker" ? "1" : "0",
    },
  };
}

/** For `turn/start` and `thread/settings/update`, where a loaded thread still listens. */
export function turnSettings(
  session: Settings,
): Pick<Params<"turn/start">, "approvalPolicy" | "sandboxPolicy" | "permissions" | "model"> {
  const { model } = session;
  const sandbox = sandboxOf(session);
  return {
    approvalPolicy: approvalPolicyOf(session),
    ...(sandbox === "full"
      ? { sandboxPolicy: { type: "dangerFullAccess" } }
      : { permissions: PROFILES[sandbox] }),
    ...(model === null ? {} : { model }),
  };
}

const PROFILES = { "read-only": ":read-only", workspace: ":workspace" } as const;

function approvalPolicyOf({ mode }: Pick<Settings, "mode">): "never" | "on-request" {
  switch (mode) {
    case "yolo":
    case "docker":
      return "never";
    case "native":
      return "on-request";
  }
}
