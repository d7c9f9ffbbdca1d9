/** Why ssh failed and what to do about it, from its own words. Pure. */

import { AppError } from "../../lib/errors.ts";
import { CarrierError } from "../carrier.ts";
import { type Destination, quote, USUAL_REMOTE_BIN } from "./command.ts";

/** What ssh exits with when the connection failed, whatever the reason. */
export const SSH_FAILED = 255;
const NOT_FOUND = 127;
const NOT_EXECUTABLE = 126;
const SHOWN_LINES = 12;

/** Said by ssh when all is well, or by what shares a connection. */
const NOISE = [
  /^ControlSocket .* already exists, disabling multiplexing/,
  /^Warning: Permanently added /,
  /^(?:Shared c|C)onnection to .* closed\.?$/,
  /^mux_client_request_session: /,
  /^mux_client_hello_exchange: /,
  /^Control socket connect\(.*\): /,
  /^(?:client_loop: )?send disconnect: /,
  /^Pseudo-terminal will not be allocated/,
];

interface Reason {
  readonly said: RegExp;
  /** What helps. */
  readonly way: (host: string, lines: readonly string[]) => string;
  /** May be over before long, for who waits on a host that had let him in; a person must help with the rest. */
  readonly passing: boolean;
}

/** The first one whose words were said. */
const REASONS: readonly Reason[] = [
  {
    said: /REMOTE HOST IDENTIFICATION HAS CHANGED|^Host key for .* has changed/,
    way: (host, lines) =>
      `The host has another key than the one that is known. If it was set up anew, forget the old key with: ` +
      `${forgetKey(host, lines)}; else someone may be in between`,
    passing: false,
  },
  {
    said: /^Host key verification failed|^No .* host key is known for/,
    way: (host) => `Look at its key and accept it by hand, with: ssh ${host}`,
    passing: true,
  },
  {
    said: /Permission denied|Too many authentication failures|no mutual signature/,
    way: (host) => `It must let you in without a question; see with: ssh -o BatchMode=yes ${host} true`,
    passing: true,
  },
  {
    said: /Could not resolve hostname/,
    way: () => "Check the name, or give it an address in ~/.ssh/config",
    passing: true,
  },
  {
    said: /Connection refused/,
    way: () => "Does sshd run there, on that port?",
    passing: true,
  },
  {
    said: /timed out|No route to host|Network is (?:unreachable|down)|Host is down|not responding/i,
    way: () => "Is it up, and reachable from here?",
    passing: true,
  },
  {
    said: /Bad owner or permissions|Bad configuration option|terminating, \d+ bad configuration/,
    way: () => "Correct your configuration of ssh",
    passing: false,
  },
  {
    said: /closed by|reset by peer|Broken pipe|kex_exchange_identification|banner exchange/i,
    way: () => "Try again",
    passing: true,
  },
];

/** What of ssh's stderr means something to people. */
export function meaningfulLines(stderr: string): string[] {
  return stderr.split(/\r?\n|\r/).map((line) => line.trim())
    .filter((line) => line !== "" && !/^@+$/.test(line) && !NOISE.some((noise) => noise.test(line)));
}

export interface Ended {
  /** Null: it was ended by us, or is still there. */
  readonly code: number | null;
  readonly stderr: string;
  /** What came on stdout before dev-sessions had said anything. */
  readonly printed: string | null;
}

/** The host answers, and dev-sessions there can't be started. */
export class NoServerError extends AppError {
  constructor(message: string, detail: string | null) {
    super("failure", message, detail);
  }
}

/** What its dev-sessions does not know may be in the registry that it had before. */
export class OtherRegistryError extends NoServerError {
  constructor(host: string) {
    super(
      `Cannot ask ${host} for it: dev-sessions there has another registry than the one that the session is in. ` +
        "Is the home folder there not mounted, or was it made anew?",
      null,
    );
  }
}

/** Why dev-sessions over there did not answer. */
export function connectFailure(destination: Destination, ended: Ended): AppError {
  const { host, remoteBin } = destination;
  const { code, stderr, printed } = ended;
  const bin = remoteBin ?? USUAL_REMOTE_BIN;
  const lines = meaningfulLines(stderr);
  const detail = [printed, ...lines.slice(-SHOWN_LINES)].filter((line) => line !== null).join("\n") || null;
  switch (code) {
    case null:
      return transportFailure(host, "it has not answered in time. Try again", { unsent: true }, detail);
    case SSH_FAILED:
      return sshFailure(host, lines, { unsent: true });
    case NOT_FOUND:
      return new NoServerError(
        `dev-sessions not found on ${host} (tried '${bin}' via a login shell). Install it there, ${
          orName(remoteBin)
        }`,
        detail,
      );
    case NOT_EXECUTABLE:
      return new NoServerError(
        `Cannot start dev-sessions on ${host}: '${bin}' can't be executed there. Make it executable, ` +
          orName(remoteBin),
        detail,
      );
    default: {
      const isOld = /unknown command 'rpc'/.test(stderr);
      const way = isOld
        ? "It is an earlier version of dev-sessions. Upgrade it there"
        : `See what it says with: ssh ${host} ${bin} --version`;
      return new NoServerError(
        `Cannot talk to dev-sessions on ${host}: '${bin} rpc' ended with exit code ${code} before it had said ` +
          `that it is dev-sessions. ${way}`,
        detail,
      );
    }
  }
}

/** A session keeps the command that it was created with. */
function orName(remoteBin: string | null): string {
  const other = "or set DEV_SESSIONS_REMOTE_BIN to the command that starts it there";
  return remoteBin === null
    ? other
    : `${other}; a session that was created with this one keeps it: for that, make a link of its name there`;
}

/** What a login prints has no end. */
export function noiseFailure({ host }: Destination, what: string, printed: string | null): NoServerError {
  return new NoServerError(
    `Cannot talk to dev-sessions on ${host}: a login there prints ${what}, and dev-sessions is not heard. ` +
      `See what it prints with: ssh ${host} true`,
    printed,
  );
}

/** The connection is gone; what was asked may have arrived, unless it is `unsent`. */
export function brokenConnection(
  host: string,
  { stderr }: Pick<Ended, "stderr">,
  told = { unsent: false },
): CarrierError {
  const lines = meaningfulLines(stderr);
  const reason = REASONS.find(({ said }) => lines.some((line) => said.test(line)));
  const what = reason === undefined ? "the connection has ended" : firstSaid(lines, reason);
  return transportFailure(host, `${what}. Try again`, told, null);
}

/** For the want of an answer within the time that it may take. */
export function noAnswer(host: string, seconds: number): CarrierError {
  return transportFailure(host, `no answer within ${seconds} s. Try again`, { unsent: false }, null);
}

/** There is no `ssh`. */
export function noSsh(host: string): CarrierError {
  return transportFailure(host, "ssh is not installed. Install OpenSSH's client", {
    unsent: true,
    hopeless: true,
  }, null);
}

/** Why a host can't be reached, in a few words. */
export function inFewWords(error: AppError): string {
  const text = error.message.replace(/^SSH transport failure talking to \S+: /, "");
  return text.split(/\. /)[0] ?? text;
}

function sshFailure(host: string, lines: readonly string[], told: { unsent: boolean }): CarrierError {
  const reason = REASONS.find(({ said }) => lines.some((line) => said.test(line)));
  const what = reason === undefined ? lines.at(-1) ?? "ssh gave no reason" : firstSaid(lines, reason);
  const way = reason?.way(host, lines) ?? `See with: ssh ${host} true`;
  const rest = lines.filter((line) => !line.includes(what));
  return transportFailure(
    host,
    `${what.replace(/[.!]+$/, "")}. ${way}`,
    { ...told, hopeless: reason !== undefined && !reason.passing },
    rest.length === 0 ? null : rest.slice(-SHOWN_LINES).join("\n"),
  );
}

function firstSaid(lines: readonly string[], { said }: Reason): string {
  return (lines.find((line) => said.test(line)) ?? "").replace(/^@ +| +@$/g, "").replace(/^ssh: /, "");
}

function transportFailure(
  host: string,
  what: string,
  told: { readonly unsent: boolean; readonly hopeless?: boolean },
  detail: string | null,
): CarrierError {
  return new CarrierError(`SSH transport failure talking to ${host}: ${what}`, told, detail);
}

/** The command that forgets the key which ssh has complained about, by ssh's own words of where and how it is known. */
function forgetKey(host: string, lines: readonly string[]): string {
  const said = (pattern: RegExp) =>
    lines.map((line) => pattern.exec(line)?.[1]).find((one) => one !== undefined);
  const file = said(/^Offending \S+ key in (.+):\d+$/);
  const name = said(/^Host key for (\S+) has changed/) ?? nameOf(host);
  return `ssh-keygen${file === undefined ? "" : ` -f ${quote(file)}`} -R ${quote(name)}`;
}

/** Of `me@box` the name that its key is usually known by. */
function nameOf(host: string): string {
  return host.slice(host.lastIndexOf("@") + 1);
}
