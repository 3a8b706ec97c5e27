python3 -c "import pymysql, memcache"

nova-manage --version

nova-conductor --version

nova-scheduler --version

export HOME=/tmp/home
mkdir -p /tmp/home/.nova
cat > /tmp/home/.nova/nova.conf <<CONF
[DEFAULT]
transport_url = rabbit://openstack:hidden@127.0.0.2:5672,openstack:hidden@127.0.0.1:5672/openstack
[api_database]
connection = sqlite:////tmp/api
[database]
connection = mysql+pymysql://nova:hidden@127.0.0.1:3306/nova?charset=utf8mb4
CONF
nova-manage api_db sync
saltern-nova-cells nova_cell0 | grep "cell1: made"
saltern-nova-cells nova_cell0 | grep "cell1: is there"
! grep -a hidden /tmp/api
nova-manage cell_v2 list_cells --verbose | grep "@127.0.0.2:5672,openstack:hidden@127.0.0.1:5672/openstack"
nova-manage cell_v2 list_cells --verbose | grep "nova:hidden@127.0.0.1:3306/nova_cell0?charset=utf8mb4"
nova-manage cell_v2 list_cells --verbose | grep "nova:hidden@127.0.0.1:3306/nova?charset=utf8mb4"

export HOME=/tmp/home
mkdir -p /tmp/home/.nova
cat > /tmp/home/.nova/nova.conf <<CONF
[DEFAULT]
state_path = /tmp
transport_url = fake:/
[api_database]
connection = sqlite:////tmp/api
[database]
connection = sqlite:////tmp/cell
CONF
nova-manage api_db sync
nova-manage db sync --local_cell
export OS_NOVA_CONFIG_FILES="/var/lib/openstack/etc/nova/api-paste.ini;/tmp/home/.nova/nova.conf"
uwsgi --http-socket /tmp/compute --module nova.wsgi.osapi_compute:application --need-app --enable-threads &
compute=$!
retry ask /tmp/compute "GET / HTTP/1.0\r\n\r\n" "v2.1"
kill $compute
uwsgi --http-socket /tmp/metadata --module nova.wsgi.metadata:application --need-app --enable-threads &
retry ask /tmp/metadata "GET / HTTP/1.0\r\n\r\n" "latest"
