/** What the shells' completion scripts ask: what fits under the cursor. Never fails, never changes anything. */

import type { Deps } from "../../deps.ts";
import { pathsFrom } from "../../paths.ts";
import { peekSessions, type SeenSession } from "../../store/peek.ts";
import { oneLine } from "../output.ts";
import { type Fit, type Fitting, fittingOf } from "./fitting.ts";
import { splitLine } from "./shell_line.ts";
import { placeOf, type VerbTable } from "./tree.ts";
import type { Word } from "./types.ts";

/** Of a description, shown beside an id. */
const MAX_BRIEF_LENGTH = 60;
/** Verbs for sessions that have ended. */
const FOR_ENDED = new Set(["resume", "prune"]);
/** Verbs that also say something of sessions that have ended; those are offered where no live one fits. */
const FOR_ALL = new Set(["last-message", "logs", "events", "inspect", "usage", "status", "wait"]);
const NOTHING: Fit = { fitting: { kind: "nothing" }, prefix: "" };
const HELP: Word = { value: "help", brief: "Explain a command, or: help exit-codes" };
const OPTIONS: readonly Word[] = [
  { value: "--help", brief: "Print help" },
  { value: "--version", brief: "Print the version" },
];

/**
 * Lines for the script of the shell: `words`, `files`, `folders` or `nothing`, then the words, each with a tab and its
 * description where the shell shows those. Null when nothing can be said.
 *
 * @param argv `zsh` or `fish` and the words up to the cursor, the last one unfinished; or `bash`, the line up to the
 * cursor and the part of the last word that bash would replace.
 */
export async function complete(
  argv: readonly string[],
  verbs: VerbTable,
  deps: Pick<Deps, "env">,
): Promise<string | null> {
  try {
    const [shell = "", ...rest] = argv;
    const { words, partial } = shell === "bash" ? lineOf(rest[0] ?? "") : {
      words: rest.slice(0, -1),
      partial: rest.at(-1) ?? "",
    };
    const { fitting, prefix } = await fitAt(words, partial, verbs);
    if (fitting.kind === "files" || fitting.kind === "folders" || fitting.kind === "nothing") {
      return fitting.kind;
    }
    const typed = partial.slice(prefix.length);
    const found = wordsOf(fitting, typed, words[0] ?? "", deps);
    if (shell === "bash") {
      const kept = partial.length - (partial.endsWith(rest[1] ?? "") ? rest[1]?.length ?? 0 : partial.length);
      const whole = found.map(({ value }) => prefix + value).filter((value) => value.startsWith(partial));
      return ["words", ...whole.map((value) => value.slice(kept))].join("\n");
    }
    // zsh has set the prefix aside, fish replaces the whole word.
    const before = shell === "fish" ? prefix : "";
    return ["words", ...found.map(({ value, brief }) => `${before}${value}\t${brief}`)].join("\n");
  } catch {
    return null;
  }
}

function lineOf(line: string) {
  const { words, partial } = splitLine(line);
  return { words: words.slice(1), partial };
}

async function fitAt(words: readonly string[], partial: string, verbs: VerbTable): Promise<Fit> {
  const isOption = partial.startsWith("-");
  if (words.length === 0) {
    const first = isOption ? OPTIONS : [...(await placeOf([], verbs)).next, HELP];
    return { fitting: { kind: "words", words: first }, prefix: "" };
  }
  if (words[0] === "help") return { fitting: await helpTopics(words.slice(1), verbs), prefix: "" };
  const { next, verb } = await placeOf(words, verbs);
  const own = verb === null ? NOTHING : fittingOf(verb.words, partial, verb.parameters);
  if (isOption || next.length === 0) return own;
  const others = own.fitting.kind === "words" ? own.fitting.words : [];
  return { fitting: { kind: "words", words: [...next, ...others] }, prefix: "" };
}

async function helpTopics(topics: readonly string[], verbs: VerbTable): Promise<Fitting> {
  const { next } = await placeOf(topics, verbs);
  if (next.length === 0) return { kind: "nothing" };
  const codes = topics.length === 0 ? [{ value: "exit-codes", brief: "What the exit codes mean" }] : [];
  return { kind: "words", words: [...next, ...codes] };
}

function wordsOf(
  fitting: Extract<Fitting, { kind: "words" | "sessions" | "groups" }>,
  typed: string,
  verb: string,
  { env }: Pick<Deps, "env">,
): readonly Word[] {
  if (fitting.kind === "words") return fitting.words;
  const all = peekSessions(pathsFrom(env));
  if (fitting.kind === "groups") return groupsOf(all, "");
  const asked = all.filter(({ id }) => !fitting.except.includes(id));
  const live = sessionWords(asked.filter(({ ended }) => !ended), fitting.groups);
  const ended = () => sessionWords(asked.filter((one) => one.ended), fitting.groups);
  if (FOR_ENDED.has(verb)) return ended();
  const fits = live.some(({ value }) => value.startsWith(typed));
  return FOR_ALL.has(verb) && !fits ? ended() : live;
}

function sessionWords(sessions: readonly SeenSession[], groups: boolean): Word[] {
  const ids = sessions.map(({ id, description, path }) => ({ value: id, brief: short(description ?? path) }));
  return groups ? [...ids, ...groupsOf(sessions, "@")] : ids;
}

function groupsOf(sessions: readonly SeenSession[], mark: "@" | ""): Word[] {
  const counts = new Map<string, number>();
  for (const { group } of sessions) if (group !== null) counts.set(group, (counts.get(group) ?? 0) + 1);
  return [...counts].map(([group, count]) => ({
    value: `${mark}${group}`,
    brief: `${count} session${count === 1 ? "" : "s"}`,
  }));
}

function short(text: string): string {
  const line = oneLine(text);
  return line.length <= MAX_BRIEF_LENGTH ? line : `${line.slice(0, MAX_BRIEF_LENGTH - 3)}...`;
}
