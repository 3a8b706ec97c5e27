{#- Run in test mode by openstack_step.compare: everything of this host against the model, in one state run. -#}
{%- set step = pillar['saltern_step'] %}
{%- if step['mode'] in ('deploy', 'reconfigure') %}
The host can take what the model wants:
  openstack_precheck.passed:
    - cheap: True
    - now: {{ step['now'] | tojson }}

The host has what its containers need:
  openstack_host.prepared: []
{%- if pillar.get('saltern', {}).get('network') %}

Bridges are as the model says:
  openstack_network.present: []
{%- endif %}
{%- endif %}

Containers are as the model says:
  openstack_container.converged:
    - mode: {{ step['mode'] }}
{%- if pillar.get('saltern', {}).get('toolbox') and step['mode'] == 'deploy' %}

Databases, identity and jobs are as the model says:
  openstack_toolbox.compared: []
{%- endif %}
