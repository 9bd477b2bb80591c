# What is run on emulated machines. Sourced.
# shellcheck shell=bash disable=SC2034 # check reads these

# Unit tests that enter no guest, and those that do.
without_vm='base/* config/* fetch/* http/* source/* vmod/* calls/argument_template_test calls/call_plan_test'
without_vm+=' calls/call_table_test calls/cgi_environment_test calls/cgi_head_test calls/header_edit_test calls/numbers_test calls/regex_test'
with_vm='calls/fetch_calls_test calls/response_test programs/* tinykvm/* vms/*'

# Where the machine has a KVM of its own, only the tests in which one KVM differs from another: what guests execute, their
# memory and its reset, interrupts and time. Not what happens in the host once a guest has left: files, HTTP, settings.
per_kvm='tinykvm/battery_test tinykvm/fault_test tinykvm/first_touch_test tinykvm/fork_rights_test tinykvm/fork_test tinykvm/further_vcpus_test tinykvm/input_test'
per_kvm+=' tinykvm/client_test tinykvm/recovery_test tinykvm/cold/*'
per_kvm+=' tinykvm/kvm_api_test tinykvm/polling_test tinykvm/kvm/* tinykvm/memory/* tinykvm/platform/* vms/*'
per_kvm+=' tinykvm/linux/memory_test tinykvm/linux/signals_test tinykvm/linux/state_test tinykvm/linux/threads_test'
per_kvm+=' tinykvm/linux/time_test tinykvm/timers_test tinykvm/chance_test tinykvm/spread_threads_test'
# What depends on how KVM translates addresses.
per_paging='tinykvm/battery_test tinykvm/fault_test tinykvm/first_touch_test tinykvm/fork_rights_test tinykvm/fork_test tinykvm/further_vcpus_test tinykvm/memory/*'

# The same of the suites of varnishtest: requests of all kinds, how VMs are kept and reset, and failures.
vtc_selection='bodies chain ephemeral failures hello huge_pages live_update load make_ephemeral paused_reset pipe poll processors threads queue shared_memory'
vtc_selection+=' soft_reset stdio_arguments storage streaming_requests streaming_responses synth to_string warmup working_memory'

# Of the programs that are compared with what they do natively: each as one that is static and as one that is not.
guest_selection='_(static|dynamic)$'
