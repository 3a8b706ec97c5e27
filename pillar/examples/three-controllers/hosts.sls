openstack:
  hosts:
    ctl1:
      address: 192.0.2.11
      roles: [control, database, messaging, loadbalancer, network, storage, builder]
      interface: eth0
    ctl2:
      address: 192.0.2.12
      roles: [control, database, messaging, loadbalancer, network, storage]
      interface: eth0
    ctl3:
      address: 192.0.2.13
      roles: [control, database, messaging, loadbalancer, network, storage]
      interface: eth0
    cmp1:
      address: 192.0.2.21
      roles: [compute]
      interface: eth0
