# Completions of dev-sessions for fish.
function __dev_sessions_complete
    set -l words (commandline -opc)
    set -l typed (commandline -ct)
    set -l partial (string unescape -- "$typed"; or printf %s "$typed")
    while set -q words[1]; and string match -qr '^\w+=' -- $words[1]
        set -e words[1]
    end
    set -e words[1]
    set -l lines (command dev-sessions __complete fish $words "$partial" 2>/dev/null </dev/null)
    set -q lines[1]; or return
    set -l attached (string match -r '^--[^=]*=' -- "$partial")
    set -l path (string replace -r '^--[^=]*=' '' -- "$partial")
    switch $lines[1]
        case files
            printf "$attached%s\n" (__fish_complete_path "$path")
        case folders
            printf "$attached%s\n" (__fish_complete_directories "$path" '')
        case words
            set -q lines[2]; and printf '%s\n' $lines[2..-1]
    end
end
complete -c dev-sessions -e
complete -c dev-sessions -f -k -a '(__dev_sessions_complete)'
