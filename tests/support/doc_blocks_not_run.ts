/** The blocks of README and docs that no test runs: page, first line, and why. */

export const NOT_RUN: Readonly<Record<string, Readonly<Record<string, string>>>> = {
};
