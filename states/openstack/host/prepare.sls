{#- On the toolbox host: databases of a service, then its jobs before the first start. -#}
{%- set step = pillar['saltern_step'] %}
Databases and jobs of {{ step['service'] }} are done:
  openstack_toolbox.prepared:
    - service: {{ step['service'] }}
