# logrotate rotates
mkdir -m 0755 /tmp/logs
echo line > /tmp/logs/a
cat > /tmp/conf <<CONF
/tmp/logs/a {
 rotate 1
 create
}
CONF
logrotate -s /tmp/status -f /tmp/conf
grep line /tmp/logs/a.1

# crond starts and reads its tables
mkdir /tmp/tabs
busybox crond -f -c /tmp/tabs -L /tmp/log &
retry grep started /tmp/log
