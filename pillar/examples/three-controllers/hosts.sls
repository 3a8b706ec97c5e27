# Keystone and memcached run on all three controllers. One host has the database: the first deploy founds a cluster of
# one, and members added afterwards, one deploy each, fill themselves from it. One host has the load balancer, as no
# address moves between hosts yet.
openstack:
  hosts:
    ctl1:
      address: 192.0.2.11
      roles: [control, database, messaging, loadbalancer, network, storage, builder]
      interface: eth0
    ctl2:
      address: 192.0.2.12
      roles: [control, messaging, network, storage]
      interface: eth0
    ctl3:
      address: 192.0.2.13
      roles: [control, messaging, network, storage]
      interface: eth0
    cmp1:
      address: 192.0.2.21
      roles: [compute]
      interface: eth0
