{#- Bring every host to what the model says: containers, configuration, databases, users, endpoints.
    salt-run state.orch openstack.deploy [test=True] -#}
{%- from 'openstack/run.jinja' import run with context %}
{{- run(salt['openstack_plan.compile'](), 'deploy') }}
