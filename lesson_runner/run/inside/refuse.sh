# sh refuse.sh NAME PROGRAM ARGUMENTS: stands in for a program that pages must not use in full.
#
# Harmless calls are passed on to the real program.
name=$1 program=$2
shift 2

refuse_to_install() {
  echo "$name: lesson code installs nothing on this computer:" \
    "mark the block \`<!-- not run: reason -->\`" >&2
  exit 1
}

refuse_host() {
  echo "$name: lesson code reaches only this machine, not $1:" \
    "mark the block \`<!-- not run: reason -->\`" >&2
  exit 255
}

host=
case $name in
  sudo | su | doas)
    refuse_to_install
    ;;
  ssh | sftp)
    while getopts :46AaCfGgKkMNnqsTtVvXxYyB:b:c:D:E:e:F:I:i:J:L:l:m:O:o:P:p:Q:R:S:W:w: option; do
      :
    done
    eval "host=\${$OPTIND:-}"
    ;;
  scp)
    for argument; do case $argument in *:*) host=${argument#scp://} ;; esac; done
    ;;
  nc | ncat | telnet)
    for argument; do
      case $argument in
        -*[lUh]*) exec "$program" "$@" ;;
        -* | *[!0-9]*) host=$argument ;;
      esac
    done
    ;;
  *)
    for argument; do
      case $argument in
        install | reinstall | uninstall | remove | autoremove | purge | clean) refuse_to_install ;;
        update | upgrade | *-upgrade | create | add | sync) refuse_to_install ;;
      esac
    done
    exec "$program" "$@"
    ;;
esac
host=${host#*://} host=${host##*@} host=${host%%[:/]*}
case $host in
  "" | -* | localhost | 127.*) exec "$program" "$@" ;;
esac
case ",$LESSON_ALLOWED_HOSTS," in
  *",$host,"*) exec "$program" "$@" ;;
  *) refuse_host "$host" ;;
esac
