{#- One wave on this host: its containers as the model says. -#}
{%- set step = pillar['saltern_step'] %}
{%- if step['mode'] in ('deploy', 'reconfigure') %}
The host has what its containers need:
  openstack_host.prepared:
    - containers: {{ step['containers'] | tojson }}
    - failhard: True  # no container starts on a host that lacks what it needs
{% endif %}
Containers are as the model says:
  openstack_container.converged:
    - containers: {{ step['containers'] | tojson }}
    - mode: {{ step['mode'] }}
{%- set network = pillar.get('saltern', {}).get('network') %}
{%- if network and step['mode'] in ('deploy', 'reconfigure') and network['container'] in (step['containers'] or []) %}

Bridges are as the model says:
  openstack_network.present:
    - require:
      - openstack_container: Containers are as the model says
{%- endif %}
