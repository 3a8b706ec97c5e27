python3 -c "import pymysql, memcache"

neutron-rpc-server --version

neutron-periodic-workers --version

cat > /tmp/neutron.conf <<CONF
[DEFAULT]
auth_strategy = noauth
core_plugin = ml2
service_plugins = router
api_paste_config = /var/lib/openstack/etc/neutron/api-paste.ini
state_path = /tmp
transport_url = fake:/
[database]
connection = sqlite:////tmp/database
[ml2]
type_drivers = flat,vlan,vxlan
tenant_network_types = vxlan
mechanism_drivers = openvswitch
[oslo_concurrency]
lock_path = /tmp
CONF
python3 -c "
import sqlalchemy
from neutron.db.migration.models import head
head.get_metadata().create_all(sqlalchemy.create_engine('sqlite:////tmp/database'))
"
neutron-db-manage --config-file /tmp/neutron.conf heads
export OS_NEUTRON_CONFIG_FILES=/tmp/neutron.conf
uwsgi --http-socket /tmp/socket --module neutron.wsgi.api:application --need-app --enable-threads &
retry ask /tmp/socket "GET / HTTP/1.0\r\n\r\n" "v2.0"
