# A program that fetches from other servers. It reaches those in allowed_hosts, and no others.
vcl 4.1;

import tinykvm;

backend none none;

sub vcl_init {
	tinykvm.configure("fetch", """{
		"filename": "/srv/programs/fetch",
		"concurrency": 8,
		"max_request_time": 5,
		"allowed_hosts": [
			"www.example.com",
			"*.example.net:8443",
			{ "host": "127.0.0.1:8080", "private": true }
		]
	}""");
}

sub vcl_backend_fetch {
	set bereq.backend = tinykvm.to_backend("fetch", "http://127.0.0.1:8080" + bereq.url);
}
