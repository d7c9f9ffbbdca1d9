/** What the scripted model reads in a request and answers to it; pure but for fresh ids. */

export type Block =
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "tool_use"; readonly id: string; readonly name: string; readonly input: unknown };

export interface Reply {
  readonly blocks: readonly Block[];
  readonly stop: string;
  /** Held here before the headers. */
  readonly gate?: string;
  /** Held here after the first half of the text. */
  readonly streamGate?: string;
  readonly headerDelayMs?: number;
  readonly streamMs?: number;
  readonly status?: number;
  readonly streamError?: boolean;
}

export interface Body {
  readonly model?: string;
  readonly stream?: boolean;
  readonly system?: unknown;
  readonly metadata?: { readonly user_id?: string };
  readonly tools?: readonly { readonly name?: string }[];
  readonly messages?: readonly Incoming[];
}
export interface Incoming {
  readonly role: string;
  readonly content: string | readonly { readonly type: string; readonly text?: string }[];
}

export const STREAM_CHUNKS = 20;
const PROMPT_START_CHARS = 200;
const REMINDER = /<system-reminder>[\s\S]*?<\/system-reminder>\n?/g;
const INTERRUPT_LINE = /^\[Request interrupted by user[^\]]*\]\n?$/;
/** Stands for the result of an interrupted tool when the queue's next turn begins before Claude has written it. */
const MISSING_RESULT = "[Tool result missing due to internal error]";
/** How Claude Code hands over what a person sent during a turn. */
const ABSORBED =
  /^The user sent a new message while you were working:\n([\s\S]*?)\n\nThis is how Claude Code/;
const ONE_QUESTION = {
  question: "Which colour?",
  header: "Colour",
  multiSelect: false,
  options: [{ label: "Red", description: "warm" }, { label: "Blue", description: "cold" }],
};
const TWO_QUESTIONS = [ONE_QUESTION, {
  question: "Which toppings?",
  header: "Toppings",
  multiSelect: true,
  options: ["Ham", "Olives", "Corn"].map((label) => ({ label, description: label.toLowerCase() })),
}];

let counter = 0;
export function newId(prefix: string): string {
  counter++;
  return `${prefix}_${String(counter).padStart(6, "0")}${
    crypto.randomUUID().replaceAll("-", "").slice(0, 16)
  }`;
}

/** The texts that people wrote in this message. */
function personTexts(message: Incoming): string[] {
  if (message.role !== "user") return [];
  const blocks = typeof message.content === "string"
    ? [message.content]
    : message.content.flatMap((block) => block.type === "text" ? [block.text ?? ""] : []);
  const afterTool = typeof message.content !== "string" &&
    message.content.some((block) => block.type === "tool_result");
  // Otherwise text behind a tool's result is Claude Code's own.
  let ownWords = !afterTool || JSON.stringify(message.content).includes(MISSING_RESULT);
  const texts = blocks.flatMap((block) => {
    const text = block.replace(REMINDER, "");
    if (text !== block && text.trim() === "") return [];
    const absorbed = ABSORBED.exec(text)?.[1];
    if (absorbed !== undefined) return [absorbed];
    if (INTERRUPT_LINE.test(text)) {
      // What follows a tool that a person stopped is the next prompt.
      ownWords = true;
      return [];
    }
    return ownWords ? [text] : [];
  });
  // Claude Code joins user messages that follow each other and ends all but the last with a newline.
  return texts.map((text, i) => i < texts.length - 1 && text.endsWith("\n") ? text.slice(0, -1) : text);
}

export interface Newest {
  readonly texts: readonly string[];
  /** Tool results since then. */
  readonly rounds: number;
  /** Of the message. */
  readonly index: number;
}

/** The newest message with a person's text. */
export function newestTexts(messages: readonly Incoming[]): Newest {
  let rounds = 0;
  for (let index = messages.length - 1; index >= 0; index--) {
    const message = messages[index];
    if (message === undefined) continue;
    const texts = personTexts(message);
    if (texts.length > 0) return { texts, rounds, index };
    const { content } = message;
    if (typeof content !== "string" && content.some((block) => block.type === "tool_result")) rounds++;
  }
  return { texts: [], rounds, index: -1 };
}

function directiveOf(text: string): { verb: string; args: string } {
  const found = [...text.matchAll(/SCRIPT:(\w+)(?: ([^\n]*))?/g)].at(-1);
  return { verb: found?.[1] ?? "", args: found?.[2] ?? "" };
}

export const say = (text: string, stop = "end_turn"): Reply => ({ blocks: [{ type: "text", text }], stop });
const use = (name: string, input: unknown, before?: string): Reply => ({
  blocks: [
    ...(before === undefined ? [] : [{ type: "text" as const, text: before }]),
    { type: "tool_use", id: newId("toolu"), name, input },
  ],
  stop: "tool_use",
});
const useAll = (name: string, inputs: readonly unknown[]): Reply => ({
  blocks: inputs.map((input) => ({ type: "tool_use", id: newId("toolu"), name, input })),
  stop: "tool_use",
});
const bash = (command: string, extra: Record<string, unknown> = {}) => ({
  command,
  description: "Run a scripted command",
  ...extra,
});

/** What the script answers. `rounds` counts the tool results since the prompt; pure but for fresh ids. */
export function replyTo(
  prompt: string,
  rounds: number,
  toolNames: readonly string[],
  lastMessage: unknown,
): Reply {
  const { verb, args } = directiveOf(prompt);
  const [first = "", ...others] = args.split(" ");
  const rest = others.join(" ");
  const seconds = Number(first) || 0;
  const agentTool = toolNames.includes("Agent") ? "Agent" : "Task";
  const task = (script: string, background: boolean) => ({
    description: "scripted task",
    prompt: (script || "plain hello").replace(/^(\w+)/, "SCRIPT:$1"),
    subagent_type: "general-purpose",
    run_in_background: background,
  });
  const delegate = (background: boolean) => use(agentTool, task(args, background));
  const afterTool = say(`DONE after tool: ${JSON.stringify(lastMessage).slice(0, PROMPT_START_CHARS)}`);
  const errorStatus = /^err(\d{3})$/.exec(verb)?.[1];
  if (errorStatus !== undefined) return { ...say(""), status: Number(errorStatus) };
  if (verb === "multi") {
    return rounds < seconds
      ? use("Bash", bash(`sleep ${rest || 0}; echo round ${rounds + 1}`), `round ${rounds + 1}`)
      : say(`REPLY: ${rounds} rounds done`);
  }
  if (verb === "toolgate") {
    return rounds === 0
      ? use("Bash", bash(rest || "true"), "A command first.")
      : { ...say(`REPLY: gate ${first} opened after the tool`), gate: first };
  }
  if (verb === "gatetool") {
    return rounds === 0 ? { ...use("Bash", bash(rest || "true")), gate: first } : afterTool;
  }
  if (rounds > 0 && verb !== "plain" && verb !== "") return afterTool;
  switch (verb) {
    case "plain":
      return say(`REPLY: ${args} [length ${prompt.length}]`);
    case "slow":
      return {
        ...say(Array.from({ length: STREAM_CHUNKS }, (_, i) => `slow${i} `).join("")),
        streamMs: seconds * 1000,
      };
    case "hang":
      return { ...say("REPLY: after the hang"), headerDelayMs: seconds * 1000 };
    case "gate":
      return { ...say(`REPLY: gate ${first} opened`), gate: first };
    case "streamgate":
      return { ...say(`REPLY: before gate ${first}; after gate ${first}`), streamGate: first };
    case "bash":
      return use("Bash", bash(args), "I run a command.");
    case "bashes":
      return useAll("Bash", args.split(" && ").map((command) => bash(command)));
    case "reads":
      return useAll("Read", args.split(" && ").map((file_path) => ({ file_path })));
    case "bgbash":
      return use("Bash", bash(args, { run_in_background: true }));
    case "write":
      return use("Write", { file_path: args.trim(), content: "written by the script\n" });
    case "ask":
      return use("AskUserQuestion", { questions: [ONE_QUESTION] });
    case "ask2":
      return use("AskUserQuestion", { questions: TWO_QUESTIONS });
    case "plan":
      return use("ExitPlanMode", { plan: "# Plan\n1. first\n2. second\n" });
    case "agent":
      return delegate(false);
    case "agents":
      return useAll(agentTool, args.split(" && ").map((script) => task(script, false)));
    case "bgagent":
      return delegate(true);
    case "tool":
      return use(first, JSON.parse(rest || "{}"));
    case "long":
      return say(`REPLY: ${Array.from({ length: seconds || 20_000 }, (_, i) => `word${i}`).join(" ")}`);
    case "maxtok":
      return say("REPLY: cut off", "max_tokens");
    case "refuse":
      return say("REPLY: no", "refusal");
    case "sseerr":
      return { ...say(""), streamError: true };
    default:
      return say(`REPLY: ${prompt.trim().slice(0, PROMPT_START_CHARS)} [length ${prompt.length}]`);
  }
}
