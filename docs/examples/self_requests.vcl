# A program that asks Varnish itself: what it gets comes out of the cache when it is there. Varnish is started with
#     -a :80 -a self=/run/varnish/self.sock,user=vcache,mode=600
vcl 4.1;

import tinykvm;

backend server {
	.host = "127.0.0.1";
	.port = "8080";
}

sub vcl_init {
	tinykvm.init_self_requests("/run/varnish/self.sock", "http://www.example.com", 20);
	tinykvm.configure("fetch", """{"filename": "/srv/programs/fetch", "concurrency": 10}""");
}

sub vcl_backend_fetch {
	if (bereq.url ~ "^/copy/") {
		set bereq.backend = tinykvm.to_backend("fetch", regsub(bereq.url, "^/copy", ""));
	} else {
		set bereq.backend = server;
		unset bereq.http.X-Tinykvm-Depth;  # no business of others
	}
}
