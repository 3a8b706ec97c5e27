{#- Remove the cloud's containers and their configuration. Needs pillar='{"confirm": "<cloud>"}'; volumes stay.
    salt-run state.orch openstack.destroy [test=True] -#}
{%- from 'openstack/run.jinja' import run with context %}
{{- run(salt['openstack_plan.compile'](), 'destroy') }}
