{#- Make a Salt that is there Saltern's: salt-run state.orch openstack.setup [pillar='{"minions": ["ctl1"]}'] -#}
{%- set compiled = {} if pillar.get("minions") else salt["openstack_plan.compile"]() %}
{%- set minions = pillar.get("minions") or ((compiled.plan or {}).get("hosts") or {}) | list %}
{#- A host that joins by itself is no reason to touch the master. #}
{%- set master = pillar.get("master", True) %}
{%- if master %}

Write the master's configuration:
  openstack_setup.master_configured: []
{%- endif %}

{%- if not minions %}

Know the hosts:
  test.fail_without_changes:
    - comment: >-
        No hosts are known: the pillar openstack has errors or is not there (salt-run openstack.validate).
        To set up minions before that: pillar='{"minions": ["<id>", …]}'

{%- else %}

Bring modules, states and engines to the minions:
  salt.function:
    - name: saltutil.sync_all
    - tgt: {{ minions | json }}
    - tgt_type: list
    - expect_minions: true
    - kwarg:
        saltenv: base
        refresh: true

Write the minions' configuration:
  salt.state:
    - tgt: {{ minions | json }}
    - tgt_type: list
    - sls: openstack.setup.minion
    - queue: true
    - expect_minions: true
    - require:
        - salt: Bring modules, states and engines to the minions

Minions run by their present configuration and code:
  openstack_setup.minions_restarted:
    - minions: {{ minions | json }}
    - require:
        - salt: Write the minions' configuration
{%- if master %}

The running master has its configuration:
  openstack_setup.master_current:
    - require:
        - openstack_setup: Write the master's configuration
{%- endif %}
{%- endif %}
