/**
 * The command blocks of README and docs, with what their markers say about how to run them.
 *
 * Above a block may stand a comment, which no rendered page shows:
 *
 *     <!-- run ids=fizz-top,riven-jg code=5
 *     dev-sessions create -q --id zed-mid
 *     -->
 *
 * Its first line has settings, the lines below are run in the block's own shell before it.
 */

import { join } from "node:path";

export const CHECKOUT = join(import.meta.dirname ?? "", "..", "..");

export interface DocBlock {
  /** `docs/events.md` */
  readonly page: string;
  /** Of its first line of text, counted from 1. */
  readonly line: number;
  readonly kind: "sh" | "console";
  readonly shell: "bash" | "zsh" | "fish";
  readonly text: string;
  /** `real`: Claude Code and Codex with scripted models, else the stubs. */
  readonly agents: "stub" | "real";
  /** Names for the sessions that it creates, in their order; those that a console block prints otherwise. */
  readonly ids: readonly string[];
  /** What a `sh` block ends with. */
  readonly code: number;
  /** Where it runs; `~` is the home folder. */
  readonly folder: string;
  /** It runs for ever: it is interrupted when its output has this. */
  readonly stop: string | null;
  /** Its lines may come in any order. */
  readonly anyOrder: boolean;
  /** Numbers may be others, such as those of tokens. */
  readonly anyNumbers: boolean;
  /** Shell commands that come before it. */
  readonly before: string;
}

const KEYS = new Set(["agents", "ids", "code", "in", "stop", "order", "numbers"]);
/** What runs a block of that language. */
const SHELLS: Readonly<Record<string, DocBlock["shell"]>> = {
  sh: "bash",
  console: "bash",
  bash: "bash",
  zsh: "zsh",
  fish: "fish",
};
const PART = /^(?:<!-- run( [^\n]*?)?(?: -->|\n([\s\S]*?)^-->)\n\n?)?^```([^\n]*)\n([\s\S]*?)^```$/gm;

/** README, CONTRIBUTING and docs/*.md, by path. */
export async function readPages(): Promise<Map<string, string>> {
  const names = ["README.md", "CONTRIBUTING.md"];
  for await (const { name } of Deno.readDir(join(CHECKOUT, "docs"))) {
    if (name.endsWith(".md")) names.push(`docs/${name}`);
  }
  const pages = new Map<string, string>();
  for (const name of names.sort()) {
    const text = await Deno.readTextFile(join(CHECKOUT, name)).catch((error) => {
      if (error instanceof Deno.errors.NotFound) return null;
      throw error;
    });
    if (text !== null) pages.set(name, text);
  }
  return pages;
}

/** Every block of the page that a reader may copy into a shell. @throws Error for a marker that is wrong or lost. */
export function docBlocks(page: string, text: string): DocBlock[] {
  const blocks: DocBlock[] = [];
  let markers = 0;
  for (const found of text.matchAll(PART)) {
    const [whole, settings, before = "", kind = "", body = ""] = found;
    const marked = whole.startsWith("<!--");
    if (marked) markers++;
    const line = text.slice(0, found.index + whole.lastIndexOf(`\`\`\`${kind}\n${body}`)).split("\n").length +
      1;
    const shell = SHELLS[kind];
    if (shell === undefined) {
      if (marked) throw new Error(`${page}:${line}: a marker above a block of ${kind || "no language"}`);
      if (/^(?:\$ )?(?:dev-sessions|deno|sh|curl|npx) /m.test(body)) {
        throw new Error(
          `${page}:${line}: commands in a block of ${kind || "no language"}: say sh or console`,
        );
      }
      continue;
    }
    const at = `${page}:${line}`;
    const given = settingsOf(settings ?? "", at);
    const ids = given.get("ids")?.split(",") ??
      [...body.matchAll(/^Created session (\S+)$/gm)].map(([, id]) => id ?? "");
    blocks.push({
      page,
      line,
      kind: kind === "console" ? "console" : "sh",
      shell,
      text: body,
      agents: given.get("agents") === "real" ? "real" : "stub",
      ids,
      code: Number(given.get("code") ?? 0),
      folder: given.get("in") ?? "~/src/api",
      stop: given.get("stop") ?? null,
      anyOrder: given.get("order") === "any",
      anyNumbers: given.get("numbers") === "any",
      before,
    });
  }
  const written = [...text.replace(/^```[\s\S]*?^```$/gm, "").matchAll(/^<!-- run\b/gm)].length;
  if (written !== markers) throw new Error(`${page}: ${written - markers} marker(s) stand above no block`);
  return blocks;
}

function settingsOf(text: string, at: string): Map<string, string> {
  const settings = new Map<string, string>();
  for (const [, key = "", quoted, plain] of text.matchAll(/(\S+?)=(?:"([^"]*)"|(\S+))/g)) {
    if (!KEYS.has(key)) throw new Error(`${at}: no setting "${key}"; there are ${[...KEYS].join(", ")}`);
    settings.set(key, quoted ?? plain ?? "");
  }
  return settings;
}

/** A command of a console block, and what stands below it. */
export interface ConsoleStep {
  readonly command: string;
  readonly output: string;
}

/** Commands begin with `$ `; a line that ends in a backslash goes on in the next one. */
export function consoleSteps(text: string): ConsoleStep[] {
  const steps: { command: string; output: string[] }[] = [];
  let open = false;
  for (const line of text.replace(/\n$/, "").split("\n")) {
    const last = steps.at(-1);
    if (line.startsWith("$ ")) {
      steps.push({ command: line.slice(2), output: [] });
    } else if (last === undefined) {
      throw new Error(`A console block begins with output: ${line}`);
    } else if (open) {
      last.command += `\n${line}`;
    } else {
      last.output.push(line);
      continue;
    }
    open = line.endsWith("\\");
  }
  return steps.map(({ command, output }) => ({ command, output: output.join("\n").trimEnd() }));
}

/** What differs from run to run is made the same. */
export function normalised(text: string, root: string | null): string {
  const here = root === null ? text : text.replaceAll(`${root}/home`, "~").replaceAll(root, "/tmp/demo");
  return here
    .replaceAll("/home/ada", "~")
    .replaceAll(/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?Z/g, "TIME")
    .replaceAll(/\be1-[0-9a-f]{8}-/g, "e1-LOG-")
    .replaceAll(/\b\d{19}-\d+\./g, "NANOSECONDS-PID.")
    .replaceAll(/\br-[0-9a-f]{8,}\b/g, "RECEIPT")
    .replaceAll(/\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b/g, "UUID")
    .replaceAll(/\b[0-9a-f]{40}\b/g, "COMMIT")
    .replaceAll(/\b(dst_)?[0-9a-f]{8}(_\S+)?(?=[\s,]|$)/gm, "$1TOKEN")
    .replaceAll(/"ms":[\d.]+/g, '"ms":N')
    // Whichever of the agent's records had it first.
    .replaceAll(/"evidence": "[^"]+"/g, '"evidence": "RECORD"')
    .replaceAll(/(?<=time used: )\d+s\b/g, "Ns")
    .replaceAll(/(?<=\S) {2,}/g, "  ")
    .replaceAll(/-{3,}/g, "--")
    .split("\n").map((line) => line.trimEnd()).join("\n").replace(/^\n+|\n+$/g, "");
}

/** Whether the output is what the page shows, where a line `...` stands for any number of lines, and `...` within one for any text. */
export function fits(shown: string, actual: string): boolean {
  const escaped = shown.split("\n").map((line) =>
    line === "..."
      ? "(?:.*\\n)*?"
      : `${line.replace(/[.*+?^${}()|[\]\\]/g, "\\$&").replaceAll("\\.\\.\\.", ".*")}\\n`
  );
  return new RegExp(`^${escaped.join("")}$`).test(actual === "" && shown !== "" ? "" : `${actual}\n`) ||
    shown === actual;
}
