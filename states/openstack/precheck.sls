{#- Check every host, the model and the master before a run. Changes nothing.
    salt-run state.orch openstack.precheck -#}
{%- set compiled = salt['openstack_plan.compile']() %}
{%- if compiled['errors'] %}
The model has errors and nothing was changed:
  openstack_step.refused:
    - problems: {{ compiled['errors'] | tojson }}
{%- else %}
Every host can take what the model wants:
  openstack_step.precheck:
    - model: {{ compiled['digest'] | tojson }}
{%- endif %}
