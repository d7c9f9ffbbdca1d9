/**
 * The hook that Claude runs for each event: records it, and for a permission request waits until it is answered from
 * outside, answered at the terminal, or can't be answered any more. Pure.
 */

import { shellQuote } from "./launch_files.ts";

/** Between a request and the live registry's word that it waits (measured: under 0.5 s), on a busy machine. */
const REGISTRY_PATIENCE_S = 10;

const TAKE_BY_RENAMING = `if mv -f "../answers/$id.json" "../answers/$id.taken" 2>/dev/null; then
  cat "../answers/$id.taken" 2>/dev/null
  rm -f "../answers/$id.taken"
fi
`;

/**
 * In a container, answers can only be read: there the hook renames its FIFO before it looks for one, removes it as it
 * ends, and leaves a mark when it has found one. Whoever withdraws an answer knows from these what has become of it.
 */
const TAKE_BY_READING = `if mv -f "$fifo" "$fifo.taken" 2>/dev/null; then
  given="$fifo.given" fifo="$fifo.taken"
  answer=$(cat "../answers/$id.json" 2>/dev/null)
  if [ -n "$answer" ] && : >"$given"; then printf '%s\\n' "$answer"; fi
fi
`;

/**
 * Writes the event on stdin to a file of its own, complete before it is visible, named by its time in nanoseconds.
 * Always exits 0 and says nothing but the answer that it was given, since a hook's exit code and output steer Claude.
 *
 * A permission request has a FIFO of its name beside it, made before the event is visible: whoever has written
 * `answers/<name>.json` wakes the hook through it. The hook takes the file by renaming it, so that an answer is either
 * withdrawn or given, never both. A process beside it looks once a second, by the shell's own means, whether there is
 * still someone to answer; it wakes the hook when Claude has ended, or has twice been seen not to wait any more.
 */
export function hookScript(eventsFolder: string, place: "host" | "container" = "host"): string {
  return `#!/bin/sh
# Records one event of this session; see https://code.claude.com/docs/en/hooks
umask 077
cd ${shellQuote(eventsFolder)} 2>/dev/null || { cat >/dev/null 2>&1; exit 0; }
now=$(date +%s%N 2>/dev/null)
case $now in *[!0-9]*) now= ;; esac
if [ \${#now} -ne 19 ]; then
  now=$(perl -MTime::HiRes=time -e 'printf "%.0f", time * 1e9' 2>/dev/null) || now=$(date +%s)000000000
fi
id="$now-$$.$1" part=".$now-$$.part" fifo= watcher=
if [ "$1" = PermissionRequest ] && mkfifo "../requests/$id" 2>/dev/null; then
  fifo="../requests/$id"
  trap '[ -z "$watcher" ] || kill "$watcher" 2>/dev/null; rm -f "$fifo"' EXIT
  trap 'exit 0' HUP INT TERM
  # Open for both, so that no end of it ever waits for the other.
  exec 3<>"$fifo"
fi

agent=\${CLAUDE_PID:-$PPID}
registry="\${CLAUDE_CONFIG_DIR:-$HOME/.claude}/sessions/$agent.json"
# A dead agent that nobody has waited for yet can still be signalled.
lives() {
  kill -0 "$agent" || return 1
  stat=
  if [ -r "/proc/$agent/stat" ]; then read -r stat <"/proc/$agent/stat"; else stat=") $(ps -o state= -p "$agent") "; fi
  case $stat in *') Z'*) return 1 ;; esac
}
watch() {
  seconds=0 left=0 waited=
  while [ "$left" -lt 2 ] && sleep 1; do
    kill -0 $$ || { rm -f "$fifo"; exit; }
    lives || break
    if [ -n "$subagent" ]; then
      case $(tmux display-message -p -t "$TMUX_PANE" '#{session_attached}') in '' | 0) ;; *) left=2 ;; esac
      continue
    fi
    seconds=$((seconds + 1)) line=
    [ -r "$registry" ] && IFS= read -r line <"$registry"
    case $line in
    *'"status":"waiting"'*)
      # Waiting anew, it waits for something else.
      stamp=\${line#*'"statusUpdatedAt":'} stamp=\${stamp%%[!0-9]*} left=0
      [ "\${waited:-\${stamp:-0}}" = "\${stamp:-0}" ] || left=2
      waited=\${stamp:-0}
      ;;
    *'"status":"'[bis]*) [ -z "$waited" ] && [ "$seconds" -lt ${REGISTRY_PATIENCE_S} ] || left=$((left + 1)) ;;
    '')
      # No registry, or one that is being rewritten: then a later end of the turn tells.
      later=
      for event in [0-9]*.json; do
        case $event in
        "$id.json") later=1 ;;
        *.Stop.json | *.StopFailure.json | *.SessionEnd.json | *.UserPromptSubmit.json)
          [ -z "$later" ] || left=2
          ;;
        esac
      done
      ;;
    esac
  done
  echo over >&3
}

if cat 2>/dev/null >"$part"; then
  # Before anybody can see the event, so that nothing is left of a hook that is killed from then on.
  if [ -n "$fifo" ]; then
    case $(cat "$part") in *'"agent_id":"'*) subagent=1 ;; *) subagent= ;; esac
    watch </dev/null >/dev/null 2>&1 &
    watcher=$!
  fi
  mv -f "$part" "$id.json"
else
  cat >/dev/null
  rm -f "$part"
fi 2>/dev/null
[ -n "$fifo" ] && [ -e "$id.json" ] || exit 0
IFS= read -r _ <&3
${place === "host" ? TAKE_BY_RENAMING : TAKE_BY_READING}exit 0
`;
}
