/** The launchd agent of the gateway as a property list, and the check that launchd itself does not make. Pure. */

import {
  gatewayArguments,
  RESTART_PAUSE_SECONDS,
  type ServiceSpec,
  STOP_SECONDS,
  type Written,
} from "./definition.ts";

export const LABEL = "com.dev-sessions.gateway";

type Value = string | number | boolean | readonly string[] | { readonly [key: string]: string | boolean };

/** @returns the file's content. @see launchd.plist(5) */
export function plist(spec: ServiceSpec): string {
  const entries: Record<string, Value> = {
    Label: LABEL,
    ProgramArguments: [spec.command, ...gatewayArguments(spec)],
    EnvironmentVariables: spec.env,
    RunAtLoad: true,
    // As `Restart=on-failure`: a gateway that was asked to stop stays stopped.
    KeepAlive: { SuccessfulExit: false },
    // The sessions' tmux and app-servers outlive the gateway.
    AbandonProcessGroup: true,
    ThrottleInterval: RESTART_PAUSE_SECONDS,
    ExitTimeOut: STOP_SECONDS,
    ProcessType: "Interactive",
    StandardOutPath: spec.log,
    StandardErrorPath: spec.log,
  };
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    '<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">',
    '<plist version="1.0">',
    element(entries, ""),
    "</plist>",
    "",
  ].join("\n");
}

/** Reads the command and the variables of a property list in XML. */
export function readPlist(text: string): Written {
  const arrayOf = /<key>ProgramArguments<\/key>\s*<array>(.*?)<\/array>/s.exec(text)?.[1] ?? "";
  const dict = /<key>EnvironmentVariables<\/key>\s*<dict>(.*?)<\/dict>/s.exec(text)?.[1] ?? "";
  const entries = dict.matchAll(/<key>(.*?)<\/key>\s*(?:<string>(.*?)<\/string>|<string\s*\/>)/gs);
  return {
    command: [...arrayOf.matchAll(/<string>(.*?)<\/string>/gs)].map(([, word = ""]) => unescaped(word)),
    env: Object.fromEntries(
      [...entries].map(([, key = "", value = ""]) => [unescaped(key), unescaped(value)]),
    ),
  };
}

function element(value: Value | Readonly<Record<string, Value>>, indent: string): string {
  const inner = `${indent}  `;
  if (typeof value === "string") return `${indent}<string>${escaped(value)}</string>`;
  if (typeof value === "number") return `${indent}<integer>${value}</integer>`;
  if (typeof value === "boolean") return `${indent}<${value}/>`;
  if (isList(value)) {
    return [`${indent}<array>`, ...value.map((item) => element(item, inner)), `${indent}</array>`].join("\n");
  }
  const entries = Object.entries(value).flatMap(([key, item]) => [
    `${inner}<key>${escaped(key)}</key>`,
    element(item, inner),
  ]);
  return [`${indent}<dict>`, ...entries, `${indent}</dict>`].join("\n");
}

function isList(value: Value | Readonly<Record<string, Value>>): value is readonly string[] {
  return Array.isArray(value);
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

const ENTITIES: Readonly<Record<string, string>> = { amp: "&", lt: "<", gt: ">", quot: '"', apos: "'" };

function unescaped(text: string): string {
  return text.replaceAll(/&(\w+);/g, (whole, name) => ENTITIES[name] ?? whole);
}
