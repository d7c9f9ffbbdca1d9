/** `--agent-arg` for Codex: what its own `-c key=value` takes, per thread. Pure. */

import { AppError } from "../../lib/errors.ts";

type Json = string | number | boolean | Json[];

const KEY = /^[A-Za-z0-9_-]+(\.[A-Za-z0-9_.-]+)*$/;

/**
 * `-c key=value`, `--config key=value`, `--config=key=value` or `key=value`, as a setting per key. The value is TOML as
 * far as JSON has the same; anything else is a text, as for Codex itself.
 * @throws AppError (usage) for any other argument.
 */
export function threadConfig(agentArgs: readonly string[]): Record<string, Json> {
  const config: Record<string, Json> = {};
  for (let at = 0; at < agentArgs.length; at++) {
    const argument = agentArgs[at]!;
    const isFlag = argument === "-c" || argument === "--config";
    const setting = isFlag ? agentArgs[++at] ?? "" : argument.replace(/^(--config=|-c(?=[A-Za-z]))/, "");
    const equals = setting.indexOf("=");
    const key = setting.slice(0, Math.max(0, equals)).trim();
    if (!KEY.test(key)) throw unfit(argument, "it is none of Codex's settings");
    config[key] = valueOf(setting.slice(equals + 1).trim(), argument);
  }
  return config;
}

function valueOf(text: string, argument: string): Json {
  if (/^\{/.test(text)) throw unfit(argument, "a table can't be given; set its keys one by one");
  const literal = /^'([^']*)'$/.exec(text)?.[1];
  if (literal !== undefined) return literal;
  try {
    const value: unknown = JSON.parse(text);
    if (isJson(value)) return value;
  } catch {
    // A text without quotes.
  }
  return text;
}

function isJson(value: unknown): value is Json {
  return Array.isArray(value) ? value.every(isJson) : ["string", "number", "boolean"].includes(typeof value);
}

function unfit(argument: string, why: string): AppError {
  return new AppError(
    "usage",
    `Cannot give "${argument}" to Codex: ${why}. Its sessions share one server and take settings only, ` +
      `e.g. --agent-arg model_reasoning_effort=high`,
  );
}
