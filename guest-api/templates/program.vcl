# One program that answers all requests.
vcl 4.1;

import tinykvm;

backend none none;

sub vcl_init {
	tinykvm.configure("program", """{
		"filename": "/srv/programs/program",
		"max_request_time": 1,
		"max_request_memory": 16
	}""");
}

sub vcl_backend_fetch {
	set bereq.backend = tinykvm.to_backend("program", bereq.url, "Varnish");
}
