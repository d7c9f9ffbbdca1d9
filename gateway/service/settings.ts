/** What a service was installed with, read from its definition, and what of that stays when it is installed again. Pure. */

import type { Written } from "./definition.ts";

/** As the options of `gateway` have it. */
export interface Settings {
  /** Null: it is not named. */
  readonly port: number | null;
  readonly binds: readonly string[];
  readonly insecureBind: boolean;
  readonly allowHosts: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Further words, put there by somebody else or by a later version. */
  readonly unknown: readonly string[];
}

/** What the user wants; null, or not named: as the earlier service has it. */
export interface Wanted {
  readonly port: number | null;
  /** Where neither the user nor an earlier service names one. */
  readonly usualPort: number;
  readonly binds: readonly string[] | null;
  readonly insecureBind: boolean;
  readonly allowHosts: readonly string[] | null;
}

export interface Settled {
  readonly port: number;
  /** Further options of `gateway`, as it takes them. */
  readonly options: readonly string[];
  /** What was taken over, as options of `gateway install`. */
  readonly kept: readonly string[];
}

/** Null: it runs no gateway. */
export function settingsIn({ command, env }: Written): Settings | null {
  const begin = command.findIndex((word, index) =>
    word === "gateway" && (command[index + 1] ?? "--").startsWith("--")
  );
  if (begin === -1) return null;
  let port: number | null = null;
  let insecureBind = false;
  const binds: string[] = [];
  const allowHosts: string[] = [];
  const unknown: string[] = [];
  const words = command.slice(begin + 1);
  for (let index = 0; index < words.length; index++) {
    const word = words[index]!;
    const [, name = word, attached = null] = /^(--[a-z-]+)=(.*)$/s.exec(word) ?? [];
    const value = () => attached ?? words[++index] ?? "";
    switch (name) {
      case "--port":
        port = portOf(value());
        break;
      case "--bind":
        binds.push(value());
        break;
      case "--allow-host":
        allowHosts.push(value());
        break;
      case "--insecure-bind":
        insecureBind = true;
        break;
      default:
        unknown.push(word);
    }
  }
  return { port, binds, insecureBind, allowHosts, env, unknown };
}

function portOf(text: string): number | null {
  const port = /^\d{1,5}$/.test(text) ? Number(text) : 0;
  return port >= 1 && port <= 65_535 ? port : null;
}

/** Each option that is given replaces what the earlier service has of it. */
export function settle(wanted: Wanted, earlier: Settings | null): Settled {
  const keepsBinds = wanted.binds === null;
  const binds = wanted.binds ?? earlier?.binds ?? [];
  const keptInsecure = keepsBinds && earlier?.insecureBind === true;
  const allowHosts = wanted.allowHosts ?? earlier?.allowHosts ?? [];
  const port = wanted.port ?? earlier?.port ?? wanted.usualPort;
  const bindOptions = binds.flatMap((one) => ["--bind", one]);
  const hostOptions = allowHosts.flatMap((name) => ["--allow-host", name]);
  const insecure = wanted.insecureBind || keptInsecure ? ["--insecure-bind"] : [];
  return {
    port,
    options: [...bindOptions, ...hostOptions, ...insecure],
    kept: [
      ...(wanted.port === null && port !== wanted.usualPort ? ["--port", String(port)] : []),
      ...(keepsBinds ? bindOptions : []),
      ...(keptInsecure && !wanted.insecureBind ? insecure : []),
      ...(wanted.allowHosts === null ? hostOptions : []),
    ],
  };
}
