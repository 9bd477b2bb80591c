# What is run on emulated machines: the tests in which a KVM shows, not those of Varnish, HTTP and files. Sourced.
# shellcheck shell=bash disable=SC2034 # check reads these

without_vm='ApiArchive*:ApiChecksum*:ApiFetch.*:ApiHostRules.*:ApiHttpClient.*:ApiLibrary.*:ApiProgramSource.*'
without_vm+=':ApiRegex*:ApiSelfRequests.*:ApiSource.*:ApiZip.*'
unit_selection="*-$without_vm"

vtc_selection='addresses answers bodies boot_failures chain chain_bodies cold environment ephemeral failures head hello
    huge_pages invalidate large_bodies live_update load log macros make_ephemeral old_calls out_abi paused_reset poll
    queue regex reload second_chance shared_memory soft_reset start streaming_requests streaming_responses synth
    to_string too_large warmup working_memory'
