# The smallest VCL with a program: it answers everything.
vcl 4.1;

import tinykvm;

backend none none;

sub vcl_init {
	tinykvm.configure("hello", """{"filename": "/srv/programs/hello"}""");
}

sub vcl_backend_fetch {
	set bereq.backend = tinykvm.to_backend("hello");
}
