{#- These containers of this host and their configuration are gone. -#}
{%- set step = pillar['saltern_step'] %}
Containers are gone:
  openstack_container.converged:
    - containers: {{ step['containers'] | tojson }}
    - mode: {{ step['mode'] }}
    - volumes: {{ step['volumes'] | tojson }}
