/** The texts of calls that can't be understood: one line that says what is wrong, one that helps. */

import {
  AliasNotFoundError,
  type ApplicationText,
  ArgumentParseError,
  type Command,
  type CommandContext,
  EnumValidationError,
  FlagNotFoundError,
  text_en,
  UnexpectedFlagError,
  UnexpectedPositionalError,
  UnsatisfiedFlagError,
  UnsatisfiedPositionalError,
} from "@stricli/core";
import { AppError, messageOf } from "../errors.ts";
import { kebabCase } from "./arguments.ts";

/** The parser's texts for one verb; `positionals` is how many arguments the call has. */
export function usageTexts(
  verb: string,
  parameters: Command<CommandContext>["parameters"],
  positionals: number,
): ApplicationText {
  const option = (name: string) => {
    const flag = Object.entries(parameters.flags ?? {}).find(([key]) =>
      kebabCase(key) === name || key === name
    );
    const placeholder = flag?.[1].placeholder;
    return `option '--${name}${placeholder ? ` <${placeholder}>` : ""}'`;
  };
  return {
    ...text_en,
    noCommandRegisteredForInput: ({ input, corrections }) => {
      const kind = input.startsWith("-") ? "option" : "command";
      return `error: unknown ${kind} '${input}'${
        suggestion(corrections.map((one) => one.replaceAll("`", "")))
      }`;
    },
    exceptionWhileParsingArguments: (error) => {
      if (error instanceof ArgumentParseError) return messageAndDetail(error.exception);
      if (error instanceof FlagNotFoundError) {
        return `error: unknown option '--${error.input}'${
          suggestion(error.corrections.map((one) => `--${kebabCase(one)}`))
        }`;
      }
      if (error instanceof AliasNotFoundError) return `error: unknown option '-${error.input}'`;
      if (error instanceof EnumValidationError) {
        const choices = error.values.join(", ");
        return `error: ${
          option(error.externalFlagName)
        } argument '${error.input}' is invalid. Allowed choices are ${choices}.`;
      }
      if (error instanceof UnsatisfiedFlagError) {
        return `error: ${option(error.externalFlagName)} argument missing`;
      }
      if (error instanceof UnexpectedFlagError) {
        return `error: ${option(error.externalFlagName)} given more than once`;
      }
      if (error instanceof UnsatisfiedPositionalError) {
        return `error: missing required argument '${error.placeholder}'`;
      }
      if (error instanceof UnexpectedPositionalError) {
        const expected = `${error.expectedCount} argument${error.expectedCount === 1 ? "" : "s"}`;
        return `error: too many arguments for '${verb}'. Expected ${expected} but got ${positionals}.`;
      }
      return messageAndDetail(error);
    },
  };
}

function suggestion(names: readonly string[]): string {
  if (names.length === 0) return "";
  return `\n(Did you mean ${names.length > 1 ? "one of " : ""}${names.join(", ")}?)`;
}

function messageAndDetail(error: unknown): string {
  const detail = error instanceof AppError ? error.detail : null;
  return detail === null ? messageOf(error) : `${messageOf(error)}\n${detail}`;
}
