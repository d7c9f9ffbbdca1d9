/** Measures the bundle and writes one table, to stdout and to `figures.md`; figures are never asserted. */

import { join } from "node:path";
import { CLAUDE_VERSION, CODEX_VERSION, ensureClaude, ensureCodex } from "../tests/support/agent_install.ts";
import { benchCodex } from "./codex.ts";
import { benchCreate } from "./create.ts";
import { benchGateway } from "./gateway.ts";
import { benchList } from "./list.ts";
import { BUNDLE, CHECKOUT, type Figure } from "./measure.ts";
import { benchSend } from "./send.ts";
import { benchSsh } from "./ssh.ts";
import { benchStart } from "./start.ts";
import { benchTranscript } from "./transcript.ts";
import { benchWait } from "./wait.ts";

const BENCHMARKS: Readonly<Record<string, () => Promise<Figure[]>>> = {
  start: benchStart,
  list: benchList,
  transcript: benchTranscript,
  wait: benchWait,
  send: benchSend,
  create: benchCreate,
  codex: benchCodex,
  gateway: benchGateway,
  ssh: benchSsh,
};
const FIGURES = join(CHECKOUT, "bench", "figures.md");

function write(stream: typeof Deno.stdout, text: string): void {
  const bytes = new TextEncoder().encode(text);
  for (let written = 0; written < bytes.length;) written += stream.writeSync(bytes.subarray(written));
}

function shown(value: number, unit: Figure["unit"]): string {
  const digits = unit === "" || unit === "/s" ? 0 : 1;
  return `${value.toFixed(digits)}${unit === "" ? "" : ` ${unit}`}`;
}

function table(figures: readonly Figure[]): string {
  const rows = figures.map(({ what, value, unit, goal, spread, n }) => [
    what,
    shown(value, unit),
    ...(spread === null ? ["", ""] : spread.map((one) => shown(one, unit))),
    goal === null ? "" : unit === "" ? String(goal) : `${goal} ${unit}`,
    goal === null ? "" : (unit === "/s" ? value >= goal : value <= goal) ? "yes" : "**no**",
    String(n),
  ]);
  const all = [["what", "median", "best", "p90", "goal", "met", "n"], ...rows];
  const widths = all[0]!.map((_, column) => Math.max(...all.map((row) => row[column]!.length)));
  const line = (row: readonly string[]) =>
    `| ${
      row.map((cell, column) => column === 0 ? cell.padEnd(widths[0]!) : cell.padStart(widths[column]!)).join(
        " | ",
      )
    } |`;
  const rule = `| ${
    widths.map((width, column) => column === 0 ? "-".repeat(width) : `${"-".repeat(width - 1)}:`).join(" | ")
  } |`;
  return [line(all[0]!), rule, ...all.slice(1).map(line)].join("\n");
}

async function version(program: string, args: readonly string[]): Promise<string> {
  const { stdout } = await new Deno.Command(program, { args: [...args], stdin: "null" }).output();
  return new TextDecoder().decode(stdout).trim().split("\n")[0] ?? "";
}

async function machine(): Promise<string> {
  const cpu = /^model name\s*:\s*(.*)$/m.exec(await Deno.readTextFile("/proc/cpuinfo"))?.[1] ?? "unknown CPU";
  const memory = Math.round(Deno.systemMemoryInfo().total / 1024 ** 3);
  const release = /^PRETTY_NAME="?([^"\n]*)/m.exec(await Deno.readTextFile("/etc/os-release"))?.[1] ??
    "Linux";
  return `${release}, Linux ${Deno.osRelease()}, ${navigator.hardwareConcurrency} cores (${cpu}), ${memory} GB`;
}

const wanted = Deno.args.length === 0 ? Object.keys(BENCHMARKS) : Deno.args;
const unknown = wanted.filter((name) => !Object.hasOwn(BENCHMARKS, name));
if (unknown.length > 0) {
  write(
    Deno.stderr,
    `There is no benchmark ${unknown.join(", ")}; there are: ${Object.keys(BENCHMARKS).join(", ")}\n`,
  );
  Deno.exit(2);
}
if (wanted.includes("send")) await ensureClaude();
if (wanted.includes("codex")) await ensureCodex();
await Deno.stat(BUNDLE);

const before = Deno.loadavg()[0] ?? 0;
const figures: Figure[] = [];
for (const name of wanted) {
  write(Deno.stderr, `${name} ...\n`);
  figures.push(...await BENCHMARKS[name]!());
}
const page = `# Figures

Measured by \`deno task bench\` on ${
  new Date().toISOString().slice(0, 10)
}, not asserted anywhere. Every command is the bundle, run by
\`deno run -A dist/main.js\`, from the start of its process to its exit. Machines differ, and so do the hours of one:
hold each time against that of the empty program in the same run.

- Machine: ${await machine()}; load of other programs before the start: ${before.toFixed(2)}
- Versions: deno ${Deno.version.deno}, ${await version("tmux", [
  "-V",
])}, Claude Code ${CLAUDE_VERSION}, Codex ${CODEX_VERSION}

${table(figures)}
`;
write(Deno.stdout, `\n${page}`);
if (Deno.args.length === 0) await Deno.writeTextFile(FIGURES, page);
