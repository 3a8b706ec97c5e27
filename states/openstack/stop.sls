{#- Stop the cloud's containers, what others need last; data and configuration stay.
    salt-run state.orch openstack.stop [test=True] -#}
{%- from 'openstack/run.jinja' import run with context %}
{{- run(salt['openstack_plan.compile'](), 'stop') }}
