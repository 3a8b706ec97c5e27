{#- One wave on this host: its containers as the model says. -#}
{%- set step = pillar['saltern_step'] %}
Containers are as the model says:
  openstack_container.converged:
    - containers: {{ step['containers'] | tojson }}
    - mode: {{ step['mode'] }}
