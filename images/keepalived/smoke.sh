cat > /tmp/conf <<CONF
global_defs {
 script_user haproxy
 enable_script_security
}
vrrp_script check {
 script /bin/true
}
CONF
keepalived --config-test --log-console --use-file /tmp/conf
keepalived --dont-fork --log-console --vrrp --use-file /tmp/conf > /tmp/log 2>&1 &
retry grep "no configuration to run" /tmp/log
