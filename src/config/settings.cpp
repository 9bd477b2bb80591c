#include "src/config/settings.hpp"

#include <algorithm>
#include <iterator>

#include "src/config/access_settings.hpp"
#include "src/config/compound_settings.hpp"
#include "src/config/setting_kinds.hpp"
#include "src/config/source_settings.hpp"
#include "src/config/warmup_settings.hpp"

namespace tinykvm::host {

namespace {

using Kind = Setting::Kind;

constexpr double day = 86400, most_mebibytes = 65536;

constexpr Setting rows[] = {
    {.key = "filename",
     .kind = Kind::path,
     .member = &ProgramConfig::filename,
     .has_variables = true,
     .meaning = "The program: an ELF file for x86-64 Linux, or an archive (`.tar.xz`, `.tar.zst`, `.zip`) with one "
                "in it. With `uri` it is where the program is kept between starts, in a folder Varnish may write "
                "to or make. An object with neither defines a group: settings that the programs naming it share."},
    {.key = "group",
     .kind = Kind::text,
     .member = &ProgramConfig::group,
     .range = {1, 128},
     .fallback = "\"test\"",
     .meaning = "The group whose settings the program starts from. `test` always exists and has the defaults of "
                "this page."},
    {.key = "key",
     .kind = Kind::text,
     .member = &ProgramConfig::key,
     .range = {0, 250},
     .meaning = "What a live update has to know to replace the program. Without it, or with `\"\"`, there are "
                "none, except from local files."},
    {.key = "uri",
     .kind = Kind::uri,
     .member = &ProgramConfig::uri,
     .meaning = "Where the program comes from: an ELF file or an archive as for `filename`. It is asked for at "
                "each start, within `max_boot_time` (the boot has as much again), but only fetched when it is not "
                "the one kept at `filename` any more. When it cannot be had, the log says why and the one at "
                "`filename` runs; without it the program does not start. Without `filename` it is fetched each "
                "time. Of an archive the program is the member named like `filename` or else like the program, or "
                "else the only ELF file."},
    {.key = "sha256",
     .kind = Kind::checksum,
     .member = &Checksums::sha256,
     .range = {64, 64},
     .meaning = "The SHA-256 checksum of the file, which is the archive if it is one. It is checked before each "
                "start, of what was fetched and of what was kept; a file that does not have it is not used. When "
                "what is fetched does not have it, the program does not start."},
    {.key = "md5",
     .kind = Kind::checksum,
     .member = &Checksums::md5,
     .range = {32, 32},
     .meaning = "The same with MD5, which shows accidents but no intent."},
    {.key = "download",
     .kind = Kind::downloads,
     .member = read_downloads,
     .fallback = "[]",
     .has_variables = true,
     .meaning = "Files to fetch before the program starts: from `uri` to `filepath`, in order, as the program "
                "itself is from `uri` to `filename`. Folders that are missing are made. With `sha256` or `md5` a "
                "file must have that checksum, as `filename` its own: else the program does not start. To see the "
                "files the program needs `allowed_paths`."},
    {.key = "start",
     .kind = Kind::boolean,
     .member = &ProgramConfig::start,
     .fallback = "false",
     .meaning = "Start the program when the VCL becomes warm, which it does after it was loaded, without delaying "
                "it. Else it is started when it is first needed, or by `tinykvm.start()`."},
    {.key = "cold_start_file",
     .kind = Kind::boolean_or_path,
     .member = read_cold_start_file,
     .fallback = "\"\"",
     .allowed = "false or a string of at most 4096 bytes",
     .has_variables = true,
     .meaning =
         "Where the booted program is saved, after its warm-up, so that the next start maps it from there instead "
         "of booting it ([snapshots.md](snapshots.md)). The file has all that is in the program's memory, "
         "secrets among it; it is made with mode 0600, in a folder that only Varnish's user and root may change. "
         "It is of use only as long as the program, its configuration, the files it looked at, the machine and "
         "tinykvm are what they were; else the log says what is not, and the program boots and is saved again. "
         "With `false` or `\"\"` the program boots at each start."},
    {.key = "concurrency",
     .kind = Kind::count,
     .member = &ProgramConfig::concurrency,
     .range = {1, 255},
     .fallback = "2",
     .meaning = "How many requests the program serves at a time, each in a VM and a thread of its own. More wait "
                "in a queue. A program that asks Varnish for what it answers itself needs one for each request "
                "inside of another."},
    {.key = "max_boot_time",
     .kind = Kind::seconds,
     .member = &ProgramConfig::max_boot_time,
     .range = {0.001, day},
     .fallback = "16",
     .meaning = "How long the program may take from its start to `wait_for_requests()`."},
    {.key = "max_request_time",
     .kind = Kind::seconds,
     .member = &ProgramConfig::max_request_time,
     .range = {0.001, day},
     .fallback = "8",
     .meaning = "How long a request may take in the program. The error handler has one second more."},
    {.key = "max_queue_time",
     .kind = Kind::seconds,
     .member = &ProgramConfig::max_queue_time,
     .range = {0, day},
     .fallback = "60",
     .meaning = "How long a request waits for a VM before it fails. 0: not at all."},
    {.key = "max_memory",
     .kind = Kind::mebibytes,
     .member = &ProgramConfig::max_memory,
     .range = {1, most_mebibytes},
     .fallback = "256",
     .meaning = "How much memory the program may use while it boots, counted when it is most, and noticed at most "
                "4 MiB later. Its file, the archive it comes in and a live update may be as large, 1 GiB at most, "
                "and loading it takes at most three times as much of the server's memory and 100 MiB."},
    {.key = "max_request_memory",
     .kind = Kind::mebibytes,
     .member = &ProgramConfig::max_request_memory,
     .range = {1, most_mebibytes},
     .fallback = "64",
     .meaning = "How much memory a request may change or add, the request itself with its body included, counted "
                "when it is most: also what it gives back later. What earlier requests of its VM did does not "
                "count. A VM takes at most 4 MiB more than this from the host before a request that goes beyond it "
                "fails. `request_memory_peak` of `stats()` and `tinykvm request --repeat` say how much requests "
                "take."},
    {.key = "limit_workmem_after_req",
     .kind = Kind::mebibytes,
     .member = &ProgramConfig::limit_workmem_after_req,
     .range = {0, most_mebibytes},
     .fallback = "0",
     .meaning = "What of the memory that requests changed or added a VM keeps for its next request; what is beyond "
                "is given back to the host after each request. Kept memory is made equal to the program as it was "
                "when it started to wait, which costs some 0.3 us for each page of 4 KiB; memory given back costs "
                "the next request that touches it much more, 1 to 25 us for each page. Pages that no request "
                "changes any more are given back after a while in any case. 0: no limit but `max_request_memory`."},
    {.key = "ephemeral_keep_working_memory",
     .kind = Kind::boolean,
     .member = &ProgramConfig::ephemeral_keep_working_memory,
     .fallback = "true",
     .meaning = "Keep the memory that requests changed or added, made equal again, for the next request. With "
                "false all of it is given back to the host after each request: VMs that wait take least memory, "
                "requests more time."},
    {.key = "shared_memory",
     .kind = Kind::mebibytes,
     .member = &ProgramConfig::shared_memory,
     .range = {0, most_mebibytes},
     .fallback = "0",
     .meaning = "Memory that all VMs of the program see: what one writes there the others read at once, and it "
                "outlives requests, their failures and the VMs. It is zero when the program starts to boot, and "
                "again when the program is loaded anew. The program finds it with `SHM_ALLOC_TYPE()` and its "
                "relatives. It is taken from the host when the program starts (a program does not load when the "
                "host has too little) and counts in none of the other limits."},
    {.key = "storage",
     .kind = Kind::boolean_or_path,
     .member = read_storage,
     .fallback = "false",
     .has_variables = true,
     .meaning =
         "One more VM in which the program, or the one in this file, keeps what is to outlive requests: they call "
         "functions there with `storage_call()`, one at a time. It is never reset, is shared by the program of "
         "this name in all VCLs that run the same file with the same settings, and ends with the last of them. "
         "Its memory is `max_memory`, once for its boot and once for what it adds. For the protocol `callbacks`."},
    {.key = "state_file",
     .kind = Kind::path,
     .member = &ProgramConfig::state_file,
     .has_variables = true,
     .meaning =
         "The file in which `storage` keeps what is to outlive Varnish. It is the in-memory file that the storage "
         "finds in its environment as KVM_STATE; when that was changed and is closed, renamed to its name or synced, "
         "this one is replaced, at once and as a whole. Its directory has to exist, and to belong to root or to the "
         "user that "
         "Varnish runs as, who must be able to write there. The requests of the program do not see the file."},
    {.key = "max_state_file",
     .kind = Kind::mebibytes,
     .member = &ProgramConfig::max_state_file,
     .range = {1, 1024},
     .fallback = "16",
     .meaning =
         "How large `state_file` may be. A larger one is not written, and a storage that finds a larger one does "
         "not start."},
    {.key = "max_storage_time",
     .kind = Kind::seconds,
     .member = &ProgramConfig::max_storage_time,
     .range = {0.001, day},
     .fallback = "10",
     .meaning = "How long one call or task may run in `storage`. One that takes longer fails; the storage goes on with "
                "the next."},
    {.key = "address_space",
     .kind = Kind::mebibytes,
     .member = &ProgramConfig::address_space,
     .range = {128, most_mebibytes},
     .fallback = "3072",
     .meaning = "How much may be mapped for access at a time, whether it is used or not: the program, its stack, "
                "heap and mappings, shared memory and the area of a request. What is mapped without any right "
                "(`PROT_NONE`) does not count; what was accessible once counts as long as the VM lives, in blocks "
                "of 2 MiB. A mapping beyond it fails with `ENOMEM`, and the log says so once a request. It is "
                "never less than `max_memory`. Unused address space costs the host nothing, what is mapped 0.2 % "
                "of its size."},
    {.key = "smp",
     .kind = Kind::count,
     .member = &ProgramConfig::smp,
     .range = {0, most_cpus},
     .fallback = "1",
     .meaning = "How many CPUs each VM of the program has. One request computes on several at a time with "
                "`multiprocess()` and its relatives, or with threads (`pthread_create()`, OpenMP, Go). Each but the "
                "first is a thread of Varnish for each VM: a "
                "program takes up to `concurrency` times `smp` of the server's processors. What they use counts in "
                "`request_cpu_time`. Threads need not more than one, which they then share. 0 is 1."},
    {.key = "max_threads",
     .kind = Kind::count,
     .member = &ProgramConfig::max_threads,
     .range = {1, 1024},
     .fallback = "64",
     .meaning = "How many threads the program may have at a time, the first one among them. Each costs the host "
                "some 4 KiB beside the program's own memory, its stack. A further one fails with `EAGAIN`, and the "
                "log says so once a request. A thread mostly needs two mappings, of which a request may add 128: "
                "start more than 60 in `main()`."},
    {.key = "max_open_files",
     .kind = Kind::count,
     .member = &ProgramConfig::max_open_files,
     .range = {16, 65536},
     .fallback = "1024",
     .meaning = "How many descriptors the program may have open at a time: files, pipes, sockets, sets of epoll. A "
                "further one fails with `EMFILE`, and the log says so once a request. It is what the program reads "
                "as `RLIMIT_NOFILE`. Each open file costs the host up to a descriptor of its own."},
    {.key = "remapping",
     .kind = Kind::ranges,
     .member = &ProgramConfig::remapping,
     .fallback = "[]",
     .meaning = "Addresses kept for the mappings that ask for them, as the runtimes of Go (`[\"0xC000000000\", "
                "1024]`) and JavaScript do: whatever chooses its address freely, of the program or of ours, goes "
                "elsewhere. A program gets any free address it asks for in any case; this is for addresses below "
                "the stack (0x7FFF200000), where others are placed. It takes no memory, and nothing is there until "
                "it is mapped."},
    {.key = "executable_remapping",
     .kind = Kind::ranges,
     .member = &ProgramConfig::executable_remapping,
     .fallback = "[]",
     .meaning = "More addresses as `remapping` has them, for code that a program makes. There is no other "
                "difference: what a program maps with `PROT_EXEC` can be executed anywhere."},
    {.key = "blackout_area",
     .kind = Kind::ranges,
     .member = &ProgramConfig::blackout_area,
     .fallback = "[]",
     .meaning = "Addresses where there is never anything: nothing is placed there, a fixed mapping there fails "
                "with `ENOMEM`, the heap ends before it, and an access is a fault. A program that is linked to "
                "such addresses does not load."},
    {.key = "relocate_fixed_mmap",
     .kind = Kind::boolean,
     .member = &ProgramConfig::relocate_fixed_mmap,
     .fallback = "false",
     .meaning = "What becomes of an `mmap` with `MAP_FIXED` whose addresses cannot be had: below 0x10000, beyond "
                "0x7FFFFFFFF000, in the block at 0x7FFFE00000 that belongs to tinykvm, in a `blackout_area` or in "
                "shared memory. false: it fails, as on Linux. true: it is placed elsewhere, and returns where. "
                "Addresses that can be had are always given, in place of what is mapped there; "
                "`MAP_FIXED_NOREPLACE` and `mremap` always fail."},
    {.key = "executable_heap",
     .kind = Kind::boolean,
     .member = &ProgramConfig::executable_heap,
     .fallback = "false",
     .meaning = "May code in memory of `brk` be executed? For programs that generate code into memory of "
                "`malloc()`. (What they map with `PROT_EXEC` can be executed in any case.) Requests that make the "
                "heap larger then get new executable memory, which only a new VM undoes: that takes longer than a "
                "reset."},
    {.key = "mmap_backed_files",
     .kind = Kind::boolean,
     .member = &ProgramConfig::mmap_backed_files,
     .fallback = "true",
     .meaning = "What becomes of files that requests map (`mmap`). true: a file is copied once, all VMs map that "
                "copy, and only pages that a request writes count in `max_request_memory`; there are at most "
                "`max_memory` of such copies, of those that no request maps the ones not used for longest go "
                "first. false: each request gets a copy of its own, all of which counts. Copied for the request in "
                "any case are a file that was changed in the last seconds or finds no room any more, and a mapping "
                "of less than a quarter of its file. What the program maps while it boots is copied once, counts "
                "in `max_memory`, and is shared by its VMs like all its memory, with both values. A mapping never "
                "shows changes of the file that are made later."},
    {.key = "transparent_hugepages",
     .kind = Kind::boolean,
     .member = &ProgramConfig::transparent_hugepages,
     .fallback = "false",
     .meaning = "Ask the host for transparent huge pages of 2 MiB for the memory of the program and of requests "
                "(`/sys/kernel/mm/transparent_hugepage/enabled` must not be `never`). The host gives them where it "
                "can; memory becomes resident in steps of up to 2 MiB then, of which limits still count the pages "
                "of 4 KiB that were changed."},
    {.key = "hugepages",
     .kind = Kind::boolean,
     .member = &ProgramConfig::hugepages,
     .fallback = "false",
     .meaning = "Use reserved huge pages (`/proc/sys/vm/nr_hugepages`) for the program's memory while it boots: "
                "`hugepage_arena_size` of them, or `max_memory` when that is not set."},
    {.key = "hugepage_arena_size",
     .kind = Kind::mebibytes,
     .member = &ProgramConfig::hugepage_arena_size,
     .range = {0, most_mebibytes},
     .fallback = "0",
     .meaning = "How much of the program's memory may be reserved huge pages while it boots: blocks of 2 MiB that "
                "it maps as a whole, its stack first. Where it then changes the protection of a part, or unmaps "
                "it, small pages take their place. The program does not load when the host has too few. When it "
                "waits for requests they are given back, and VMs share its memory in small pages."},
    {.key = "request_hugepage_arena_size",
     .kind = Kind::mebibytes,
     .member = &ProgramConfig::request_hugepage_arena_size,
     .range = {0, most_mebibytes},
     .fallback = "0",
     .meaning = "How much of each VM's memory that is zero when requests begin may be reserved huge pages: "
                "requests and their bodies first, then the program's unused memory, then what requests map. The "
                "pages are taken when a VM is made, and it keeps them. Where the host has too few a VM has small "
                "pages and logs it. Limits count what is changed, in pages of 4 KiB."},
    {.key = "request_hugepages",
     .kind = Kind::boolean_or_mebibytes,
     .member = read_request_hugepages,
     .range = {0, most_mebibytes},
     .fallback = "false",
     .meaning = "`request_hugepage_arena_size` in short. true: as much as that says, or `max_request_memory` when "
                "it is not set. A number is `request_hugepage_arena_size`, false is 0."},
    {.key = "split_hugepages",
     .kind = Kind::boolean,
     .member = read_split_hugepages,
     .fallback = "true",
     .meaning = "What requests write is copied in pages of 4 KiB, whatever the program's memory was made of. It is "
                "always so; `false` is refused."},
    {.key = "protocol",
     .kind = Kind::choices,
     .member = read_protocol,
     .fallback = "\"callbacks\"",
     .allowed = "\"callbacks\", \"stdio\" or \"http\"",
     .meaning = "How the program is asked. `callbacks`: it is written with `kvm_api.h`, and calls "
                "`wait_for_requests()`. `stdio`: it is any program that reads its standard input and writes its "
                "standard output, as it is; see [filters](filters.md). `http`: it is any HTTP server, as it is; see "
                "[servers](servers.md)."},
    {.key = "listen",
     .kind = Kind::choice_or_count,
     .member = read_listen,
     .range = {1, 65535},
     .fallback = "\"\"",
     .allowed = "a path, \"@\" and an abstract name",
     .meaning = "With the protocol `http`: the port, or the name of a Unix socket, where the server waits for "
                "connections. With `\"\"` it is the only one where it does that."},
    {.key = "websocket_server",
     .kind = Kind::boolean,
     .member = &ProgramConfig::websocket_server,
     .fallback = "false",
     .meaning = "With the protocol `http`: the server may be given a client's connection in `vcl_pipe`, for WebSocket "
                "or another protocol that a request upgrades to. Each connection has a VM for itself; see "
                "[websockets](websockets.md)."},
    {.key = "max_connection_time",
     .kind = Kind::seconds,
     .member = &ProgramConfig::max_connection_time,
     .range = {0.001, 7 * day},
     .fallback = "3600",
     .meaning = "With `websocket_server`: how long a connection lasts at most. `max_request_time` is how long the "
                "server may compute on it without waiting."},
    {.key = "max_idle_time",
     .kind = Kind::seconds,
     .member = &ProgramConfig::max_idle_time,
     .range = {0.001, 7 * day},
     .fallback = "60",
     .meaning =
         "With `websocket_server`: a connection ends on which nothing was sent for so long, in either direction."},
    {.key = "content_type",
     .kind = Kind::text,
     .member = read_content_type,
     .range = {0, 1024},
     .fallback = "\"\"",
     .meaning = "With the protocol `stdio`: the content type of answers. With `\"\"` it is that of the request, or "
                "`application/octet-stream` for a request without one."},
    {.key = "cgi",
     .kind = Kind::boolean,
     .member = &ProgramConfig::cgi,
     .fallback = "false",
     .meaning = "With the protocol `stdio`: the program is one of CGI (RFC 3875). It finds the request in its "
                "environment, and its standard output begins with the header of the answer; see "
                "[filters](filters.md#cgi). It is frozen at its entry point."},
    {.key = "input",
     .kind = Kind::text,
     .member = read_input,
     .range = {0, 255},
     .fallback = "\"\"",
     .meaning =
         "With the protocol `stdio`: a file, below `/tmp` or another directory in the program's memory, that the "
         "body of the request is written to before the program runs. For commands that insist on files; the "
         "standard input is empty then, and the program is frozen at its entry point."},
    {.key = "output",
     .kind = Kind::text,
     .member = read_output,
     .range = {0, 255},
     .fallback = "\"\"",
     .meaning =
         "With the protocol `stdio`: the file, in the same places, that is the answer when the program has ended. "
         "A program that ends with 0 without it has failed. What it writes to its standard output is dropped "
         "then."},
    {.key = "exit_statuses",
     .kind = Kind::object,
     .member = read_exit_statuses,
     .fallback = "{}",
     .allowed = "an object of exit statuses from 0 to 255 and the statuses from 200 to 599 they mean, as {\"1\": "
                "422}",
     .meaning = "With the protocol `stdio`: what the exit statuses of the program mean. 0 is a 200 unless it is "
                "here; one that is not here is a failure of the program."},
    {.key = "main_arguments",
     .kind = Kind::texts,
     .member = &ProgramConfig::main_arguments,
     .fallback = "[]",
     .has_variables = true,
     .meaning = "Arguments of `main()` after the program's name. With the protocol `stdio` they may have placeholders "
                "for parts of the request ([filters](filters.md#arguments-of-the-request))."},
    {.key = "max_argument",
     .kind = Kind::count,
     .member = &ProgramConfig::max_argument,
     .range = {64, 65536},
     .fallback = "4096",
     .meaning = "With the protocol `stdio`: how many bytes an argument with a placeholder may have in a request, with "
                "the zero at its end. A request with a longer one gets a 414. The program starts with so much of its "
                "stack for each of its arguments, if any has a placeholder."},
    {.key = "environment",
     .kind = Kind::texts,
     .member = read_environment,
     .fallback = "[]",
     .has_variables = true,
     .meaning = "The program's environment, NAME=VALUE each. KVM_NAME, KVM_GROUP, KVM_TYPE, KVM_STATE and "
                "KVM_DEBUG are always there as well. So are `USER=nobody`, unless another USER is given, and "
                "`LC_ALL=C`, unless LANG, LANGUAGE or a name that begins with LC_ is given, and `TZ=UTC`, unless TZ is "
                "given or "
                "`/etc/localtime` is one of its paths."},
    {.key = "allowed_paths",
     .kind = Kind::paths,
     .member = read_allowed_paths,
     .fallback = "[]",
     .has_variables = true,
     .meaning = "The files the program sees; without it none. A string is a file or directory that may be read "
                "under its own path. An object says more: `virtual`, the path in the program; `real`, the path on "
                "the host (the same unless said); `writable` (false); `prefix` (true): everything below it too; "
                "`symlink` (false): the program sees `virtual` as a symbolic link to `real`. `/proc`, `/sys` and "
                "`/dev` are made for each program and never the host's, also when `/` is allowed "
                "([programs.md](programs.md#what-there-is-of-linux)); a rule that names them under `real` covers "
                "nothing, and the log says so. A single file of `/sys` may be named."},
    {.key = "writable_memory",
     .kind = Kind::texts,
     .member = read_writable_memory,
     .fallback = "[]",
     .has_variables = true,
     .meaning =
         "Directories, besides `/tmp` and `/dev/shm`, whose files live in the program's own memory: it may make, "
         "write and remove files there, which count for `max_memory` and `max_request_memory` and are reset with "
         "everything else ([programs.md](programs.md#files-in-memory)). What `allowed_paths` names there or "
         "below is the host's."},
    {.key = "allowed_hosts",
     .kind = Kind::hosts,
     .member = read_allowed_hosts,
     .range = {0, 300},
     .fallback = "[]",
     .meaning = "The hosts the program may fetch from with `sys_fetch()`; without it none. Varnish itself can "
                "always be asked, once `init_self_requests()` allows it. A string is a name (`example.com`), the "
                "names below a domain (`*.example.com`), an address (`192.0.2.1`, `[2001:db8::1]`) or any of them "
                "(`*`), with a port (`example.com:8080`) or for ports 80 and 443. Names lead to public addresses "
                "only, not to the machine itself or into private networks; `localhost` and addresses lead to what "
                "they say. An object says more: `host`, the string; `private` (false): any address will do; "
                "`dont_verify_host` (false): the program may accept certificates for other names, with the option "
                "of that name. Redirects are checked like the first URL."},
    {.key = "current_working_directory",
     .kind = Kind::path,
     .member = &ProgramConfig::current_working_directory,
     .fallback = "\"/\"",
     .has_variables = true,
     .meaning = "Where the program's relative paths begin."},
    {.key = "ephemeral",
     .kind = Kind::boolean,
     .member = &ProgramConfig::ephemeral,
     .fallback = "true",
     .meaning = "Every request finds the program as it was when it started to wait. With false a VM keeps what "
                "requests change; it is made new only after a failure."},
    {.key = "control_ephemeral",
     .kind = Kind::boolean,
     .member = &ProgramConfig::control_ephemeral,
     .fallback = "false",
     .meaning = "Let the program decide about `ephemeral`, with `sys_make_ephemeral()`: in `main()` for all of its "
                "VMs, in a request for the VM that serves it. What a visitor's request leaves in memory is then "
                "the program's responsibility. With false the call fails."},
    {.key = "soft_reset",
     .kind = Kind::boolean,
     .member = &ProgramConfig::soft_reset,
     .fallback = "true",
     .meaning = "Honour the argument `soft_reset` of `to_string()` and `synth()`: a VM such a call has used is not "
                "made new before the next call of that kind, which finds what the others changed. Every other "
                "request still finds the program as it was when it started to wait. With false the argument has no "
                "effect."},
    {.key = "poll",
     .kind = Kind::choice_or_microseconds,
     .member = read_poll,
     .range = {1, 10000},
     .fallback = "\"off\"",
     .allowed = "\"off\", \"auto\"",
     .meaning = "Wait for the next request inside the guest, spinning, for so long after the last one: a request "
                "is then handed over in a microsecond instead of the time it takes to wake a thread and enter a "
                "VM. `auto` spins only while requests follow each other closely. At most half of the machine's "
                "CPUs spin, and requests after each other are as isolated as without. For programs that answer in "
                "well under a tenth of a millisecond."},
    {.key = "on_error",
     .kind = Kind::choices,
     .member = read_on_error,
     .fallback = "\"error\"",
     .allowed = "\"error\", \"original\" or a list of \"handler\" and \"original\" in the order in which they are "
                "tried",
     .meaning = "What the client gets when the program fails. `handler` is the answer of the program's error "
                "handler (`set_on_error`); `original` the body of the request as it came, with its content type, "
                "if it had one. They are tried in the order of the list, without them the client gets a 500. A "
                "handler whose answer, with a status from 200 to 299, has no body although the request had one has "
                "not done its work when `original` comes after it: it runs in a fresh VM, where nothing is that "
                "the failed request stored. `\"error\"` is `[\"handler\"]`, `\"original\"` is `[\"handler\", "
                "\"original\"]`."},
    {.key = "warmup",
     .kind = Kind::object,
     .member = read_warmup,
     .fallback = "{\"num_requests\": 0}",
     .allowed = "an object {num_requests, exact, url, method, headers}",
     .meaning = "Requests that the program answers when it has started to wait and before its VMs are made of it, "
                "so that what answering prepares (caches, compiled code, memory) is there for all requests: what "
                "they change stays, their responses go nowhere. `num_requests` (20): how many; `url` (`\"/\"`), "
                "`method` (`\"GET\"`) and `headers` (`[]`, of strings `\"Name: value\"`): what they are, without a "
                "body; `User-Agent: tinykvm` is there unless another User-Agent is. The program can tell them by "
                "`IS_WARMUP_REQUEST()`. With `exact` (false) there are as many as `num_requests` says; else there "
                "are more, until `num_requests` in a row were no faster than the fastest before, at most 100 times "
                "as many. What is beyond `num_requests` takes at most half of the time and memory the program has "
                "to boot. All of them count in `max_boot_time` and `max_memory`; when one is not answered, "
                "whatever its status, the program does not load."},
    {.key = "allow_debug",
     .kind = Kind::boolean,
     .member = &ProgramConfig::allow_debug,
     .fallback = "false",
     .meaning =
         "Let gdb have the program ([debugging.md](debugging.md)): while it boots, when VCL starts it with "
         "`tinykvm.start(..., debug=true)`, and wherever it calls `sys_breakpoint()`. With false the first fails "
         "the load of the VCL and the second does nothing. Whoever can connect to 127.0.0.1 of the machine can "
         "be that gdb, which reads and changes everything of the VM it has."},
    {.key = "remote_debug_on_exception",
     .kind = Kind::boolean,
     .member = &ProgramConfig::remote_debug_on_exception,
     .fallback = "false",
     .meaning = "Let gdb have a VM in which the program crashes, while it boots or in a request, where it stands "
                "([debugging.md](debugging.md)). The request waits for it. Not for servers with visitors."},
    {.key = "debug_port",
     .kind = Kind::count,
     .member = &ProgramConfig::debug_port,
     .range = {0, 65535},
     .fallback = "2159",
     .meaning = "Where gdb is waited for: this port of 127.0.0.1, and nowhere else; it is open only while a program "
                "waits. 0: any that is free, which the log says."},
    {.key = "max_debug_wait",
     .kind = Kind::seconds,
     .member = &ProgramConfig::max_debug_wait,
     .range = {0.1, 3600},
     .fallback = "30",
     .meaning = "How long gdb is waited for; after that the program goes on without it."},
    {.key = "max_debug_time",
     .kind = Kind::seconds,
     .member = &ProgramConfig::max_debug_time,
     .range = {1, day},
     .fallback = "3600",
     .meaning = "How long gdb may have the program, when its time for a boot or a request stands still; then the "
                "program is ended."},
    {.key = "verbose",
     .kind = Kind::boolean,
     .member = &ProgramConfig::verbose,
     .fallback = "false",
     .meaning = "Log unusual events: system calls and host calls that do not exist, paths that are refused (the "
                "first 64 of a program, each once), boots."},
    {.key = "verbose_syscalls",
     .kind = Kind::boolean,
     .member = &ProgramConfig::verbose_syscalls,
     .fallback = "false",
     .meaning = "Log every system call, as strace prints them, and refused paths: of the boot all, of a request the "
                "first 1,024. Each takes some microseconds, and threads leave the VM to hand over to each other."},
    {.key = "verbose_pagetables",
     .kind = Kind::boolean,
     .member = &ProgramConfig::verbose_pagetables,
     .fallback = "false",
     .meaning = "Log what the page tables of the program hold when it has booted: a line for each range of equal "
                "rights, at most 1,024."},
    {.key = "stdout",
     .kind = Kind::boolean,
     .member = &ProgramConfig::standard_output,
     .fallback = "false",
     .meaning = "Log what the program writes to its standard output and standard error. With false it is dropped."},
};

static_assert(std::all_of(std::begin(rows), std::end(rows), member_fits_kind));

}  // namespace

std::span<const Setting> settings() { return rows; }

}  // namespace tinykvm::host
