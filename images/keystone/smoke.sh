keystone-manage --version

python3 -c "import ldap, pymysql, memcache"

mkdir -m 0700 /tmp/keys
head -c 32 /dev/zero | base64 | tee /tmp/keys/0 > /tmp/keys/1
cat > /tmp/keystone.conf <<CONF
[fernet_tokens]
key_repository = /tmp/keys
[fernet_receipts]
key_repository = /tmp/keys
[credential]
key_repository = /tmp/keys
CONF
export OS_KEYSTONE_CONFIG_DIR=/tmp
uwsgi --http-socket /tmp/socket --module keystone.wsgi.api:application --need-app --enable-threads &
retry ask /tmp/socket "GET /v3 HTTP/1.0\r\n\r\n" "200 OK"
