/** What a check comes to: one finding each, in words for a person and in stable keys for a script. Pure. */

/** `problem`: the main job (create, send, wait) would fail. */
export type Level = "ok" | "note" | "warning" | "problem";

/** Worst first, as they are printed. */
const LEVELS: readonly Level[] = ["problem", "warning", "note", "ok"];

export interface Fix {
  /** One sentence without a full stop. */
  readonly text: string;
  /** To be run as it stands; null where there is no such command. */
  readonly command: string | null;
  /** Whether `doctor --fix` does it. */
  readonly automatic: boolean;
}

export interface Finding {
  /** Stable name of the check, e.g. `tmux`. */
  readonly check: string;
  readonly level: Level;
  /** What was seen. */
  readonly what: string;
  /** What follows from it, or why it is so; null where that says itself. */
  readonly why: string | null;
  /** Null only where there is nothing to be done. */
  readonly fix: Fix | null;
}

/** Does what a fix with `automatic` promises; returns what it did, for people. */
export type Repair = () => Promise<string>;

/** A finding with the way to repair it, which `fix.automatic` tells of. */
export interface Found extends Finding {
  readonly repair?: Repair;
}

interface Details {
  readonly why?: string;
  /** What to do, or that together with the command that does it. */
  readonly fix?: string | readonly [text: string, command: string];
}

export function ok(check: string, what: string, why: string | null = null): Finding {
  return { check, level: "ok", what, why, fix: null };
}

export function note(check: string, what: string, details: Details = {}): Finding {
  return { check, level: "note", what, why: details.why ?? null, fix: byHand(details.fix) };
}

export function warning(check: string, what: string, details: Details): Finding {
  return { ...note(check, what, details), level: "warning" };
}

export function problem(check: string, what: string, details: Details): Finding {
  return { ...note(check, what, details), level: "problem" };
}

/** The same finding, which `doctor --fix` can repair. */
export function repairable(finding: Finding, text: string, repair: Repair): Found {
  return { ...finding, fix: { text, command: "dev-sessions doctor --fix", automatic: true }, repair };
}

/** Worst first; those of one level in their order. */
export function sorted<T extends Finding>(findings: readonly T[]): T[] {
  return LEVELS.flatMap((level) => findings.filter((finding) => finding.level === level));
}

/** A problem becomes a warning, where the main job can be done without it. */
export function softened<T extends Finding>(finding: T): T {
  return finding.level === "problem" ? { ...finding, level: "warning" } : finding;
}

/** `1 session`, `2 sessions`. */
export function counted(count: number, noun: string): string {
  return `${count} ${noun}${count === 1 ? "" : "s"}`;
}

/** A few names, and how many more there are. */
export function some(names: readonly string[], most = 5): string {
  const rest = names.length - most;
  return names.slice(0, most).join(", ") + (rest > 0 ? ` and ${rest} more` : "");
}

/** As one word of a shell command. */
export function word(text: string): string {
  return /^[\w@%+=:,./~-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

function byHand(fix: Details["fix"]): Fix | null {
  if (fix === undefined) return null;
  const [text, command] = typeof fix === "string" ? [fix, null] : fix;
  return { text, command, automatic: false };
}
