{#- The first things in a new cloud, up to an instance that answers; or their removal.
    salt-run state.orch openstack.first_cloud [test=True] [pillar='{"remove": true}'] -#}
{%- set compiled = salt['openstack_plan.compile']() %}
{%- if compiled['errors'] %}
The model has errors and nothing was changed:
  openstack_step.refused:
    - problems: {{ compiled['errors'] | tojson }}
{%- elif pillar.get('remove', False) %}
Remove the first cloud:
  openstack_step.first_cloud:
    - model: {{ compiled['digest'] | tojson }}
    - remove: true
{%- else %}
Make the first cloud, until its instance answers:
  openstack_step.first_cloud:
    - model: {{ compiled['digest'] | tojson }}
{%- endif %}
