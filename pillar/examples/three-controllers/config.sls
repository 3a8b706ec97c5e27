# Any key of any INI file, without touching a template. Weakest first: the service's template, global, services,
# containers, and config of a host. "salt-run openstack.explain keystone.conf DEFAULT.debug" shows who won.
openstack:
  services:
    keystone:
      variables: {workers: 2}
      limits:
        keystone: {memory: 2G}
  config:
    services:
      keystone:
        keystone.conf:
          token: {expiration: 43200}
