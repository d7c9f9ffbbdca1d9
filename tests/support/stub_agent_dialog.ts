/** The stub agent's menus: which keys they take, what they look like, what was chosen; no effects but `onDone`. */

import type { InputEvent } from "./stub_agent_input.ts";

export type Choice = { readonly index: number; readonly text: string | null } | null;

export interface MenuSpec {
  readonly heading: readonly string[];
  readonly options: readonly string[];
  readonly footer: string;
  /** Numbered options answer to digits. */
  readonly numbered: boolean;
  /** Index of the option that asks for a text of its own. */
  readonly freeText?: number;
}

export class Menu {
  #selected = 0;
  #text: string | null = null;

  constructor(readonly spec: MenuSpec, readonly onDone: (choice: Choice) => void) {}

  lines(): string[] {
    const { heading, options, footer, numbered, freeText } = this.spec;
    return [
      ...heading,
      ...options.map((option, i) => {
        const label = i === freeText && this.#text !== null ? this.#text : option;
        return ` ${i === this.#selected ? "❯" : " "} ${numbered ? `${i + 1}. ` : ""}${label}`;
      }),
      "",
      ` ${footer}`,
    ];
  }

  /** Pastes and several characters at once are ignored, as the real dialogs do. */
  take(event: InputEvent): void {
    if (event.kind === "paste") return;
    if (event.kind === "key") return this.#key(event.key);
    if (this.#text !== null) {
      this.#text += event.text;
      return;
    }
    if (!this.spec.numbered || !/^[1-9]$/.test(event.text)) return;
    const index = Number(event.text) - 1;
    if (index >= this.spec.options.length) return;
    this.#selected = index;
    this.#pick();
  }

  #key(key: Extract<InputEvent, { kind: "key" }>["key"]): void {
    const last = this.spec.options.length - 1;
    if (key === "escape") this.onDone(null);
    else if (key === "up") this.#selected = this.#selected === 0 ? last : this.#selected - 1;
    else if (key === "down") this.#selected = this.#selected === last ? 0 : this.#selected + 1;
    else if (key === "enter") this.#pick();
  }

  #pick(): void {
    if (this.#selected === this.spec.freeText && !this.#text) {
      this.#text = "";
      return;
    }
    this.onDone({ index: this.#selected, text: this.#text });
  }
}

const COMMAND_OPTIONS = ["Yes", "Yes, and always allow it from this project", "No"];

export const commandMenu = (command: string): MenuSpec => ({
  heading: [" Bash command", " Run a scripted command", "", ` ${command}`, "", " Do you want to proceed?"],
  options: COMMAND_OPTIONS,
  footer: "Esc to cancel · Tab to amend",
  numbered: true,
});

export const questionMenu = (question: string, labels: readonly string[]): MenuSpec => ({
  heading: ["", question, ""],
  options: [...labels, "Type something."],
  footer: "Enter to select · Tab/Arrow keys to navigate · Esc to cancel",
  numbered: true,
  freeText: labels.length,
});

export const planMenu = (plan: string): MenuSpec => ({
  heading: [" Exit plan mode?", "", ...plan.split("\n")],
  options: ["Yes", "No"],
  footer: "Esc to cancel",
  numbered: true,
});

export const trustMenu = (folder: string): MenuSpec => ({
  heading: [
    " Accessing workspace:",
    "",
    ` ${folder}`,
    "",
    " Quick safety check: Is this a project you created or one you trust?",
    "",
    " Claude Code'll be able to read, edit, and execute files here.",
    "",
  ],
  options: ["No, exit", "Yes, I trust this folder"],
  footer: "Enter to confirm · Esc to cancel",
  numbered: false,
});

export const BYPASS_MENU: MenuSpec = {
  heading: [
    "  WARNING: Claude Code running in Bypass Permissions mode",
    "",
    "  By proceeding, you accept all responsibility for actions taken while running in Bypass Permissions mode.",
    "",
  ],
  options: ["No, exit", "Yes, I accept"],
  footer: "Enter to confirm · Esc to cancel",
  numbered: false,
};

export const LOGIN_MENU: MenuSpec = {
  heading: [" Select login method:", ""],
  options: ["Claude account with subscription", "Anthropic Console account"],
  footer: "",
  numbered: true,
};

export const UNKNOWN_MENU: MenuSpec = {
  heading: [" A dialog that nobody has seen before", "", " It wants something before it goes on.", ""],
  options: ["Later", "Now"],
  footer: "Enter to confirm",
  numbered: true,
};

export const REWIND_MENU: MenuSpec = {
  heading: [" Rewind", "", " Restore the code and/or conversation to the point before…", ""],
  options: ["(current)"],
  footer: "Enter to continue · Esc to exit",
  numbered: false,
};

export const MODEL_MENU: MenuSpec = {
  heading: [" Select model", ""],
  options: ["Default", "Other"],
  footer: "Enter to confirm · Esc to exit",
  numbered: true,
};
