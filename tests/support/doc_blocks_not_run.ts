/** The blocks of README and docs that no test runs: page, first line, and why. */

export const NOT_RUN: Readonly<Record<string, Readonly<Record<string, string>>>> = {
  "docs/gateway.md": {
    "docker run -v ~/.dev-sessions/gateway:/run/dev-sessions:ro ...":
      "it needs a container engine, and an image of the reader's",
  },
  "docs/service.md": {
    "$ dev-sessions gateway install": "it needs systemd; tests/hosts/service_test.ts runs it, and compares",
    "$ dev-sessions gateway uninstall": "it needs systemd; tests/hosts/service_test.ts runs it, and compares",
  },
  "docs/containers.md": {
    "(umask 077; dev-sessions gateway token create -q --root ~/proj > ~/proj.token)":
      "it needs a container engine, and an image of the reader's; containers_test.ts does the same",
    "dev-sessions gateway --bind docker": "it needs a container engine; containers_test.ts does the same",
    "docker run --rm -it --add-host host.docker.internal:host-gateway \\":
      "it needs a container engine, and an image of the reader's; containers_test.ts does the same",
  },
  "docs/remote.md": {
    '$ dev-sessions create --host box -p src/api -d "fix the login form" --worktree':
      "it needs another host; tests/hosts/remote_docs_test.ts runs it, and compares",
    'dev-sessions ask camille-jg "Run the tests"':
      "it needs another host; tests/hosts/remote_docs_test.ts runs it",
    'DEV_SESSIONS_REMOTE_BIN="env CODEX_HOME=/srv/codex ~/bin/dev-sessions" dev-sessions create --host box':
      "it needs another host; tests/hosts/remote_docs_test.ts runs it",
  },
  "CONTRIBUTING.md": {
    "deno task ok": "it is a run of the tests, such as this one is part of",
  },
  "docs/building.md": {
    "deno task compile --target x86_64-unknown-linux-gnu --output release":
      "it downloads a runtime; compile_test.ts builds with one that is there, and the block with --stand-in is run",
    "DENORT_BIN=/opt/denort deno task compile --target x86_64-unknown-linux-gnu":
      "there is no such runtime here; compile_test.ts says what becomes of one",
    "deno task test:binary": "it is a run of the tests, such as this one is part of",
  },
};
