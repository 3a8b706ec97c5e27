glance-manage --version

python3 -c "import pymysql, memcache"

cat > /tmp/glance-api.conf <<CONF
[database]
connection = sqlite:////tmp/database
[paste_deploy]
flavor = keystone
config_file = /var/lib/openstack/etc/glance/glance-api-paste.ini
CONF
export OS_GLANCE_CONFIG_DIR=/tmp
uwsgi --http-socket /tmp/socket --module glance.wsgi.api:application --need-app --enable-threads &
retry ask /tmp/socket "GET / HTTP/1.0\r\n\r\n" "300 Multiple"
