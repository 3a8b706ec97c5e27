{#- On the toolbox host: users and endpoints of a service, then its jobs after the start. -#}
{%- set step = pillar['saltern_step'] %}
Users and endpoints of {{ step['service'] }} are there:
  openstack_toolbox.registered:
    - service: {{ step['service'] }}
