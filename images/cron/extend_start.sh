# Sourced by kolla_start. This crond dies of an @reboot or @daily: say so instead.
if grep -Hn '^[[:space:]]*@' /var/spool/cron/crontabs/* >&2; then
    echo "cron: write the five fields of a time instead of @… (0 0 * * * for @daily)" >&2
    exit 1
fi
