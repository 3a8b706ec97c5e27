{#- Bring configuration to what the model says: no new image, no new container, no job.
    salt-run state.orch openstack.reconfigure [test=True] -#}
{%- from 'openstack/run.jinja' import run with context %}
{{- run(salt['openstack_plan.compile'](), 'reconfigure') }}
