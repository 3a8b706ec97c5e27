{#- nova-compute is healthy again after a failure: it may be one that a deploy waited for in vain. Looks for hosts that are
    not mapped only where that deploy's own look has failed (docs/compute.md). -#}
{% if data['data']['container'] == 'nova_compute' %}
map a compute host that comes late:
  runner.openstack.hosts_discover:
    - args:
      - force: false
{% else %}
{}
{% endif %}
