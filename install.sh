#!/bin/sh
# Installs, upgrades or removes dev-sessions; whatever fails or is stopped on the way, what was there stays as it was.
# It is one file, however long, because it is piped into sh; and it does nothing before its last line has arrived.
# docs/installing.md tells what it does; install.sh --help lists the options.

set -u
unset CDPATH IFS

DEFAULT_BASE_URL=""
DENO_VERSION="2.9.6"
CONNECT_LIMIT_S=20
STALL_LIMIT_S=60
# How build/compile.ts ends where the runtime of executables cannot be had.
UNAVAILABLE_EXIT_CODE=69
NEWLINE='
'

# --- Words ---

usage() {
  cat <<'HELP'
Install, upgrade or remove dev-sessions.

  sh install.sh [options]

  --version <version>  install this version (default: the latest)
  --prefix <folder>    install to <folder>/bin (default: ~/.local)
  --from-source        build from the checkout in which install.sh stands
  --yes, -y            do not ask: install the skills for agents
  --no-skills          do not offer the skills
  --service            install the gateway as a service of your user, without asking
  --no-service         do not offer the service
  --uninstall          remove the executable, the skills and the service
  --purge              with --uninstall: remove the data in ~/.dev-sessions, too
  --help, -h           print this

  DEV_SESSIONS_BASE_URL  where the releases are, for instance https://github.com/<owner>/<repository>/releases
  DEV_SESSIONS_DENO      with --from-source: the Deno to build and run with
HELP
}

say() { printf '%s\n' "$*"; }

warn() { printf '%s\n' "$*" >&2; }

fail() {
  warn "install.sh: $*"
  exit 1
}

usage_error() {
  warn "install.sh: $*. See: sh install.sh --help"
  exit 2
}

have() { command -v "$1" >/dev/null 2>&1; }

# The last line that says anything, without control characters.
last_line() { grep -v '^[[:space:]]*$' "$1" 2>/dev/null | tail -n 1 | tr -d '\000-\037\177'; }

# All lines, without control characters.
lines_of() { tr -d '\000-\011\013-\037\177' <"$1"; }

# A text as one word of sh.
quoted() { printf "'%s'" "$(printf '%s' "$1" | sed "s/'/'\\\\''/g")"; }

# A path as people write it, for messages.
short() {
  case $1 in
    "$HOME"/*) printf '%s' "~${1#"$HOME"}" ;;
    *) printf '%s' "$1" ;;
  esac
}

# --- What was asked for ---

read_arguments() {
  action=install version=latest prefix="" from_source=no yes=no skills=ask service=ask purge=no
  while [ $# -gt 0 ]; do
    argument=$1
    shift
    case $argument in
      --*=*)
        set -- "${argument#*=}" "$@"
        argument=${argument%%=*}
        case $argument in
          --version | --prefix) ;;
          *) usage_error "\"$argument\" takes no value" ;;
        esac
        ;;
    esac
    case $argument in
      --version | --prefix)
        if [ $# -eq 0 ] || [ -z "$1" ]; then usage_error "\"$argument\" needs a value"; fi
        if [ "$argument" = --version ]; then version=$1; else prefix=$1; fi
        shift
        ;;
      --from-source) from_source=yes ;;
      --yes | -y) yes=yes ;;
      --no-skills) skills=no ;;
      --service) choose_service yes ;;
      --no-service) choose_service no ;;
      --uninstall) action=uninstall ;;
      --purge) purge=yes ;;
      --help | -h)
        usage
        exit 0
        ;;
      *) usage_error "There is no option \"$argument\"" ;;
    esac
  done
  if [ "$purge" = yes ] && [ "$action" != uninstall ]; then usage_error "\"--purge\" goes with --uninstall"; fi
  if [ "$action" = uninstall ]; then
    [ "$service" != yes ] ||
      usage_error "\"--service\" does not go with --uninstall, which removes the service. Give one of them"
    [ "$from_source" = no ] ||
      usage_error "\"--from-source\" does not go with --uninstall, which installs nothing. Give one of them"
  fi
  if [ "$yes" = yes ] && [ "$skills" = ask ]; then skills=yes; fi
  version=${version#v}
  case $version in
    latest) ;;
    [0-9]*)
      case $version in
        *[!0-9A-Za-z.+-]*) usage_error "\"$version\" is not a version" ;;
      esac
      ;;
    *) usage_error "\"$version\" is not a version, such as 0.5.0" ;;
  esac
}

# choose_service <yes or no>
choose_service() {
  if [ "$service" != ask ] && [ "$service" != "$1" ]; then
    usage_error "\"--service\" and \"--no-service\" exclude each other. Give one of them"
  fi
  service=$1
}

settle_paths() {
  case ${HOME:-} in
    /*) ;;
    *) fail "Cannot find your home folder: HOME is \"${HOME:-}\". Set it to an absolute path" ;;
  esac
  # Not expanded by the shell in --prefix=~/tools.
  # shellcheck disable=SC2088
  case $prefix in
    "") prefix=$HOME/.local ;;
    "~/"*) prefix=$HOME/${prefix#"~/"} ;;
    /*) ;;
    *) prefix=$(pwd)/$prefix ;;
  esac
  case $prefix in
    *"$NEWLINE"*) usage_error "The folder has a line break in its name" ;;
  esac
  while [ "$prefix" != "${prefix%/}" ]; do prefix=${prefix%/}; done
  bin=$prefix/bin
  lib=$prefix/lib/dev-sessions
  target=$bin/dev-sessions
  data=$HOME/.dev-sessions
  host=$(uname -n | tr -cd '0-9A-Za-z-')
  # Deno colours even what goes to a file.
  export NO_COLOR=1
}

# --- What is undone at the end, however it ends ---

child="" work="" lib_work="" lib_made="" made_folders="" swapped=no

clean_up() {
  trap '' HUP INT TERM
  if [ -n "$child" ]; then
    kill "$child" 2>/dev/null
    wait "$child" 2>/dev/null
  fi
  [ -n "$work" ] && rm -rf -- "$work"
  [ -n "$lib_work" ] && rm -rf -- "$lib_work"
  if [ "$swapped" = no ]; then
    # Never what the installed launcher runs.
    [ -n "$lib_made" ] && [ "${lib_made##*/}" != "$(lib_of "$target")" ] && rm -rf -- "$lib_made"
    printf '%s' "$made_folders" | while IFS= read -r folder; do rmdir -- "$folder" 2>/dev/null; done
  fi
}

stopped() {
  if [ "$action" = uninstall ]; then
    warn "install.sh: stopped"
  elif [ "$swapped" = yes ]; then
    warn "install.sh: stopped; dev-sessions itself is installed"
  else
    warn "install.sh: stopped; nothing was changed"
  fi
  exit "$1"
}

hear_signals() {
  trap 'stopped 129' HUP
  trap 'stopped 130' INT
  trap 'stopped 141' PIPE
  trap 'stopped 143' TERM
}

# make_folder <path>: with its parents; what was made is remembered.
make_folder() {
  [ -d "$1" ] && return 0
  make_folder "$(dirname -- "$1")" || return 1
  mkdir -- "$1" 2>/dev/null || [ -d "$1" ] || return 1
  made_folders=$1$NEWLINE$made_folders
}

# remove_leavings <path up to the host's name>: what installers that were killed on this machine have left.
remove_leavings() {
  for left in "$1.$host".*; do
    [ -d "$left" ] || continue
    pid=${left#"$1.$host."}
    pid=${pid%%.*}
    kill -0 "$pid" 2>/dev/null || rm -rf -- "$left"
  done
}

# Beside the target, so that the last step is a rename within one file system.
open_work() {
  if ! make_folder "$bin" || [ ! -w "$bin" ]; then
    fail "Cannot install to \"$bin\": the folder cannot be written. Choose another one with --prefix <folder>"
  fi
  if [ -d "$target" ]; then
    fail "Cannot install to \"$target\": it is a folder. Remove it, or choose another place with --prefix <folder>"
  fi
  remove_leavings "$bin/.dev-sessions-install"
  work=$(mktemp -d "$bin/.dev-sessions-install.$host.$$.XXXXXX" 2>/dev/null) || {
    work=""
    fail "Cannot install to \"$bin\": the folder cannot be written. Choose another one with --prefix <folder>"
  }
}

# attempt <command...>: a signal ends it together with this shell, which waiting in the foreground would not;
# it reads nothing, since standard input may be this script.
attempt() {
  "$@" </dev/null >"$work/out" 2>"$work/err" &
  child=$!
  wait "$child"
  status=$?
  child=""
  return "$status"
}

# in_folder <folder> <command...>
in_folder() {
  cd -- "$1" || return 1
  shift
  exec "$@"
}

# --- Which build runs here ---

# Sets platform, or platform_problem; own_deno=yes where a Deno of one's own is a way out.
detect_platform() {
  platform="" platform_problem="" own_deno=no
  system=$(uname -s) machine=$(uname -m)
  case $system in
    Linux) vendor=unknown-linux-gnu ;;
    Darwin) vendor=apple-darwin ;;
    MINGW* | MSYS* | CYGWIN* | Windows*)
      platform_problem="it does not run on Windows ($system). Install it in WSL 2, which is Linux (wsl --install)"
      return
      ;;
    *)
      platform_problem="it does not run on $system. There are builds for Linux and macOS"
      return
      ;;
  esac
  bits=$(getconf LONG_BIT 2>/dev/null)
  case $machine in
    x86_64 | amd64)
      processor=x86_64
      # A shell that runs under Rosetta.
      if [ "$system" = Darwin ] && [ "$(sysctl -n sysctl.proc_translated 2>/dev/null)" = 1 ]; then
        processor=aarch64
      fi
      ;;
    aarch64 | arm64) processor=aarch64 ;;
    i?86 | x86 | arm | armv*) bits=32 ;;
    *)
      own_deno=yes
      platform_problem="there is no build for this processor ($machine), only for x86_64 and aarch64"
      return
      ;;
  esac
  if [ "$bits" = 32 ]; then
    platform_problem="this is a 32-bit system ($machine). There are builds for 64-bit systems only"
    return
  fi
  if [ "$system" = Linux ] && uses_musl; then
    own_deno=yes
    platform_problem="this system uses musl instead of glibc (as Alpine does). Run it in a distribution or container \
with glibc (Debian, Ubuntu, Fedora ...), or build from a checkout with a Deno that was built for musl: \
DEV_SESSIONS_DENO=/path/to/deno sh install.sh --from-source"
    return
  fi
  platform=$processor-$vendor
}

uses_musl() {
  getconf GNU_LIBC_VERSION >/dev/null 2>&1 && return 1
  case $(ldd --version 2>&1) in
    *musl*) return 0 ;;
    *GLIBC* | *"GNU libc"*) return 1 ;;
  esac
  for loader in /lib64/ld-linux-x86-64.so.2 /lib/ld-linux-aarch64.so.1; do
    [ -e "$loader" ] && return 1
  done
  for loader in /lib/ld-musl-*; do
    [ -e "$loader" ] && return 0
  done
  return 1
}

# --- A release ---

find_base_url() {
  base=${DEV_SESSIONS_BASE_URL:-$DEFAULT_BASE_URL}
  while [ "$base" != "${base%/}" ]; do base=${base%/}; done
  case $base in
    "")
      fail "Cannot download dev-sessions: this copy of install.sh does not know where the releases are. Set \
DEV_SESSIONS_BASE_URL (for instance https://github.com/<owner>/<repository>/releases), or build it from a checkout: \
sh install.sh --from-source"
      ;;
    *[[:space:]]*) fail "Cannot download from \"$base\": an address has no spaces. Correct DEV_SESSIONS_BASE_URL" ;;
    https://*) protocols=https ;;
    http://*)
      protocols=http,https
      case $base in
        http://localhost[:/]* | http://127.* | "http://[::1]"*) ;;
        *) warn "Note: http is not encrypted; whoever is in between can replace program and checksum alike." ;;
      esac
      ;;
    *) fail "Cannot download from \"$base\": it is not an http address. Correct DEV_SESSIONS_BASE_URL" ;;
  esac
}

need_tools() {
  have curl || have wget || fail "Cannot download dev-sessions: there is neither curl nor wget. Install curl"
  # Program and checksum come over the same connection. That of busybox, for one, takes anybody for the server.
  if ! have curl && ! is_gnu_wget && [ "$protocols" = https ]; then
    fail "Cannot download dev-sessions: there is no curl, and this wget is not known to check certificates (that of \
busybox does not), so anybody in between could replace what comes. Install curl"
  fi
  have sha256sum || have shasum || have openssl ||
    fail "Cannot check what is downloaded: there is no sha256sum, shasum or openssl. Install one of them"
}

is_gnu_wget() { wget --version 2>/dev/null </dev/null | grep -q GNU; }

sha256() {
  if have sha256sum; then
    sha256sum
  elif have shasum; then
    shasum -a 256
  else
    openssl dgst -sha256 -r
  fi | cut -c 1-64
}

# fetch <url> <file> <hint for a 404>
fetch() {
  if have curl; then
    attempt curl --fail --silent --show-error --location --proto "=$protocols" --retry 2 \
      --connect-timeout "$CONNECT_LIMIT_S" --speed-limit 1 --speed-time "$STALL_LIMIT_S" --output "$2" "$1"
  elif is_gnu_wget; then
    # It would follow a redirection to http: through a proxy that is not there it gets no further.
    proxy=
    [ "$protocols" = https ] && proxy='-e use_proxy=on -e http_proxy=http://127.0.0.1:1'
    # shellcheck disable=SC2086
    attempt wget $proxy -nv -t 2 -T "$STALL_LIMIT_S" -O "$2" "$1"
  else
    # That of busybox has a time limit, too, but some builds of it crash when it is given.
    attempt wget -O "$2" "$1"
  fi && return
  reason=$(last_line "$work/err")
  if says_missing; then fail "Cannot download dev-sessions: there is no $1 (404). $3"; fi
  fail "Cannot download \"$1\": ${reason:-exit code $status}. Try again"
}

# Whether the server has answered 404, as curl, GNU's wget (in any language), wget2 and busybox's wget say it: ports,
# names, and what a server says of another failure may have the number in them, too.
says_missing() {
  case $status:$reason in
    22:*" error: 404" | 22:*" error: 404 "*) return 0 ;;
    8:"HTTP ERROR response 404"*) return 0 ;;
    8:*": "*)
      case ${reason%%: *} in
        *" 404" | *" 404 ") return 0 ;;
      esac
      ;;
    *": server returned error: HTTP/"[0-9].[0-9]" 404" | *": server returned error: HTTP/"[0-9].[0-9]" 404 "*) return 0 ;;
  esac
  return 1
}

# checksum_of <asset>: from $work/SHA256SUMS; nothing when it is not listed.
checksum_of() {
  while read -r sum name; do
    [ "${name#\*}" = "$1" ] || continue
    case $sum in
      *[!0-9a-f]*) ;;
      *) [ ${#sum} -eq 64 ] && printf '%s' "$sum" ;;
    esac
    return
  done <"$work/SHA256SUMS"
}

install_release() {
  find_base_url
  detect_platform
  [ -n "$platform" ] || fail "Cannot install dev-sessions: $platform_problem"
  need_tools
  asset=dev-sessions-$platform
  if [ "$version" = latest ]; then
    from=$base/latest/download
    missing="Is DEV_SESSIONS_BASE_URL right, and has anything been released there?"
  else
    from=$base/download/v$version
    missing="Is there a version $version? Without --version you get the latest"
  fi
  open_work
  say "Downloading $from/$asset"
  fetch "$from/SHA256SUMS" "$work/SHA256SUMS" "$missing"
  expected_sum=$(checksum_of "$asset")
  if [ -z "$expected_sum" ]; then
    fail "Cannot install dev-sessions: \"$from/SHA256SUMS\" does not list $asset. This release has no build for this \
system, or the address is not that of a release"
  fi
  fetch "$from/$asset" "$work/dev-sessions" "$missing"
  sum=$(sha256 <"$work/dev-sessions")
  if [ "$sum" != "$expected_sum" ]; then
    fail "Cannot install dev-sessions: the checksum of $asset is $sum, and SHA256SUMS says $expected_sum. The download \
is damaged or has been tampered with; nothing was changed. Try again"
  fi
  chmod 0755 "$work/dev-sessions" || fail "Cannot make \"$work/dev-sessions\" executable"
  check_version "the downloaded file"
  swap
  prune_libraries
  kind="a self-contained executable"
}

# check_version <what>: $work/dev-sessions must run here and be what was asked for.
check_version() {
  if ! attempt "$work/dev-sessions" --version; then
    reason=$(last_line "$work/err")
    case $reason in
      *GLIBC_*) reason="$reason. This system's glibc is too old; use a newer distribution or container" ;;
    esac
    fail "Cannot install dev-sessions: $1 does not run here: ${reason:-exit code $status}"
  fi
  installed=$(last_line "$work/out")
  case $installed in
    *[!0-9A-Za-z.+-]*) fail "Cannot install dev-sessions: $1 says that its version is \"$installed\"" ;;
    [0-9]*.*) ;;
    *) fail "Cannot install dev-sessions: $1 says that its version is \"$installed\"" ;;
  esac
  if [ "$version" != latest ] && [ "$installed" != "$version" ]; then
    fail "Cannot install dev-sessions: $1 is version $installed, not $version"
  fi
}

# The one moment at which anything changes. Programs that run the old file go on with it. A signal between the rename
# and its record would leave it open which of the two versions is installed, so these milliseconds hear none.
swap() {
  before="" lib_before=""
  if [ -f "$target" ] && [ -x "$target" ]; then
    lib_before=$(lib_of "$target")
    attempt "$target" --version && before=$(last_line "$work/out")
  fi
  trap '' HUP INT PIPE TERM
  # What is gone from here has been renamed, whatever mv says.
  mv -f -- "$work/dev-sessions" "$target" || [ ! -e "$work/dev-sessions" ] ||
    fail "Cannot put \"$target\" in place; nothing was changed"
  swapped=yes
  record_target
  hear_signals
}

# Where a dev-sessions that runs finds its successor.
record_target() {
  [ -d "$data" ] || mkdir -m 0700 -- "$data" 2>/dev/null
  if ! printf '%s\n' "$target" >"$work/record" || ! chmod 0600 "$work/record" ||
    ! cp -p -- "$work/record" "$data/.executable.$$" 2>/dev/null ||
    ! mv -f -- "$data/.executable.$$" "$data/executable"; then
    rm -f -- "$data/.executable.$$"
    warn "Note: $data/executable could not be written; after an upgrade, running commands may not find the new version."
  fi
}

# --- A checkout ---

install_from_source() {
  # In a pipe, $0 is the shell.
  if ! grep -qs '^install_from_source()' "$0"; then
    fail "Cannot build dev-sessions: --from-source builds from the checkout in which install.sh stands, and this one was \
read from a pipe. Run: sh path/to/checkout/install.sh --from-source"
  fi
  checkout=$(cd -P -- "$(dirname -- "$0")" && pwd) || fail "Cannot find the folder of install.sh"
  of_checkout=$(sed -n 's/^  "version": "\([^"]*\)",*$/\1/p' "$checkout/deno.json" 2>/dev/null)
  if [ ! -f "$checkout/main.ts" ] || [ -z "$of_checkout" ]; then
    fail "Cannot build dev-sessions: \"$checkout\" is not a checkout of it"
  fi
  if [ "$version" != latest ] && [ "$version" != "$of_checkout" ]; then
    fail "Cannot build version $version: the checkout in \"$checkout\" is version $of_checkout. Check out v$version there"
  fi
  version=$of_checkout
  detect_platform
  if [ -z "$platform" ]; then
    if [ "$own_deno" = no ] || [ -z "${DEV_SESSIONS_DENO:-}" ]; then
      fail "Cannot install dev-sessions: $platform_problem"
    fi
  fi
  have sha256sum || have shasum || have openssl ||
    fail "Cannot name the build: there is no sha256sum, shasum or openssl. Install one of them"
  open_work
  find_deno
  bundle
  if compile; then
    check_version "the compiled file"
    swap
    prune_libraries
    kind="a self-contained executable, compiled from $(short "$checkout")"
  else
    install_launcher
    kind="a launcher: the bundle of $(short "$checkout"), run by its own copy of Deno $deno_version"
  fi
}

# Sets deno (an absolute path) and deno_version.
find_deno() {
  where='console.log(Deno.version.deno); console.log(Deno.execPath())'
  if [ -n "${DEV_SESSIONS_DENO:-}" ]; then
    attempt in_folder / "$DEV_SESSIONS_DENO" eval "$where" ||
      fail "Cannot build dev-sessions: DEV_SESSIONS_DENO is \"$DEV_SESSIONS_DENO\", which does not run as Deno: \
$(last_line "$work/err")"
  elif have deno && [ "$(deno --version 2>/dev/null </dev/null | sed -n 's/^deno \([^ ]*\).*/\1/p')" = "$DENO_VERSION" ]; then
    attempt in_folder / deno eval "$where" ||
      fail "Cannot build dev-sessions: deno does not run: $(last_line "$work/err")"
  elif have npx; then
    say "Getting Deno $DENO_VERSION from npm"
    attempt in_folder / npx --yes "deno@$DENO_VERSION" eval "$where" ||
      fail "Cannot build dev-sessions: Deno $DENO_VERSION cannot be had through npx: $(last_line "$work/err"). \
Is the npm registry reachable?"
  else
    fail "Cannot build dev-sessions: that takes Deno $DENO_VERSION, or Node.js with npx to get it. Install one of them, \
or set DEV_SESSIONS_DENO"
  fi
  deno_version=$(sed -n 1p "$work/out")
  deno=$(sed -n 2p "$work/out")
  [ -x "$deno" ] || fail "Cannot build dev-sessions: Deno says that it is \"$deno\", which cannot be run"
  [ "$deno_version" = "$DENO_VERSION" ] ||
    warn "Note: this is Deno $deno_version; dev-sessions is tested with $DENO_VERSION."
}

# Deno runs what builds without "deno task" in between: that would end at a signal, and leave what it has started.
bundle() {
  say "Bundling dev-sessions $version"
  attempt in_folder "$checkout" "$deno" run -A build/bundle.ts dist && return
  cat "$work/err" >&2
  fail "Cannot build dev-sessions: the bundle cannot be made, see above; nothing was changed"
}

# Leaves the executable in $work/dev-sessions; where executables cannot be made, it says why in no_compile.
compile() {
  if [ -z "$platform" ]; then
    no_compile="there is no runtime for executables of this system"
    return 1
  fi
  say "Compiling dev-sessions $version, and downloading Deno's runtime if it is not there yet"
  attempt in_folder "$checkout" "$deno" run -A build/compile.ts --target "$platform" --output "$work/release"
  if [ "$status" = "$UNAVAILABLE_EXIT_CODE" ]; then
    no_compile=$(last_line "$work/err")
    return 1
  fi
  if [ "$status" != 0 ]; then
    cat "$work/err" >&2
    fail "Cannot compile dev-sessions, see above; nothing was changed"
  fi
  mv -- "$work/release/dev-sessions-$platform" "$work/dev-sessions" ||
    fail "Cannot find what was compiled; nothing was changed"
  chmod 0755 "$work/dev-sessions"
}

# The name of the library folder that a launcher runs; nothing for anything else.
lib_of() {
  [ "$(head -c 2 -- "$1" 2>/dev/null | tr -d '\000')" = '#!' ] || return 0
  sed -n "s|^exec '.*/lib/dev-sessions/\([0-9A-Za-z.+-]*\)/deno' run .*|\1|p" "$1"
}

# same_files <folder> <folder>
same_files() {
  for file in "$1"/*; do cmp -s -- "$file" "$2/${file##*/}" || return 1; done
  for file in "$2"/*; do [ -e "$1/${file##*/}" ] || return 1; done
}

install_launcher() {
  say "Not compiled: $no_compile"
  make_folder "$lib" || fail "Cannot install to \"$lib\": the folder cannot be written. Choose another --prefix"
  remove_leavings "$lib/.install"
  lib_work=$(mktemp -d "$lib/.install.$host.$$.XXXXXX" 2>/dev/null) || {
    lib_work=""
    fail "Cannot install to \"$lib\": the folder cannot be written. Choose another --prefix"
  }
  tree=$lib_work/tree
  if ! mkdir -- "$tree" || ! cp -R -- "$checkout/dist/." "$tree/" || ! cp -- "$deno" "$tree/deno" ||
    ! chmod -R u=rwX,go=rX "$tree" || ! chmod 0755 "$tree/deno"; then
    fail "Cannot copy the bundle to \"$lib\"; nothing was changed"
  fi
  hash=$(cat -- "$tree"/* | sha256 | cut -c 1-12)
  folder=$lib/$version-$hash
  if [ -d "$folder" ] && ! same_files "$tree" "$folder"; then folder=$folder-$$; fi
  if [ ! -d "$folder" ]; then
    lib_made=$folder
    mv -- "$tree" "$folder" || fail "Cannot put \"$folder\" in place; nothing was changed"
  fi
  if ! attempt in_folder "$checkout" "$deno" run -A build/launcher.ts "$target" "$folder/deno" "$folder/main.js" ||
    ! cp -- "$work/out" "$work/dev-sessions" || ! chmod 0755 "$work/dev-sessions"; then
    fail "Cannot write the launcher: $(last_line "$work/err")"
  fi
  check_version "the launcher"
  swap
  prune_libraries
}

# Those of launchers, whatever is installed now. A running command reads parts of its bundle when it comes to them. So
# the version before stays until the next installation, and an older one for as long as a process runs it.
prune_libraries() {
  for old in "$lib"/[0-9]*; do
    is_library "$old" || continue
    [ "${old##*/}" = "$(lib_of "$target")" ] && continue
    [ "${old##*/}" = "$lib_before" ] && continue
    is_in_use "$old/" || rm -rf -- "$old"
  done
  rmdir -- "$lib" 2>/dev/null
}

is_library() { [ -f "$1/main.js" ] && [ -f "$1/deno" ]; }

# In use, too, where that can't be seen.
is_in_use() {
  # In a file, or the search would find its own command line.
  printf '%s\n' "$1" >"$work/pattern" || return 0
  if [ -r /proc/self/cmdline ]; then
    # The grep of busybox reads no further than the first NUL.
    cat /proc/[0-9]*/cmdline 2>/dev/null | tr '\000' '\n' | grep -qF -f "$work/pattern"
  else
    ps -A -o args= >"$work/processes" 2>/dev/null || return 0
    grep -qF -f "$work/pattern" "$work/processes"
  fi
}

# --- What comes after the executable ---

# Whether somebody is there to be asked; standard input may be this script.
interactive() { [ -t 1 ] && (: </dev/tty) 2>/dev/null; }

# ask <question> <y or n, for an empty answer>
ask() {
  if [ "$2" = y ]; then choice="[Y/n]"; else choice="[y/N]"; fi
  printf '%s %s ' "$1" "$choice" >/dev/tty
  answer=""
  read -r answer </dev/tty
  case ${answer:-$2} in
    [yY]*) return 0 ;;
    *) return 1 ;;
  esac
}

# offers <command> [sub-command]: whether the installed version has it.
offers() {
  if [ $# -eq 1 ]; then
    attempt "$target" help "$1"
  else
    attempt "$target" "$@" --help && grep -q "$1 $2" "$work/out"
  fi
}

report() {
  if [ -z "$before" ]; then
    say "Installed dev-sessions $installed: $target"
  elif [ "$before" = "$installed" ]; then
    say "Installed dev-sessions $installed again: $target"
  else
    say "Replaced dev-sessions $before with $installed: $target"
  fi
  say "It is $kind."
}

advise_path() {
  case :$PATH: in
    *:"$bin":*)
      first=$(command -v dev-sessions)
      if [ -n "$first" ] && [ "$first" != "$target" ]; then
        warn "Note: another dev-sessions comes first on your PATH: $first"
      fi
      return
      ;;
  esac
  line="export PATH=$(quoted "$bin"):\"\$PATH\""
  case $bin in
    "$HOME"/*[!0-9A-Za-z/._-]*) ;;
    "$HOME"/*) line="export PATH=\"\$HOME/${bin#"$HOME"/}:\$PATH\"" ;;
  esac
  say ""
  say "$(short "$bin") is not on your PATH. Put it there, then open a new terminal:"
  case ${SHELL:-} in
    */fish) say "  fish_add_path $(quoted "$bin")" ;;
    */zsh) say "  echo $(quoted "$line") >>~/.zshrc" ;;
    */bash)
      if [ "$(uname -s)" = Darwin ]; then profile=.bash_profile; else profile=.bashrc; fi
      say "  echo $(quoted "$line") >>~/$profile"
      ;;
    *) say "  echo $(quoted "$line") >>~/.profile" ;;
  esac
}

advise_tmux() {
  have tmux && return
  if [ "$(id -u)" = 0 ]; then sudo=""; else sudo="sudo "; fi
  how="install it with your package manager"
  if have brew; then
    how="brew install tmux"
  elif have apt-get; then
    how="${sudo}apt-get install tmux"
  elif have dnf; then
    how="${sudo}dnf install tmux"
  elif have yum; then
    how="${sudo}yum install tmux"
  elif have pacman; then
    how="${sudo}pacman -S tmux"
  elif have zypper; then
    how="${sudo}zypper install tmux"
  elif have apk; then
    how="${sudo}apk add tmux"
  fi
  say ""
  say "Claude Code runs in tmux, which is missing here: $how"
}

offer_skills() {
  [ "$skills" = no ] && return
  if ! offers install-skill; then
    [ "$skills" = yes ] && say "Version $installed has no skills to install."
    return
  fi
  say ""
  if [ "$skills" = ask ]; then
    if ! interactive; then
      say "Skills that teach your agents to use it: dev-sessions install-skill"
      return
    fi
    ask "Install the skills that teach your agents to use it?" y || return
  fi
  if ! "$target" install-skill </dev/null; then
    warn "install.sh: dev-sessions is installed, but not all of its skills are, see above."
    problems=1
  fi
}

# The installed skills, by the last line that install-skill gives them.
skill_files() {
  for file in "${CLAUDE_CONFIG_DIR:-$HOME/.claude}"/skills/*/SKILL.md "${CODEX_HOME:-$HOME/.codex}"/skills/*/SKILL.md; do
    [ -f "$file" ] || continue
    tail -n 1 -- "$file" | grep -q '^<!-- Installed by dev-sessions install-skill; ' && say "  $file"
  done
}

service_file() {
  for file in "${XDG_CONFIG_HOME:-$HOME/.config}/systemd/user/dev-sessions-gateway.service" \
    "$HOME"/Library/LaunchAgents/*dev-sessions*.plist; do
    [ -e "$file" ] && printf '%s' "$file" && return
  done
  return 1
}

service_note() {
  say "The gateway runs the version before until you run: dev-sessions gateway install"
}

# offer_restart <the service's file>
offer_restart() {
  say ""
  # It may run a dev-sessions from elsewhere, which a restart would not replace.
  if ! interactive || [ "$yes" = yes ] || ! grep -qF -e "$target" -- "$1" ||
    ! ask "Restart the gateway's service with this version?" y; then
    service_note
  # It keeps the service's options, and is content only when the new version answers.
  elif ! "$target" gateway install </dev/null; then
    warn "install.sh: dev-sessions is installed, but the gateway's service was not restarted, see above."
    service_note
    problems=1
  fi
}

offer_service() {
  [ "$service" = no ] && return
  if ! offers gateway install; then
    [ "$service" = yes ] || return
    warn "install.sh: dev-sessions is installed, but version $installed has no command \"gateway install\", so there is \
no service. Start the gateway yourself, or install a newer version"
    problems=1
    return
  fi
  if [ "$service" = ask ]; then
    if there=$(service_file); then
      offer_restart "$there"
      return
    fi
    if ! interactive || [ "$yes" = yes ]; then return; fi
    say ""
    ask "Install the gateway, through which containers reach dev-sessions, as a service of your user?" n || return
  fi
  if ! "$target" gateway install </dev/null; then
    warn "install.sh: dev-sessions is installed, but its service is not, see above. Then: dev-sessions gateway install"
    problems=1
  fi
}

# --- Away with it ---

uninstall() {
  work=$(mktemp -d "${TMPDIR:-/tmp}/dev-sessions-uninstall.XXXXXX") || fail "Cannot make a temporary folder"
  if [ -L "$target" ]; then
    fail "Cannot uninstall \"$target\": it is a link, which this installer does not make. Remove it with what made it"
  fi
  present=no
  if [ -e "$target" ]; then present=yes; fi
  if [ "$present" = no ]; then tell_absent; fi
  count_live
  refuse_live
  if [ "$present" = yes ]; then
    remove_service
    remove_skills
    rm -f -- "$target" 2>/dev/null || fail "Cannot remove \"$target\": its folder cannot be written"
    say "Removed $target"
  fi
  for old in "$lib"/[0-9]*; do
    is_library "$old" || continue
    rm -rf -- "$old" || fail "Cannot remove \"$old\""
  done
  remove_leavings "$bin/.dev-sessions-install"
  remove_leavings "$lib/.install"
  rmdir -- "$lib" 2>/dev/null
  remove_data
}

# Service and skills may be left when the executable is gone; those of another one are not named.
tell_absent() {
  say "There is no dev-sessions in $bin."
  if elsewhere=$(command -v dev-sessions); then
    say "The one on your PATH is $elsewhere: give its --prefix."
    return
  fi
  elsewhere=$(cat -- "$data/executable" 2>/dev/null)
  if [ "$elsewhere" != "$target" ] && [ -f "$elsewhere" ] && [ -x "$elsewhere" ]; then
    say "The one in use is $elsewhere: give its --prefix."
    return
  fi
  note_skills "there is no $target"
  if there=$(service_file); then
    fail "Cannot remove the service ($there): there is no $target. Nothing was changed. If no other \
dev-sessions needs it, stop and remove it, then run this again: $(service_removal "$there")"
  fi
}

# service_removal <the service's file>: the command that stops and removes it.
service_removal() {
  name=${1##*/}
  case $name in
    *.plist) say "launchctl bootout gui/$(id -u)/${name%.plist} && rm $(quoted "$1")" ;;
    *) say "systemctl --user disable --now $name && rm $(quoted "$1") && systemctl --user daemon-reload" ;;
  esac
}

# Sets live to none, some or unknown, and why it is unknown.
count_live() {
  live=none why=""
  if [ ! -e "$data/dev-sessions.db" ] && [ ! -e "$data/sessions.json" ]; then return; fi
  live=unknown
  if [ "$present" = no ]; then
    why="There is no $target to ask"
    return
  fi
  # The sessions of this machine, even where commands go to a gateway; also those that are being created.
  if ! attempt env DEV_SESSIONS_SANDBOX=0 "$target" list --all --json; then
    why="\"dev-sessions list\" ended with exit code $status"
    # Once more for its reason, in words instead of JSON.
    attempt env DEV_SESSIONS_SANDBOX=0 "$target" list --all || [ ! -s "$work/err" ] || why=$(lines_of "$work/err")
    return
  fi
  listed=$(tr -d '[:space:]' <"$work/out")
  case $listed in
    *'"lifecycle":"active"'* | *'"lifecycle":"creating"'*)
      live=some
      return
      ;;
  esac
  # A newer version's is not in the list, and one on a host that does not answer is there as it was.
  grep -e "ignoring session" -e "could not reach" "$work/err" >"$work/unseen"
  why=$(lines_of "$work/unseen")
  [ -z "$why" ] || return
  case $listed in
    "[]" | "["*'"lifecycle":"ended"'*) live=none ;;
    *) why="What \"dev-sessions list\" says is not understood" ;;
  esac
}

# Whether there is anything here that sessions could need.
is_anything_here() {
  [ "$present" = no ] || return 0
  for old in "$lib"/[0-9]*; do is_library "$old" && return 0; done
  return 1
}

refuse_live() {
  case $live in
    none) return ;;
    unknown)
      if [ "$purge" = no ]; then
        if [ "$yes" = yes ] || ! is_anything_here; then return; fi
      fi
      warn "$why"
      [ "$purge" = no ] || fail "Cannot remove \"$data\": it cannot be told whether sessions are live, see above. \
Nothing was changed. If none is, run this again with --yes instead of --purge, then: rm -rf $(quoted "$data")"
      if interactive; then
        ask "So sessions may be live; their agents go on without the command. Remove it nevertheless?" n && return
        fail "Nothing was changed"
      fi
      help="dev-sessions doctor"
      [ "$present" = yes ] || help="sh install.sh, then dev-sessions list"
      fail "Cannot uninstall dev-sessions: it cannot be told whether sessions are live, see above. Nothing was changed. \
Find out with: $help; or give --yes, and the agents of those that are go on without the command"
      ;;
    some)
      [ "$purge" = no ] || fail "Cannot remove \"$data\": sessions are live. Nothing was changed. End them first with: \
dev-sessions kill --all"
      [ "$yes" = yes ] && return
      if interactive; then
        "$target" list </dev/null
        ask "These sessions are live; their agents go on without the command. Remove it nevertheless?" n && return
        fail "Nothing was changed"
      fi
      fail "Cannot uninstall dev-sessions: sessions are live. Nothing was changed. End them first with: dev-sessions \
kill --all; or give --yes, and their agents go on without the command"
      ;;
  esac
}

remove_skills() {
  if offers install-skill; then
    "$target" install-skill --uninstall </dev/null ||
      warn "Note: not all skills were removed, see above; their files are yours to remove."
    return
  fi
  note_skills "$target does not answer to \"install-skill\""
}

# note_skills <why they are left>
note_skills() {
  files=$(skill_files)
  [ -z "$files" ] || warn "Note: the skills were not removed, since $1; their files are yours to remove:$NEWLINE$files"
}

remove_service() {
  if offers gateway uninstall; then
    "$target" gateway uninstall </dev/null ||
      fail "Cannot remove the service, see above. The executable is left, since the service runs it"
  elif there=$(service_file); then
    fail "Cannot remove the service ($there): $target does not answer to \"gateway uninstall\". Nothing was changed. \
Stop and remove it, then run this again: $(service_removal "$there")"
  fi
}

remove_data() {
  if [ "$(cat -- "$data/executable" 2>/dev/null)" = "$target" ]; then
    rm -f -- "$data/executable"
    rmdir -- "$data" 2>/dev/null
  fi
  [ -e "$data" ] || [ -L "$data" ] || return 0
  if [ "$live" != none ]; then
    say "Your sessions' data is left in $(short "$data")."
    return
  fi
  if [ "$purge" = no ]; then
    if [ "$yes" = yes ] || ! interactive ||
      ! ask "Remove the data in $(short "$data"), too (sessions, settings, tokens)?" n; then
      say "Your data is left in $(short "$data"); to remove it: rm -rf $(quoted "$data")"
      return
    fi
  fi
  if [ -L "$data" ]; then
    fail "Cannot remove \"$data\": it is a link to another folder. Remove both yourself"
  fi
  rm -rf -- "$data" || fail "Cannot remove all of \"$data\""
  say "Removed $data"
}

main() {
  read_arguments "$@"
  settle_paths
  trap clean_up EXIT
  hear_signals
  problems=0
  if [ "$action" = uninstall ]; then
    uninstall
    return 0
  fi
  if [ "$from_source" = yes ]; then install_from_source; else install_release; fi
  report
  advise_path
  advise_tmux
  offer_skills
  offer_service
  return "$problems"
}

# In braces, so that a download that was cut within this line does not run it without its arguments.
{ main "$@"; }
