# Sourced by kolla_start before it runs the command: decides how this member of the Galera cluster has to start.
# What it has to add to mariadbd's arguments is printed by the program, its reasons go to stderr.
case "${CMD:-mariadbd}" in
*mariadbd*)
    ARGS="${ARGS:-} $(/usr/local/bin/saltern-galera-start /etc/mysql/saltern.cnf)" || exit 1
    ;;
esac
