# Completions of dev-sessions for bash, from 3.2 on.
_dev_sessions() {
  local kind='' line
  COMPREPLY=()
  while IFS= read -r line; do
    if [ -z "$kind" ]; then kind=$line; else COMPREPLY+=("$line"); fi
  done <<< "$(command dev-sessions __complete bash "${COMP_LINE:0:$COMP_POINT}" "$2" 2> /dev/null < /dev/null)"
  case $kind in
    files) compopt -o default 2> /dev/null ;;
    folders) compopt -o dirnames -o filenames 2> /dev/null ;;
  esac
  return 0
}
# Without compopt, names of files are offered wherever nothing else fits.
if type compopt > /dev/null 2>&1; then
  complete -F _dev_sessions dev-sessions
else
  complete -o default -F _dev_sessions dev-sessions
fi
