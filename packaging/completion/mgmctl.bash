# bash completion for mgmctl
_mgmctl_views='interfaces owners groups mfc clients rib counters joins host-groups igmp dvmrp static'
_mgmctl_views_igmp='interfaces groups sources hosts querier statistics proxy'
_mgmctl_views_dvmrp='interfaces neighbors routes prunes grafts statistics'
_mgmctl_views_static='routes inputs'

# Names that the running daemon knows, or nothing; never a wait.
_mgmctl_clients() {
    timeout 2 mgmctl "${_mgmctl_daemon[@]}" show clients 2>/dev/null | awk 'NR > 1 { print $1 }'
}

_mgmctl() {
    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} word at
    local -a words=() _mgmctl_daemon=()
    for ((at = 1; at < COMP_CWORD; at++)); do
        word=${COMP_WORDS[at]}
        case $word in
            --socket | --instance)
                _mgmctl_daemon=("$word" "${COMP_WORDS[++at]}")
                ;;
            --by | --from | --to) ((at++)) ;;
            -*) ;;
            *) words+=("$word") ;;
        esac
    done
    local options='--json --socket --instance --help' offered=
    case $previous in
        --socket)
            compopt -o filenames 2>/dev/null
            mapfile -t COMPREPLY < <(compgen -f -- "$current")
            return
            ;;
        --instance) offered=$(cd /etc/mgmd 2>/dev/null && printf '%s\n' *.yaml | sed -n 's/\.yaml$//; /^mgmd$/d; /^\*$/d; p') options= ;;
        --by | --from | --to) offered=$(_mgmctl_clients) options= ;;
        *)
            case ${words[0]} in
                '') offered='show take release handover join leave status log monitor help' options+=' --version' ;;
                show | sh)
                    case ${words[1]} in
                        '') offered=$_mgmctl_views ;;
                        igmp) [[ ${#words[@]} -eq 2 ]] && offered=$_mgmctl_views_igmp || offered=upstreams ;;
                        dvmrp) offered=$_mgmctl_views_dvmrp ;;
                        static) offered=$_mgmctl_views_static ;;
                    esac
                    ;;
                take | release) options+=' --by' ;;&
                handover) options+=' --from --to --dry-run' ;;&
                take | release | handover | join | leave)
                    [[ ${#words[@]} -eq 1 ]] && offered=$(ls /sys/class/net 2>/dev/null)
                    ;;
                log) offered='error warn info debug' ;;
            esac
            ;;
    esac
    [[ $current == -* ]] && offered=$options
    mapfile -t COMPREPLY < <(compgen -W "$offered" -- "$current")
}
complete -F _mgmctl mgmctl
