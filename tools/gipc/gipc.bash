# SPDX-License-Identifier: LGPL-2.1-or-later
# shellcheck shell=bash
# Completes verbs, options and the names of servers, queues, semaphores and segments for gipc.

_gipc_complete_words()
{
  local IFS=$'\n'
  # shellcheck disable=SC2207
  COMPREPLY=($(compgen -W "$1" -- "$2"))
}

# The first column of a table, without its head.
_gipc_names()
{
  "$@" 2>/dev/null | while read -r name _; do [[ $name == NAME ]] || printf '%s\n' "$name"; done
}

_gipc_semaphore()
{
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[2]} i n=0

  if ((COMP_CWORD == 2)); then
    _gipc_complete_words $'create\nlist\ninfo\nrun\ndelete\n--help' "$current"
    return
  fi
  for ((i = 3; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      # what follows is a command
      --) compopt -o default; return ;;
      --permits|-p|--timeout|-t) ((i++)) ;;
      -?*) ;;
      *) ((n++)) ;;
    esac
  done
  case $previous in --permits|-p|--timeout|-t) return ;; esac
  if [[ $current == -* ]]; then
    case $verb in
      create) _gipc_complete_words $'--permits\n--help' "$current" ;;
      list|info) _gipc_complete_words $'--json\n--help' "$current" ;;
      run) _gipc_complete_words $'--permits\n--timeout\n--\n--help' "$current" ;;
      delete) _gipc_complete_words '--help' "$current" ;;
    esac
    return
  fi
  ((n == 0)) || return
  case $verb in info|run|delete) _gipc_complete_words "$(_gipc_names gipc semaphore list)" "$current" ;; esac
}

_gipc_memory()
{
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[2]} i n=0

  if ((COMP_CWORD == 2)); then
    _gipc_complete_words $'create\nlist\ninfo\nwrite\nread\nwatch\ndelete\n--help' "$current"
    return
  fi
  for ((i = 3; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --count|-n) ((i++)) ;;
      -?*) ;;
      *) ((n++)) ;;
    esac
  done
  case $previous in --count|-n) return ;; esac
  if [[ $current == -* ]]; then
    case $verb in
      list|info) _gipc_complete_words $'--json\n--help' "$current" ;;
      watch) _gipc_complete_words $'--count\n--help' "$current" ;;
      create|write|read|delete) _gipc_complete_words '--help' "$current" ;;
    esac
    return
  fi
  ((n == 0)) || return
  case $verb in info|write|read|watch|delete) _gipc_complete_words "$(_gipc_names gipc memory list)" "$current" ;; esac
}

_gipc_file()
{
  local current=${COMP_WORDS[COMP_CWORD]}

  if ((COMP_CWORD == 2)); then
    _gipc_complete_words $'info\nread\nwrite\nsync\nwatch\n--help' "$current"
  elif [[ $current == -* ]]; then
    case ${COMP_WORDS[2]} in
      watch) _gipc_complete_words $'--count\n--help' "$current" ;;
      *) _gipc_complete_words '--help' "$current" ;;
    esac
  elif ((COMP_CWORD == 3)); then
    compopt -o default
  fi
}

_gipc_queue()
{
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[2]} i n=0

  if ((COMP_CWORD == 2)); then
    _gipc_complete_words $'publish\nconsume\nlist\nstats\npeek\ndead\nredrive\npurge\ndelete\nserve\n--help' "$current"
    return
  fi
  for ((i = 3; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --uri|-u|--type|--priority|-p|--ttl|-T|--delay|-d|--dedup-id|-i|--count|-n|--timeout|-t|--exec|-e|--max-size|-s|--max-retries|-r) ((i++)) ;;
      -?*) ;;
      *) ((n++)) ;;
    esac
  done
  case $previous in
    --priority|-p) _gipc_complete_words $'low\nnormal\nhigh\ncritical' "$current"; return ;;
    --exec|-e|--uri|-u) compopt -o default; return ;;
    --type|--ttl|-T|--delay|-d|--dedup-id|-i|--count|-n|--timeout|-t|--max-size|-s|--max-retries|-r) return ;;
  esac
  if [[ $current == -* ]]; then
    case $verb in
      publish) _gipc_complete_words $'--uri\n--type\n--priority\n--ttl\n--delay\n--dedup-id\n--lines\n--json\n--help' "$current" ;;
      consume) _gipc_complete_words $'--uri\n--count\n--follow\n--timeout\n--exec\n--delay\n--json\n--help' "$current" ;;
      list|stats) _gipc_complete_words $'--uri\n--json\n--help' "$current" ;;
      peek|dead) _gipc_complete_words $'--uri\n--count\n--json\n--help' "$current" ;;
      serve) _gipc_complete_words $'--uri\n--max-size\n--max-retries\n--help' "$current" ;;
      redrive|purge|delete) _gipc_complete_words $'--uri\n--help' "$current" ;;
    esac
    return
  fi
  ((n == 0)) || return
  case $verb in publish|consume|stats|peek|dead|redrive|purge|delete) _gipc_complete_words "$(_gipc_names gipc queue list)" "$current" ;; esac
}

_gipc()
{
  local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD-1]} verb=${COMP_WORDS[1]} i n=0

  COMPREPLY=()
  if ((COMP_CWORD == 1)); then
    _gipc_complete_words $'listen\ncall\nsend\nlist\nfile\nmemory\nmonitor\nqueue\nsemaphore\n--help\n--version' "$current"
    return
  fi
  case $verb in
    file) _gipc_file; return ;;
    memory) _gipc_memory; return ;;
    queue) _gipc_queue; return ;;
    semaphore) _gipc_semaphore; return ;;
  esac
  case $previous in --timeout|-t|--interval|-i|--count|-n) return ;; esac
  if [[ $current == -* ]]; then
    case $verb in
      listen) _gipc_complete_words $'--echo\n--help' "$current" ;;
      call) _gipc_complete_words $'--timeout\n--json\n--help' "$current" ;;
      list) _gipc_complete_words $'--json\n--help' "$current" ;;
      monitor) _gipc_complete_words $'--all\n--interval\n--count\n--json\n--help' "$current" ;;
      send) _gipc_complete_words '--help' "$current" ;;
    esac
    return
  fi

  # Only the first argument that is not an option is an address.
  for ((i = 2; i < COMP_CWORD; i++)); do
    case ${COMP_WORDS[i]} in
      --timeout|-t|--interval|-i|--count|-n) ((i++)) ;;
      -?*) ;;
      *) ((n++)) ;;
    esac
  done
  ((n == 0)) || return
  case $verb in
    listen) compopt -o default ;;
    call|send|monitor)
      if [[ $current == /* ]]; then
        compopt -o default
      else
        _gipc_complete_words "$(_gipc_names gipc list)" "$current"
      fi
      ;;
  esac
}

complete -F _gipc gipc
