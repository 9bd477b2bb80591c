# Requests that leave something for each other: a key-value store in the storage of a program, which keeps its values in
# a file when Varnish ends.
vcl 4.1;

import tinykvm;

backend default {
	.host = "127.0.0.1";
	.port = "8080";
}

# Who may change values.
acl editors {
	"127.0.0.1";
}

sub vcl_init {
	tinykvm.configure("kv", """{
		"filename": "/usr/lib/tinykvm/kv",
		"main_arguments": ["{\"max_bytes\": 67108864}"],
		"storage": true,
		"state_file": "/var/lib/tinykvm/kv",
		"max_state_file": 65,
		"max_storage_time": 1
	}""");
}

sub vcl_recv {
	if (req.url ~ "^/kv/") {
		if (req.method != "GET" && req.method != "HEAD" && client.ip !~ editors) {
			return (synth(403));
		}
		return (pass);
	}
}

sub vcl_backend_fetch {
	if (bereq.url ~ "^/kv/") {
		# What is stored is kept for an hour.
		set bereq.backend = tinykvm.to_backend("kv", bereq.url, """{"ttl": 3600}""");
	}
}
