haproxy -vv

cat > /tmp/cfg <<CONF
defaults
 mode http
 timeout connect 1s
 timeout client 1s
 timeout server 1s
frontend f
 bind unix@/tmp/socket
 http-request return status 200
CONF
haproxy -c -f /tmp/cfg
haproxy -W -db -f /tmp/cfg &
retry ask /tmp/socket "GET / HTTP/1.0\r\n\r\n" "200 OK"
