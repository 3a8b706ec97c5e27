for agent in openvswitch dhcp l3 metadata; do neutron-$agent-agent --version; done

# Every program is there with its libraries
ip -V
iptables -V
ip6tables-restore -V
ipset help | grep -i usage
conntrack -V
dnsmasq --version
dhcp_release 2>&1 | grep usage
haproxy -v
keepalived --version 2>&1 | grep Keepalived
radvd --version 2>&1 | grep Version
arping -V 2>&1 | grep arping
ovs-vsctl --version
ovs-ofctl --version
ovsdb-client --version
ps --version
/usr/bin/kill -l
[ -u /usr/bin/sudo ]

neutron-keepalived-state-change --help

# What the agents ask rootwrap for is what it allows
python3 -c "
from oslo_rootwrap import wrapper
import configparser
conf = configparser.RawConfigParser()
conf.read('/usr/local/etc/neutron/rootwrap.conf')
config = wrapper.RootwrapConfig(conf)
filters = wrapper.load_filters(config.filters_path)
match = wrapper.match_filter(filters, ['ovsdb-client', 'monitor', 'tcp:127.0.0.1:6640', 'Interface'], exec_dirs=config.exec_dirs)
assert match.get_exec().endswith('/ovsdb-client') if hasattr(match, 'get_exec') else match
"

# The datapath is the fact's, and no fact is an error that says so
! saltern-neutron-openvswitch-agent /tmp/none /tmp/conf --version 2> /tmp/said
grep "has not been found out yet" /tmp/said
echo '{"value": "netdev", "reason": "", "at": 0}' > /tmp/fact
saltern-neutron-openvswitch-agent /tmp/fact /tmp/conf --version
grep "datapath_type = netdev" /tmp/conf

# What is changed in the agent leaves it the service that talks to the switch: without it, it would wait for ever
python3 -c "
import runpy
runpy.run_path('/usr/local/bin/saltern-neutron-openvswitch-agent')['changed']()
from neutron.plugins.ml2.drivers.openvswitch.agent.openflow.native import ovs_oskenapp
from os_ken.base.app_manager import get_dependent_services
services = get_dependent_services(ovs_oskenapp.OVSNeutronAgentOSKenApp)
assert 'os_ken.app.ofctl.service' in services, services
"
