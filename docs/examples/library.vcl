# Programs from a library: a document that many VCLs, and many machines, can share.
vcl 4.1;

import tinykvm;

backend none none;

sub vcl_init {
	tinykvm.library("file:///etc/varnish/library.json");
	# What configure() says about a program counts more than the library.
	tinykvm.configure("hello", """{ "concurrency": 8 }""");
}

sub vcl_recv {
	set req.url = tinykvm.to_string("to_string", req.url, "utm_*", on_error=req.url);
}

sub vcl_backend_fetch {
	set bereq.backend = tinykvm.to_backend("hello");
}
