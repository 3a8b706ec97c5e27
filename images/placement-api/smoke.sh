python3 -c "import pymysql, memcache"

cat > /tmp/placement.conf <<CONF
[placement_database]
connection = sqlite:////tmp/database
CONF
export OS_PLACEMENT_CONFIG_DIR=/tmp
placement-manage --config-file /tmp/placement.conf db sync
uwsgi --http-socket /tmp/socket --module placement.wsgi.api:application --need-app --enable-threads &
retry ask /tmp/socket "GET / HTTP/1.0\r\n\r\n" "200 OK"
