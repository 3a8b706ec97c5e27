python3 -c "import openstack, pymysql, openstackclient.shell"

cat > /tmp/request <<JSON
{"action": "compare", "service": null, "part": null, "services": {}, "wait": 0,
 "database": {"host": "127.0.0.1", "port": 1, "user": "", "password": ""}}
JSON
saltern-toolbox < /tmp/request | grep '"errors": \[\]'

test -s /usr/share/saltern/guest/vmlinuz
test -s /usr/share/saltern/guest/initrd
