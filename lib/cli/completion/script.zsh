#compdef dev-sessions
# Completions of dev-sessions for zsh: a file _dev-sessions in a folder of $fpath, or sourced after compinit.
_dev-sessions() {
  local -a lines found
  local line value tag=values
  lines=("${(@f)$(command dev-sessions __complete zsh "${(@Q)words[2,CURRENT-1]}" "${(Q)PREFIX}" 2> /dev/null < /dev/null)}")
  [[ $PREFIX == --*=* ]] && compset -P '--*='
  case $lines[1] in
    files) _files ;;
    folders) _files -/ ;;
    words)
      for line in "${(@)lines[2,-1]//\\/\\\\}"; do
        value=${${line%%$'\t'*}//:/\\:}
        line=${line#*$'\t'}
        found+=("$value${line:+:$line}")
      done
      # Options are shown with their short forms; all else in the order in which it came.
      [[ $PREFIX == -* ]] && tag=options
      _describe -V -t $tag 'dev-sessions' found
      ;;
  esac
}
# What is grouped by its description is sorted, too.
zstyle ':completion:*:*:dev-sessions:*:values' list-grouped false
if [[ ${funcstack[1]} == _dev-sessions ]]; then
  _dev-sessions "$@"
else
  compdef _dev-sessions dev-sessions
fi
