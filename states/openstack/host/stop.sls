{#- These containers of this host are stopped, and meant to be. -#}
{%- set step = pillar['saltern_step'] %}
Containers are stopped:
  openstack_container.converged:
    - containers: {{ step['containers'] | tojson }}
    - mode: {{ step['mode'] }}
