/** What ssh says, as OpenSSH 9.2 says it, becomes an error with a way out; what is noise is not shown. */

import { match, ok, strictEqual } from "node:assert/strict";
import {
  brokenConnection,
  connectFailure,
  inFewWords,
  meaningfulLines,
} from "../../../gateway/ssh/failures.ts";
import { CarrierError } from "../../../gateway/carrier.ts";

const CHANGED = `@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @
@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@
IT IS POSSIBLE THAT SOMEONE IS DOING SOMETHING NASTY!
Offending ED25519 key in /root/.ssh/known_hosts:3
Host key for box has changed and you have requested strict checking.
Host key verification failed.`;

interface Row {
  readonly stderr: string;
  readonly message: RegExp;
  readonly hopeless: boolean;
}

const ROWS: readonly Row[] = [
  {
    stderr: "ssh: connect to host 10.0.0.1 port 22: Connection refused",
    message:
      /^SSH transport failure talking to me@box: connect to host 10\.0\.0\.1 port 22: Connection refused\. Does sshd run there/,
    hopeless: false,
  },
  {
    stderr: "ssh: Could not resolve hostname nope: Name or service not known",
    message: /: Could not resolve hostname nope: Name or service not known\. Check the name/,
    hopeless: false,
  },
  {
    stderr: "ssh: connect to host 10.0.0.1 port 22: Connection timed out",
    message: /Connection timed out\. Is it up/,
    hopeless: false,
  },
  {
    stderr: "ssh: connect to host 10.0.0.1 port 22: No route to host",
    message: /No route to host\. Is it up/,
    hopeless: false,
  },
  {
    stderr: "Connection timed out during banner exchange\nConnection to 10.0.0.1 port 22 timed out",
    message: /Connection timed out during banner exchange\. Is it up/,
    hopeless: false,
  },
  {
    stderr: "me@box: Permission denied (publickey).",
    message:
      /: me@box: Permission denied \(publickey\)\. It must let you in without a question; see with: ssh -o BatchMode=yes me@box true$/,
    hopeless: false,
  },
  {
    stderr: CHANGED,
    message:
      /REMOTE HOST IDENTIFICATION HAS CHANGED\. The host has another key .* ssh-keygen -f '\/root\/\.ssh\/known_hosts' -R 'box'; else someone/,
    hopeless: true,
  },
  {
    stderr: CHANGED.replace("for box has", "for [10.0.0.1]:2222 has").replace("/root/.ssh/", "/my keys/"),
    message: /with: ssh-keygen -f '\/my keys\/known_hosts' -R '\[10\.0\.0\.1\]:2222'; else/,
    hopeless: true,
  },
  {
    stderr: "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @",
    message: /with: ssh-keygen -R 'box'; else/,
    hopeless: true,
  },
  {
    stderr: "ssh: connect to host 10.0.0.1 port 22: Network is down",
    message: /Network is down\. Is it up/,
    hopeless: false,
  },
  {
    stderr: "ssh: something that nobody foresaw",
    message: /something that nobody foresaw\. See with: ssh me@box true/,
    hopeless: false,
  },
  {
    stderr:
      "No ED25519 host key is known for box and you have requested strict checking.\nHost key verification failed.",
    message: /No ED25519 host key is known for box .*accept it by hand, with: ssh me@box$/,
    hopeless: false,
  },
  {
    stderr:
      "/root/.ssh/config: line 1: Bad configuration option: foo\n/root/.ssh/config: terminating, 1 bad configuration options",
    message: /Bad configuration option: foo\. Correct your configuration of ssh/,
    hopeless: true,
  },
  {
    stderr:
      "kex_exchange_identification: Connection closed by remote host\nConnection closed by 10.0.0.1 port 22",
    message: /kex_exchange_identification: Connection closed by remote host\. Try again/,
    hopeless: false,
  },
  { stderr: "", message: /ssh gave no reason\. See with: ssh me@box true/, hopeless: false },
];

Deno.test("every way in which ssh fails names the host, ssh's words and what helps", () => {
  for (const { stderr, message, hopeless } of ROWS) {
    const error = connectFailure({ host: "me@box", remoteBin: null }, {
      code: 255,
      stderr: `${stderr}\n`,
      printed: null,
    });
    ok(error instanceof CarrierError, stderr);
    match(error.message, message);
    strictEqual(error.code, "transport");
    strictEqual(error.told.unsent, true);
    strictEqual(error.told.hopeless, hopeless, stderr);
  }
});

Deno.test("what did not start there is no failure of the transport", () => {
  const at = (code: number | null, stderr: string, remoteBin: string | null = null) =>
    connectFailure({ host: "box", remoteBin }, { code, stderr, printed: "Welcome" });
  strictEqual(
    at(127, "sh: 1: exec: dev-sessions: not found", "my bin").message,
    "dev-sessions not found on box (tried 'my bin' via a login shell). Install it there, or set " +
      "DEV_SESSIONS_REMOTE_BIN to the command that starts it there; a session that was created with this one keeps " +
      "it: for that, make a link of its name there",
  );
  match(at(127, "").message, /set DEV_SESSIONS_REMOTE_BIN to the command that starts it there$/);
  strictEqual(at(127, "").code, "failure");
  match(at(126, "").message, /can't be executed there/);
  match(
    at(1, "error: unknown command 'rpc'").message,
    /It is an earlier version of dev-sessions\. Upgrade it there/,
  );
  match(at(3, "boom").message, /'dev-sessions rpc' ended with exit code 3 before/);
  strictEqual(at(3, "boom").detail, "Welcome\nboom");
  strictEqual(at(null, "").code, "transport");
});

Deno.test("noise of shared connections is not shown", () => {
  const noise = [
    "ControlSocket /h/.dev-sessions/ssh/abc already exists, disabling multiplexing",
    "Warning: Permanently added 'box' (ED25519) to the list of known hosts.",
    "Shared connection to box closed.",
    "Connection to 10.0.0.1 closed.",
    "mux_client_request_session: read from master failed: Broken pipe",
    "Control socket connect(/h/x): Connection refused",
  ];
  strictEqual(meaningfulLines(noise.join("\r\n")).length, 0);
  const broken = brokenConnection("box", { stderr: noise.join("\n") });
  strictEqual(broken.message, "SSH transport failure talking to box: the connection has ended. Try again");
  strictEqual(broken.told.unsent, false);
  match(
    brokenConnection("box", { stderr: "Timeout, server box not responding." }).message,
    /Timeout, server box not responding/,
  );
  strictEqual(inFewWords(broken), "the connection has ended");
});
