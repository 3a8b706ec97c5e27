{#- On the toolbox host: the first things in the cloud, and whether the instance answers; or their removal. -#}
{%- if pillar['saltern_step'].get('remove') %}
The first cloud is gone:
  openstack_cloud.absent: []
{%- else %}
The first cloud is there:
  openstack_cloud.present: []

Its instance answers:
  openstack_cloud.answers:
    - require:
      - openstack_cloud: The first cloud is there
{%- endif %}
